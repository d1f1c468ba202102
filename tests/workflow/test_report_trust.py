"""What the report says of how far a run can be trusted: its guarantee, its thresholds, what its scores mean, its pace."""

from __future__ import annotations

import json

import pytest
import srsly
from reports import HOSTILE, Page, make_full_scores, make_hostile, write_run
from typer.testing import CliRunner

from spacy_falconer.cli.app import app
from spacy_falconer.plan import write_plan
from spacy_falconer.workflow.page import make_page, read_run
from spacy_falconer.workflow.page.cost import LATENCY_S, find_cost
from spacy_falconer.workflow.page.promise import find_kept
from spacy_falconer.workflow.times import Took, note_time

KEPT = {
    "promise": "recall=0.95, delta=0.05, label_budget=60, on=positive+price",
    "at_least": {"positive": {"recall": 0.95314}, "price": {"recall": 1.0}},
    "n_texts": 80, "n_recorded": 10, "n_asked": 42, "n_failed": 0,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, review_plan, review_answers):
    write_run(tmp_path, review_plan, review_answers)
    return tmp_path


def read_page(folder):
    return Page(make_page(read_run(folder), {}))


def promise(folder, **changes):
    """Note a guarantee beside the rows, as `mine --guarantee` does."""
    path = folder / "rows.manifest.json"
    noted = json.loads(path.read_text(encoding="utf8"))
    noted["options"] = {**noted.get("options", {}), "guarantee": {**KEPT, **changes}}
    path.write_text(json.dumps(noted), encoding="utf8")  # Not by srsly, which cannot bear halves of characters.


def test_what_is_promised_is_said_with_who_was_asked_for_it(folder):
    assert "What is promised" not in read_page(folder).text
    promise(folder)
    text = read_page(folder).text
    assert "recall 0.95 promised against the language model's answers, with a chance of 95%" in text
    assert "positive≥ 0.953 price≥ 1.000" in text and "recallpromised: 0.95" in text  # Rounded down.
    assert "the language model was asked about: at most 60 were allowed42" in text
    assert "answered before: by the same plan, and used10" in text and "left to the metamodel28" in text
    assert "Nothing is promised of gift." in text and "not met" not in text
    assert "recall: of what the language model says, at least this share is in the answers." in text


def test_what_could_not_be_met_is_said(folder):
    rates = {"positive": {"precision": 0.9, "recall": 0.9}, "price": {"precision": 0.9, "recall": 0.42}}
    promise(folder, promise="precision=0.9, recall=0.9, delta=0.01", at_least=rates, n_failed=3)
    text = read_page(folder).text
    assert "With a chance of at least 99%" in text and "precision 0.9 and recall 0.9 promised" in text
    assert "price≥ 0.900≥ 0.420not met" in text and text.count("not met") == 1
    assert "Less is certain than was promised, of price" in text
    assert "without an answer: the language model gave none" in text
    assert find_kept(read_run(folder)).unmet == ["price"]


@pytest.mark.parametrize(
    "changes",
    [{"promise": "recall"}, {"promise": None}, {"at_least": 3}, {"at_least": {"positive": {"recall": 7}}}, {"n_texts": "x"}],
)  # fmt: skip
def test_a_guarantee_that_cannot_be_read_is_said_and_stops_nothing(folder, changes):
    promise(folder, **changes)
    text = read_page(folder).text
    assert "What is promised" not in text and "The manifest's guarantee is not as" in text


@pytest.mark.parametrize("evil", HOSTILE)
def test_a_hostile_guarantee_is_words(tmp_path, evil):
    pages = []
    for key in ("tame", evil):
        make_hostile(tmp_path, key)
        promise(tmp_path, at_least={key: {"recall": 0.3}}, n_failed=1)
        pages.append(read_page(tmp_path))
    tame, hostile = pages
    assert hostile.shape.keys() <= tame.shape.keys() and hostile.scripts[1] == tame.scripts[1]
    assert "Less is certain than was promised" in hostile.text


