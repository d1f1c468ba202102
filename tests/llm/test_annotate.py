from __future__ import annotations

import pytest

from spacy_falconer.errors import ServerError
from spacy_falconer.llm.annotate import recorded_answers, require_answers
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import parse_plan
from spacy_falconer.types import Answer, Quote

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


def test_a_missing_answer_says_how_to_get_it(store):
    answers = require_answers(["Paid $5.", "Meh."], PLAN, store)
    assert next(answers) == FULL
    with pytest.raises(ServerError, match="'Meh.'.*OPENAI_BASE_URL and OPENAI_API_KEY.*--recorded-only"):
        next(answers)
