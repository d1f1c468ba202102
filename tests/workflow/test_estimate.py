"""What annotating will take, against what it took."""

from __future__ import annotations

import pytest

from spacy_falconer.llm.redact import Redactor
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.types import Record
from spacy_falconer.workflow.annotate import annotate
from spacy_falconer.workflow.bill import format_estimate
from spacy_falconer.workflow.choose import Sampling
from spacy_falconer.workflow.endpoint import Endpoint
from spacy_falconer.workflow.estimate import estimate


@pytest.fixture
def records():
    return [Record(str(i), f"i paid {i % 10} dollars and love it {i}") for i in range(120)]


@pytest.fixture
def guess(review_plan, records):
    def guess_it(store=None, n=60, redact=None, **endpoint):
        sampling = Sampling(n_texts=n)
        return estimate(review_plan, records, store, sampling=sampling, endpoint=Endpoint(**endpoint), redact=redact)

    return guess_it


def test_nothing_is_sent(guess, llm_server):
    found = guess()
    assert found.n_texts == 60 and found.n_requests.expected == 60 and llm_server.requests == []
    assert found.cost_usd.low < found.cost_usd.expected < found.cost_usd.high


def test_the_prompt_is_one_that_is_sent(guess, review_plan, records, llm_server, tmp_path):
    prompt = guess().example_prompt
    with AnswerStore(tmp_path / "a.db") as store:
        annotate(review_plan, records, store, sampling=Sampling(n_texts=60), endpoint=Endpoint())
    sent = [body["messages"] for body in llm_server.requests]
    assert any(all(part["content"] in prompt for part in messages) for messages in sent)


def test_once_it_was_asked_it_is_near_to_what_is_billed(guess, review_plan, records, llm_server, tmp_path):
    path = tmp_path / "a.db"
    with AnswerStore(path) as store:
        annotate(review_plan, records, store, sampling=Sampling(n_texts=60), endpoint=Endpoint())
        found = guess(path, n=120)
        endpoint = Endpoint()
        annotate(review_plan, records, store, sampling=Sampling(n_texts=120), endpoint=endpoint)
    billed = endpoint.ledger.total
    assert found.is_learned and found.n_texts == billed.n_requests == 60
    assert found.n_input_tokens.expected == pytest.approx(billed.n_input_tokens, rel=0.1)
    assert found.cost_usd.expected == pytest.approx(billed.cost_usd, rel=0.1)


def test_what_the_store_answers_costs_nothing(guess, review_plan, records, llm_server, tmp_path):
    with AnswerStore(tmp_path / "a.db") as store:
        annotate(review_plan, records, store, sampling=Sampling(n_texts=60), endpoint=Endpoint())
    assert guess(tmp_path / "a.db").n_texts == 0
    assert format_estimate(guess(tmp_path / "a.db")).startswith("Nothing has to be asked")


def test_an_unknown_model_has_tokens_and_no_price(guess):
    found = guess(model="my-own")
    assert found.cost_usd is None and found.n_input_tokens.expected > 0
    shown = format_estimate(found)
    assert "price is unknown" in shown and "$" not in shown.split("One request:")[0]


def test_batches_cost_half(guess):
    assert guess(is_batch=True).cost_usd.expected == pytest.approx(guess().cost_usd.expected / 2)


def test_the_prompt_shows_what_leaves_the_house(guess):
    prompt = guess(redact=Redactor(lambda text: text.replace("love", "LIKE"), "rules")).example_prompt
    assert "LIKE it" in prompt and "love it" not in prompt