def test_reliability_is_drawn_before_and_after(folder):
    point = {"n": 10, "low": 0.0, "high": 1.0}
    before = {"ece": 0.3, "ece_ci": [0.2, 0.4], "bins": [{**point, "score": 0.9, "right": 0.4}]}
    after = {"ece": 0.1, "ece_ci": [0.05, 0.15], "n": 10, "bins": [{**point, "score": 0.5, "right": 0.4}]}
    own = {"ece": 0.12, "ece_ci": [0.01, 0.2], "n": 7, "before": {"ece": 0.34, "ece_ci": [0.3, 0.4]}}
    keys = {"positive": own, "gift": {**own, "before": None}}
    scores = {**make_full_scores(), "reliability": {"labels": {**after, "before": before, "per_instruction": keys}}}
    srsly.write_json(folder / "scores.json", scores)
    page = read_page(folder)
    dashed = [dict(attrs) for tag, attrs in page.elements if "before" in (dict(attrs).get("class") or "").split()]
    assert {tuple(one["class"].split()[:1]) for one in dashed} == {("line",), ("point",), ("swatch",)}
    words = [dict(attrs).get("aria-label") for tag, attrs in page.elements if tag == "svg"]
    assert (
        "Reliability. labels: score 0.50, right 0.40 of 10. labels before calibration: score 0.90, right 0.40 of 10."
        in words
    )
    assert "labels before calibration (dashed), share that is right" in page.text
    assert "10 labels: 0.100 (0.050 to 0.150), before calibration 0.300 (0.200 to 0.400)" in page.text
    assert "positive70.1200.010–0.2000.3400.300–0.400" in page.text and "gift70.1200.010–0.200–" in page.text


def test_scores_of_earlier_versions_are_drawn_as_they_are(folder):
    srsly.write_json(folder / "scores.json", make_full_scores())
    text = read_page(folder).text
    assert "Reliability" in text and "before calibration" not in text and "Each instruction by itself" not in text


def test_the_table_has_thresholds_and_marks_those_that_too_few_answers_speak_for(folder):
    doubt = "price: precision=0.95 was chosen on 7 held-out answers"
    thresholds = {
        "positive": {"threshold": 0.31, "target": "f1", "doubt": None},
        "price": {"threshold": 0.72, "target": "precision=0.95", "doubt": doubt},
    }
    scores = make_full_scores()
    srsly.write_json(folder / "scores.json", {**scores, "people": scores, "thresholds": thresholds})
    text = read_page(folder).text
    assert text.count("0.31for best F1") == 2 and text.count("0.72†for precision 0.95") == 2  # For people, too.
    assert text.count(f"† {doubt}") == 1 and text.count("†") == 3


@pytest.mark.parametrize(
    "noted", [{}, {"positive": {"threshold": 0.29}}, {"positive": {"threshold": "x", "target": 3}}]
)
def test_a_table_without_what_thresholds_are_for(folder, noted):
    srsly.write_json(folder / "scores.json", {**make_full_scores(), "thresholds": noted})
    text = read_page(folder).text
    is_known = noted.get("positive") == {"threshold": 0.29}
    assert ("threshold" in text) is is_known and ("0.29" in text) is is_known and "†" not in text


def test_where_answers_are_recorded_the_language_models_time_is_assumed_and_said_to_be(folder):
    note_time(folder, "mine", Took(2.0, n_texts=80))
    cost, text = find_cost(read_run(folder)), read_page(folder).text
    assert cost.pace.is_assumed and cost.pace.metamodel == 40.0
    assert cost.pace.llm == pytest.approx(16 / LATENCY_S / (cost.sample.n_requests / cost.sample.n_texts))
    assert "for it 1.5 s a request are assumed, 16 at a time. That is a statement, not a measurement." in text
    assert "40.0 texts a second by the metamodel. The language model was not asked" in text
    assert f"time for all texts≈ 2 s≈ {80 / cost.pace.llm:.0f} sassumed" in text
    note_time(folder, "annotate", Took(100.0, n_requests=40))
    assert "assumed" not in read_page(folder).text and find_cost(read_run(folder)).pace.llm == pytest.approx(0.4)


def test_the_page_reads_what_mining_with_a_guarantee_writes(tmp_path, saved, review_plan, llm_server):
    write_plan(review_plan, tmp_path / "plan.json")
    texts = [f"i paid {n} dollars and love it {n}" if n % 2 else f"the bad price broke {n}" for n in range(60)]
    srsly.write_jsonl(tmp_path / "corpus.jsonl", [{"id": str(n), "text": text} for n, text in enumerate(texts)])
    command = [
        "mine",
        saved,
        tmp_path / "corpus.jsonl",
        "--output",
        tmp_path / "rows.jsonl",
        "--store",
        tmp_path / "a.db",
    ]
    words = "recall=0.9, delta=0.1, on=positive+price"
    result = CliRunner().invoke(app, [str(one) for one in [*command, "--guarantee", words, "--quiet"]])
    assert result.exit_code == 0, result.output
    kept, text = find_kept(read_run(tmp_path)), read_page(tmp_path).text
    assert list(kept.lines) == ["positive", "price"] and not kept.unmet and kept.left_out == ["gift"]
    facts = {fact.name: fact.n for fact in kept.facts}
    assert facts["different texts"] == 60 and facts["the language model was asked about"] == len(llm_server.annotated)
    assert "What is promised" in text and "With a chance of at least 90%" in text
