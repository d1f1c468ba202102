from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from spacy_falconer.errors import ServerError
from spacy_falconer.llm.failure import MAX_WAIT_S, find_wait_s, hide_key, make_client


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "1e9"}, MAX_WAIT_S),
        ({"retry-after": "nan"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
    ],
)
def test_how_long_a_server_wants_to_be_left_alone(headers, expected):
    assert find_wait_s(headers) == expected


def test_until_a_date():
    assert 50 < find_wait_s({"retry-after": formatdate(time.time() + 60, usegmt=True)}) <= 60


@pytest.mark.parametrize(
    ("key", "expected"), [("sk-1234567", "the key *** is wrong"), ("x", "the key sk-1234567 is wrong")]
)
def test_a_key_is_hidden_and_a_word_that_is_none_spoils_no_message(monkeypatch, key, expected):
    monkeypatch.setenv("OPENAI_API_KEY", f"{key}\n")
    assert hide_key("the key sk-1234567 is wrong") == expected


@pytest.mark.parametrize("url", ["localhost:8000/v1", "http://me:secret@a:b:c/v1", "http://[x", "https:///v1", "x"])
def test_an_address_that_is_none_is_said_at_once_without_a_secret(url, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1234567")
    with pytest.raises(ServerError, match="OPENAI_BASE_URL is .*; expected an address") as raised:
        make_client(1.0)
    assert "secret" not in str(raised.value) and "sk-1234567" not in str(raised.value)
