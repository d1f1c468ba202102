"""Replies of a language model, whatever it replies."""

from __future__ import annotations

import json

import pytest
from anything import fuzz, halves, json_values, words
from hypothesis import given
from hypothesis import strategies as st

from spacy_falconer.errors import ReplyError
from spacy_falconer.llm.questions import find_problems, make_answer, parse_object, parse_reply, place_quotes
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import Step

STEPS = [
    Step(id="positive", op="get_label", instruction="The reviewer is satisfied."),
    Step(id="price", op="get_span", instruction="Amounts of money."),
]
TEXT = "Paid $25 for it, \0 and $25 more."


@fuzz
@given(words | halves | json_values.map(json.dumps) | words.map("{{{}}}".format))
def test_a_reply_is_an_object_or_is_refused(content):
    try:
        assert isinstance(parse_object(content), dict)
    except ReplyError as error:
        assert len(str(error)) < 400


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with AnswerStore(tmp_path_factory.mktemp("store") / "answers.db") as opened:
        yield opened


said = st.fixed_dictionaries(
    {
        "positive": st.booleans() | json_values,
        "price": st.lists(words | halves | st.just("$25"), max_size=4) | json_values,
    }
)


@fuzz
@given(said, words, words)
def test_what_is_taken_of_a_reply_can_be_kept(store, value, before, after):
    try:
        read = parse_reply(before.replace("{", "") + json.dumps(value) + after.replace("}", ""), STEPS)
    except ReplyError:
        return
    placed = place_quotes(TEXT, read, STEPS)
    answer = make_answer(TEXT, "a model", STEPS, read, placed)
    assert answer.labels == {STEPS[0].instruction: read["positive"]}
    assert len(find_problems(placed)) == sum(quote.start is None for quote in placed["price"])
    store.put(answer)
