from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from spacy_falconer.llm.failure import MAX_WAIT_S, find_wait_s, hide_key


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
