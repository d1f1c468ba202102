"""Estimates, against what a server bills by a tokenizer of its own."""

from __future__ import annotations

import json
import re

import pytest
from faulty_server import count_pieces

from spacy_falconer.llm.estimate import estimate
from spacy_falconer.llm.redact import Redactor
from spacy_falconer.llm.tokens import count_tokens
from spacy_falconer.types import Answer, Quote

MODEL = "gpt-4.1-mini"
STORY = "The vacuum is light and quiet, but its hose broke after a week, so that I would not buy it again."


@pytest.fixture(scope="module")
def texts():
    return [
        f"Review {i}: I paid ${10 + i} and {'love' if i % 2 else 'hate'} it. {STORY[5 * (i % 7) :]}" for i in range(80)
    ]


@pytest.fixture(scope="module")
def bill():
    """Tokens as a model's own tokenizer counts them."""
    return count_pieces


@pytest.fixture
def take(ask, store):
    """Estimate, ask, and give back both."""

    def run(texts, plan, **settings):
        expected = estimate(texts, plan, model=MODEL, store=store, **settings)
        return expected, ask(texts, plan, **settings).ledger.total

    return run


def assert_near(expected, total, rel=0.1):
    assert expected.n_requests.expected == pytest.approx(total.n_requests, rel=rel)
    assert expected.n_input_tokens.expected == pytest.approx(total.n_input_tokens, rel=rel)
    assert expected.cost_usd.expected == pytest.approx(total.cost_usd, rel=rel)
    assert expected.cost_usd.low <= total.cost_usd <= expected.cost_usd.high


def test_before_anything_was_asked(serve, take, bill, texts, plan):
    server = serve(bill=bill)
    expected, total = take(texts, plan)
    assert not expected.is_learned and expected.n_texts == 80 and total.n_requests == len(server.requests)
    assert_near(expected, total)


@pytest.mark.parametrize("by", ["tokenizer", "characters", "dear"])
def test_once_some_were_asked(serve, take, bill, texts, plan, by):
    serve(bill={"tokenizer": bill, "characters": lambda text: len(text) // 4, "dear": lambda text: 3 * bill(text)}[by])
    take(texts[:40], plan)
    expected, total = take(texts, plan)
    assert expected.is_learned and expected.n_texts == total.n_requests == 40
    assert_near(expected, total)
    assert expected.n_output_tokens.expected == pytest.approx(total.n_output_tokens, rel=0.1)


@pytest.mark.parametrize("fault", ["unplaceable", "words:1", "length:1"])
def test_corrections_count(serve, take, bill, texts, plan, fault):
    serve(bill=bill)
    texts = [f"{text} <<{fault}>>" if i % 3 == 0 else text for i, text in enumerate(texts)]
    take(texts[:40], plan)
    expected, total = take(texts, plan)
    assert total.n_requests > 50
    assert_near(expected, total)


def test_examples_count(serve, take, store, bill, texts, plan):
    serve(bill=bill)
    labels, spans = {"The reviewer is satisfied.": True}, {"Amounts of money.": (Quote("$7"),)}
    examples = [Answer(f"{text} and so on, for $7", "m", labels, spans) for text in texts[:3]]
    bare = estimate(texts, plan, model=MODEL, store=store)
    expected, total = take(texts, plan, examples=examples)
    assert expected.n_input_tokens.expected > 1.2 * bare.n_input_tokens.expected
    assert_near(expected, total)


def test_passages_count(serve, take, bill, texts, passage_plan):
    serve(bill=bill)
    take(texts[:40], passage_plan)
    expected, total = take(texts, passage_plan)
    assert total.n_requests == 80
    assert_near(expected, total)


def test_passages_that_are_known_count_as_they_are(serve, take, store, bill, texts, passage_plan):
    serve(bill=bill)
    for text in texts:
        quotes = tuple(Quote(found[0], found.start()) for found in re.finditer(r"\$\d+", text))
        store.put(Answer(text, "someone", {"The reviewer is satisfied.": True}, {"Amounts of money.": quotes}))
    expected, total = take(texts, passage_plan)
    assert total.n_requests == 80 and expected.n_requests.expected == 80


def test_long_texts_count_their_windows(serve, take, bill, texts, plan):
    serve(bill=bill)
    expected, total = take([" ".join(texts * 3), *texts], plan)
    assert expected.n_requests.expected == total.n_requests > 81
    assert expected.n_input_tokens.expected == pytest.approx(total.n_input_tokens, rel=0.1)


def test_recorded_answers_say_how_long_replies_are(serve, store, texts, plan):
    short = estimate(texts[:10], plan, model=MODEL, store=store)
    spans = {"Amounts of money.": tuple(Quote(f"a quote of quite some words, number {i}") for i in range(10))}
    store.put(Answer("Recorded.", "someone", {"The reviewer is satisfied.": True}, spans))
    long = estimate(texts[:10], plan, model=MODEL, store=store)
    assert long.n_output_tokens.expected > 5 * short.n_output_tokens.expected
    assert long.n_input_tokens == short.n_input_tokens


def test_nothing_is_sent_and_the_prompt_is_the_one_that_will_be(server, store, ask, texts, plan):
    expected = estimate(texts[:1], plan, model=MODEL, store=store)
    assert server.requests == []
    ask(texts[:1], plan)
    for message in server.requests[0]["messages"]:
        assert message["content"] in expected.example_prompt


def test_what_is_answered_costs_nothing(server, store, ask, texts, plan):
    ask(texts, plan)
    expected = estimate(texts, plan, model=MODEL, store=store)
    assert (expected.n_texts, expected.n_requests.high, expected.cost_usd.high) == (0, 0, 0)
    assert expected.example_prompt == ""


def test_an_unknown_model_has_tokens_only(store, texts, plan):
    expected = estimate(texts, plan, model="my own", store=store)
    assert expected.cost_usd is None and expected.n_input_tokens.expected > 0


def test_very_many_texts_are_drawn_from(store, plan):
    texts = [f"text {i} " + "word " * (i % 50) for i in range(3000)]
    whole = sum(
        estimate(texts[i : i + 500], plan, model=MODEL, store=store).n_input_tokens.expected
        for i in range(0, 3000, 500)
    )
    one, same, other = (estimate(texts, plan, model=MODEL, store=store, seed=seed) for seed in (1, 1, 2))
    assert one == same and one.n_input_tokens != other.n_input_tokens and one.n_texts == 3000
    assert one.n_input_tokens.expected == pytest.approx(whole, rel=0.03)


def test_redacted_texts_count_as_they_are_sent(store, texts, plan):
    redact = Redactor(lambda text: text.replace("vacuum", ""), "rules:hide")
    expected = estimate(texts, plan, model=MODEL, store=store, redact=redact)
    assert "vacuum" not in expected.example_prompt


@pytest.mark.parametrize("kind", ["prose", "JSON"])
def test_our_count_is_near_a_tokenizers(bill, texts, kind):
    shown = " ".join(texts) if kind == "prose" else json.dumps([{"text": text, "price": [text[-9:]]} for text in texts])
    assert count_tokens(shown) == pytest.approx(bill(shown), rel=0.15)
