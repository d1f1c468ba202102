"""What the report says of how far a run can be trusted: its guarantee, its thresholds, what its scores mean, its pace."""

from __future__ import annotations

import json

import pytest
from reports import HOSTILE, Page, make_hostile, write_run

from spacy_falconer.workflow.page import make_page, read_run
from spacy_falconer.workflow.page.promise import find_kept

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
    noted = {**json.loads(path.read_text(encoding="utf8")), "guarantee": {**KEPT, **changes}}
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
    assert "without an answer: the language model was asked in vain" in text
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
