from __future__ import annotations

from dataclasses import replace

import pytest

from spacy_falconer.llm.annotate import count_stale, recorded_answers
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import parse_plan
from spacy_falconer.types import Answer, CharSpan, Quote

PLAN = parse_plan({
    "instruction": "Prices",
    "steps": [
        {"id": "positive", "op": "get_label", "instruction": "Good."},
        {"id": "price", "op": "get_span", "instruction": "Money."},
        {"id": "cheap", "op": "get_label", "instruction": "{span} is cheap.", "for_each": "price"},
    ],
})  # fmt: skip
FULL = Answer("Paid $5.", "m", {"Good.": True}, {"Money.": (Quote("$5"),)})
HALF = Answer("Meh.", "m", {"Good.": False}, {})
OTHER = Answer("Fine.", "other", {"Good.": True, "Unasked.": True}, {"Money.": ()})


@pytest.fixture
def store(tmp_path):
    with AnswerStore(tmp_path / "answers.db") as opened:
        opened.put_many([FULL, HALF, OTHER])
        yield opened


def test_only_texts_answered_in_full_each_once(store):
    texts = ["Fine.", "Unknown.", "Paid $5.", "Meh.", "Paid $5."]
    answers = list(recorded_answers(texts, PLAN, store))
    assert answers == [Answer("Fine.", "other", {"Good.": True}, {"Money.": ()}), FULL]


def test_only_the_model_that_is_asked_for(store):
    assert list(recorded_answers(["Fine.", "Paid $5."], PLAN, store, model="m")) == [FULL]


def test_what_was_said_of_passages_comes_along_but_is_not_required(store):
    about = {CharSpan(5, 7): Answer("Paid $5.", "m", {"$5 is cheap.": True})}
    store.put(Answer("Paid $5.", "m", about=about))
    [answer] = recorded_answers(["Paid $5."], PLAN, store)
    assert answer == replace(FULL, about=about)


def test_only_answers_to_the_prompt_as_it_is_where_that_is_wanted(store):
    store.put(Answer("New.", "m", {"Good.": True}, {"Money.": ()}), version="old")
    assert [one.text for one in recorded_answers(["New.", "Fine."], PLAN, store)] == ["New.", "Fine."]
    assert [one.text for one in recorded_answers(["New.", "Fine."], PLAN, store, version="now")] == ["Fine."]
    assert count_stale(["New.", "Fine."], PLAN, store) == 2
