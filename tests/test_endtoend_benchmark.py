"""The end-to-end benchmark: its arithmetic, its scores and its sentences."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import spacy
import srsly

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.endtoend import scores
from benchmarks.endtoend.corpora import read_corpora, read_corpus
from benchmarks.endtoend.cost import Asking, Ours, count_asking
from benchmarks.endtoend.report import format_costs, format_goals, format_scores, format_times
from benchmarks.endtoend.scores import pick_main, score_instructions, score_rows
from benchmarks.endtoend.systems import keep, read_seconds
from spacy_falconer.llm.exchange import write_exchange
from spacy_falconer.llm.prices import Price
from spacy_falconer.plan import parse_plan, read_plan, write_plan
from spacy_falconer.workflow.scoring.said import Said, read_answers

ROOT = Path(__file__).parents[1]
DATA = ROOT / "benchmarks" / "endtoend" / "data"
ASKING = Asking(n_requests=1, n_input=1000, n_output=100, text_usd=0.001, plan_usd=0.01, latency_s=2)
OURS = Ours(ASKING, n_answers=500, train_s=360, texts_per_s=50, core_usd=0.05)


def test_what_it_costs():
    assert ASKING.usd(100_000) == pytest.approx(100)
    assert OURS.first_usd == pytest.approx(0.01 + 500 * 0.001 + 0.1 * 0.05)
    assert OURS.usd(100_000) == pytest.approx(0.515 + 100_000 / 50 / 3600 * 0.05)


def test_more_cores_are_faster_and_all_cost_something():
    two = replace(OURS, texts_per_s=100, n_cores=2)
    assert two.usd(100_000) == pytest.approx(OURS.usd(100_000))
    assert two.times_as_fast(16) == pytest.approx(12.5)


def test_where_it_breaks_even():
    even = OURS.break_even()
    assert OURS.usd(even) <= ASKING.usd(even) and OURS.usd(even - 1) > ASKING.usd(even - 1)
    free = Asking(1, 1000, 100, text_usd=0.0, plan_usd=0.0, latency_s=2)
    assert math.isinf(Ours(free, 500, 360, 50, 0.05).break_even())


def test_how_long_it_takes():
    assert ASKING.seconds(100_000, 16) == pytest.approx(12_500)
    assert OURS.seconds(100_000, 16) == pytest.approx(2 + 500 * 2 / 16 + 360 + 2000)
    assert [OURS.times_as_fast(n) for n in (1, 16)] == pytest.approx([100, 6.25])


def test_tables_of_cost_and_time():
    dear = Ours(Asking(1, 1000, 100, 0.0, 0.01, 2), 500, 360, 50, 0.05)
    table = format_costs({"one": OURS}, 100_000).splitlines()[-1].split()
    assert table[:1] + table[3:5] + table[-1:] == ["one", "$100.00", "$0.54", "516"] and "0.5%" in table
    assert "100.0" in format_times({"one": OURS}, 100_000) and dear.break_even() == math.inf


@pytest.fixture
def folder(tmp_path, review_plan, review_answers):
    """A corpus as the benchmark reads it: 28 answers to learn from, 12 to test on, 4 of them read again."""
    own = tmp_path / "endtoend" / "data"
    (own / "plans" / "mine").mkdir(parents=True)
    write_plan(review_plan, own / "mine-plan.json")
    write_plan(review_plan, own / "plans" / "mine" / "prices.json")
    for part, answers in {"train": review_answers[:28], "test": review_answers[28:], "again": review_answers[28:32]}.items():  # fmt: skip
        write_exchange(answers, own / f"mine-{part}.jsonl")
    srsly.write_json(own / "stated.json", {"mine": {"gift": 0.9}})
    return own


@pytest.fixture
def corpus(folder, tmp_path):
    (found,) = read_corpora(None, folder, tmp_path, [])
    return found


def test_a_corpus_is_read(corpus, folder):
    assert (corpus.name, len(corpus.train), len(corpus.test), len(corpus.again)) == ("mine", 28, 12, 4)
    assert list(corpus.plans) == ["prices"] and corpus.stated == {"gift": 0.9}
    (folder / "mine-train.jsonl").write_text((folder / "mine-test.jsonl").read_text())
    assert read_corpus("mine", folder, folder).digest != corpus.digest


def test_requests_are_counted_as_they_would_be_sent(corpus, review_plan):
    def count(plan, price):
        texts = corpus.texts
        return count_asking(plan, texts, corpus.answers, model="gpt-4o", price=price, latency_s=1.0)

    asking = count(review_plan, Price(2.0, 8.0))
    assert asking.n_requests == pytest.approx(1.0) and asking.n_input > 100 and asking.n_output > 5
    assert asking.text_usd == pytest.approx((2.0 * asking.n_input + 8.0 * asking.n_output) / 1e6)
    assert asking.plan_usd > 0
    fewer = parse_plan({"instruction": "Gifts", "steps": [review_plan.steps[1].model_dump(exclude_none=True)]})
    assert count(fewer, Price(2.0, 8.0)).text_usd < asking.text_usd


def test_scores_stand_beside_the_models_own(corpus, monkeypatch):
    """Ours misses the prices of half of the texts that have some; the model itself, of the four that it read again, one."""
    wanted = [read_answers(doc) for doc in corpus.test]
    ours = [Said(one.labels, one.spans if number % 4 == 1 else {"price": frozenset()}) for number, one in enumerate(wanted)]  # fmt: skip
    again = [
        Said(one.labels, one.spans if number == 1 else {"price": frozenset()}) for number, one in enumerate(wanted)
    ]
    said = {"LLM": wanted, "LLM again": [*again[:4], *[Said()] * 8], "ours": ours, "labels": [Said(one.labels) for one in wanted]}  # fmt: skip
    assert all(
        one.itself is None and one.share is None for one in score_rows(corpus, said)
    )  # It read too little again.
    monkeypatch.setattr(scores, "MIN_ANSWERS", 1)
    rows = {one.what: one for one in score_rows(corpus, said)}
    assert [one.what[1] for one in rows.values()] == ["kept", "values", "whole"]
    assert [one.what[1] for one in pick_main(list(rows.values()))] == ["values"]
    values = rows["prices", "values"]
    assert values.ours == pytest.approx(2 / 3) and values.itself == pytest.approx(2 / 3) and values.share == 1.0
    assert values.n_itself == 4 and list(values.lines) == ["ours"]
    lines = {one.what[1]: one for one in score_instructions(corpus, said)}
    assert lines["positive"].ours == 1.0 and set(lines["positive"].lines) == {"ours", "labels"}
    assert (lines["gift"].itself, lines["gift"].n_itself) == (0.9, 0)
    table = format_scores(list(rows.values()), ("sentence", "rows"))
    assert "0.67 (4)" in table and "1.00" in table
    goals = format_goals(list(rows.values()), list(lines.values()), [OURS], 100_000)
    assert "1 of 1" in goals and "0 of 1" in goals


def test_what_was_trained_is_kept_and_what_was_not_is_not_there(tmp_path):
    def fail(path):
        path.mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep(tmp_path / "ours", fail)
    path = keep(tmp_path / "ours", Path.mkdir)
    assert read_seconds(path) >= 0.0 and keep(path, fail) == path


def test_the_sentences_ask_what_was_answered():
    known = {"reviews": ROOT / "assets" / "plan-reviews-all.json", "tweets": DATA / "tweets-plan.json"}
    names = sorted(path.name for path in (DATA / "plans").iterdir())
    assert {"bio", "reviews"} <= set(names)
    for name in set(names) & set(known):
        answered = {(step.id, step.op, step.instruction) for step in read_plan(known[name]).steps}
        for path in (DATA / "plans" / name).glob("*.json"):
            assert {(step.id, step.op, step.instruction) for step in read_plan(path).steps} <= answered, path


def test_our_own_corpora_are_whole():
    for path in DATA.glob("*-plan.json"):
        corpus = read_corpus(path.name.removesuffix("-plan.json"), DATA, DATA)
        texts = [{doc.text for doc in docs} for docs in (corpus.train, corpus.test, corpus.again)]
        assert not texts[0] & texts[1] and texts[2] <= texts[1] and corpus.plans
        assert all(doc.cats and "sc" in doc.spans for doc in [*corpus.train, *corpus.test])
        assert spacy.blank("en").lang == corpus.train[0].lang_
