"""Texts that are chosen by vectors or by a model, and asked about in rounds."""

from __future__ import annotations

import json
from collections import Counter

import numpy
import pytest

from spacy_falconer.errors import BudgetError, CorpusError
from spacy_falconer.llm.ledger import Ledger
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.types import Record
from spacy_falconer.workflow import choose, rounds
from spacy_falconer.workflow.annotate import annotate
from spacy_falconer.workflow.choose import Sampling, list_candidates
from spacy_falconer.workflow.embed import embed
from spacy_falconer.workflow.endpoint import Endpoint
from spacy_falconer.workflow.scores import read_scores
from spacy_falconer.workflow.written import hold_out


@pytest.fixture
def records():
    texts = [f"i paid {i % 10} dollars and love it {i}" if i % 3 else f"the bad price broke {i}" for i in range(150)]
    return [Record(str(i), text) for i, text in enumerate(texts)]


@pytest.fixture
def run(review_plan, records, llm_server, tmp_path, tiny_config):
    """Annotate 60 texts by some sampling; the memory is beside the store."""

    def annotate_sample(max_requests=None, plan=review_plan, **settings):
        sampling = Sampling(n_texts=60, config=tiny_config, **settings)
        endpoint = Endpoint(ledger=Ledger(max_requests=max_requests))
        with AnswerStore(tmp_path / "answers.db") as store:
            return annotate(plan, records, store, sampling=sampling, endpoint=endpoint, memory=tmp_path / "chosen.json")

    return annotate_sample


def test_like_texts_have_like_vectors_in_any_company(tiny_config):
    texts = ["i paid 3 dollars", "", "the bad price broke", "i paid 4 dollars", "x " * 2000]
    vectors = embed(texts, config=tiny_config)
    assert vectors.shape == (5, 32) and numpy.allclose(numpy.linalg.norm(vectors, axis=1), 1)
    assert vectors[0] @ vectors[3] > vectors[0] @ vectors[2]
    assert numpy.allclose(embed(texts[2:3], config=tiny_config), vectors[2], atol=1e-5)


@pytest.mark.parametrize("strategy", ["diverse", "balanced"])
def test_a_fifth_is_random_and_held_out(strategy, run, review_plan, llm_server):
    docs = run(strategy=strategy).docs
    assert Counter(doc.user_data["chosen"] for doc in docs) == {strategy: 48, "held-out": 12}
    assert len(llm_server.requests) == 60
    train, test = hold_out(docs, review_plan, None, seed=0)
    assert {doc.user_data["chosen"] for doc in test} == {"held-out"} and len(train) == 48


def test_a_corpus_smaller_than_the_sample_is_not_all_held_out(review_plan, records, llm_server, tmp_path, tiny_config):
    with AnswerStore(tmp_path / "answers.db") as store:
        sampling = Sampling(n_texts=500, strategy="diverse", config=tiny_config)
        found = annotate(review_plan, records[:50], store, sampling=sampling, endpoint=Endpoint())
    train, test = hold_out(found.docs, review_plan, None, seed=0)
    assert (len(train), len(test)) == (40, 10)


def test_weights_come_to_the_corpus(run, records):
    docs = run(strategy="balanced").docs
    assert sum(doc.user_data["weight"] for doc in docs) == pytest.approx(len(records), rel=0.1)
    assert "weight" not in run(strategy="diverse").docs[0].user_data


@pytest.mark.parametrize("settings", [{"strategy": "diverse"}, {"strategy": "balanced"}, {"n_rounds": 2}])
def test_the_same_texts_are_chosen_again_and_nothing_is_sent(settings, run, review_plan, llm_server, monkeypatch):
    """Also for a plan that asks the same and makes something else of the answers."""
    first = run(**settings).docs
    assert len(llm_server.requests) == 60
    for work in ("spacy_falconer.workflow.choose.embed", "spacy_falconer.workflow.rounds.train"):
        monkeypatch.setattr(work, None)  # Neither is needed any more.
    steps = tuple(step.model_copy(update={"when": None}) for step in review_plan.steps)
    for plan in (review_plan, review_plan.model_copy(update={"keep": "true", "steps": steps})):
        assert [doc.text for doc in run(plan=plan, **settings).docs] == [doc.text for doc in first]
    assert len(llm_server.requests) == 60


def test_rounds_take_what_the_model_is_unsure_of(run, llm_server):
    docs = run(n_rounds=3).docs
    assert Counter(doc.user_data["chosen"] for doc in docs) == {"random": 23, "uncertain": 25, "held-out": 12}
    assert len({doc.text for doc in docs}) == 60 and all(doc.user_data["weight"] > 0 for doc in docs)


def test_rounds_end_where_the_agreement_no_longer_grows(run, llm_server, monkeypatch, tmp_path):
    monkeypatch.setattr(rounds.Learned, "measure", lambda learned: 0.6)
    docs = run(n_rounds=4).docs
    decided = json.loads((tmp_path / "chosen.json").read_text())["decided"]
    assert "round 3" in decided and decided["agreement 3"] == 0.6 and "round 4" not in decided
    assert len(docs) == len(llm_server.requests) == 51


def test_rounds_too_small_to_learn_from_are_refused_before_anything_is_asked(run, llm_server):
    with pytest.raises(CorpusError, match="6 rounds of --sample 60 .* 6 texts; expected at least 8"):
        run(n_rounds=6)
    assert llm_server.requests == []


def test_rounds_that_a_limit_stops_go_on(run, llm_server):
    stopped = run(n_rounds=2, max_requests=20)
    assert isinstance(stopped.stopped, BudgetError) and len(llm_server.requests) == 20
    assert len(run(n_rounds=2).docs) == len(llm_server.requests) == 60


def test_scores_of_a_plans_steps(trained, review_plan):
    scores, thresholds = read_scores(trained[0], ["i paid 7 dollars and love it", "the bad price broke"], review_plan)
    assert scores.shape == (2, 3) and thresholds.shape == (3,)
    assert scores[0, 0] > thresholds[0] > scores[1, 0] and scores[0, 2] > thresholds[2]
    one = review_plan.model_copy(update={"steps": review_plan.steps[:1]})
    assert read_scores(trained[0], ["i love it"], one)[0].shape == (1, 1)


def test_a_source_says_what_looks_likely(run, trained, tmp_path, monkeypatch):
    trained[0].to_disk(tmp_path / "source")
    seen = []
    monkeypatch.setattr(
        choose, "choose_balanced", lambda scores, n, **_: (seen.append(scores), range(n), [1.0] * n)[1:]
    )
    run(strategy="balanced", source=tmp_path / "source")
    positive = seen[0][:, 0]
    assert positive.max() > 0.9 and positive.min() < 0.1  # As it was taught; two vectors are never so sure.


def test_texts_longer_than_a_pipeline_reads_are_left_out():
    records = [Record("a", "short"), Record("b", "x " * 500_001), Record("c", " ")]
    assert list_candidates(records, Sampling(n_texts=3)) == ["short"]
