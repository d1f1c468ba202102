"""What a model costs: as the package knows it, or a user's own file; what neither has is unknown."""

from __future__ import annotations

import json

import pytest

from spacy_falconer.errors import FalconerError
from spacy_falconer.llm.ledger import Ledger
from spacy_falconer.llm.prices import (
    EXAMPLE,
    VARIABLE,
    Price,
    default_model,
    find_price,
    prices_date,
    prices_origin,
    read_prices,
)

PRICES = {"m": Price(input=1.0, output=10.0)}


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    """Write a price file of one's own, which the environment names."""
    monkeypatch.delenv(VARIABLE, raising=False)

    def write(text):
        path = tmp_path / "my-prices.json"
        path.write_text(text)
        monkeypatch.setenv(VARIABLE, str(path))
        return path

    return write


def test_a_snapshot_costs_what_its_model_does():
    assert find_price("m-2026-01-31", PRICES) == PRICES["m"] and find_price("m-mini", PRICES) is None


def test_the_default_model_has_a_price_and_prices_have_a_date():
    assert default_model() in read_prices() and len(prices_date()) == len("2026-01-31")
    for price in read_prices().values():
        assert 0 < price.input < price.output


def test_the_example_in_messages_is_a_price_file(own):
    path = own(EXAMPLE)
    assert read_prices() == {"my-model": Price(0.4, 1.6)} and Ledger().price_of("my-model") == Price(0.4, 1.6)
    assert prices_origin() == f"from {path}"


def test_a_file_of_ones_own_stands_alone_but_does_not_say_who_is_asked(own):
    usual = default_model()
    own('{"models": {"free": {"input": 0, "output": 0}}, "date": "2026-12-01", "default_model": "free"}')
    assert find_price("free").cost_usd(10, 10) == 0.0 and find_price(usual) is None
    assert default_model() == usual and "of 2026-12-01" in prices_origin()


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("{", "cannot be read"),
        ("[]", "no models by name"),
        ('{"my-model": {"input": 1, "output": 2}}', "no models by name.*my-model"),
        ('{"models": {}}', "no models by name"),
        ('{"models": {"m": 3}}', "'m' has 3"),
        ('{"models": {"m": {"input": 1}}}', "'m' has {'input': 1}"),
        ('{"models": {"m": {"input": -1, "output": 2}}}', "'m' has .*-1"),
        ('{"models": {"m": {"input": "1", "output": 2}}}', "'m' has .*'1'"),
        ('{"models": {"m": {"input": NaN, "output": 2}}}', "'m' has .*nan"),
        ('{"models": {"m": {"input": 1, "output": 2, "cached": 0}}}', "'m' has .*cached"),
    ],
)
def test_a_bad_file_is_refused_before_anything_is_sent_and_an_example_is_shown(text, flaw, own):
    own(text)
    with pytest.raises(FalconerError, match=rf"The price file .*my-prices.json.*{flaw}") as caught:
        Ledger()
    example = str(caught.value).split("such as ")[1].removesuffix(". Correct the file, or its name.")
    assert json.loads(example) == json.loads(EXAMPLE)


def test_a_file_that_is_not_there_is_refused(own):
    own("").unlink()
    with pytest.raises(FalconerError, match="my-prices.json.*cannot be read.*No such file"):
        read_prices()
