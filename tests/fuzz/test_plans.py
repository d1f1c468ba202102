"""Plans and conditions, as a language model or a stranger might write them."""

from __future__ import annotations

import json

import pytest
from anything import fuzz, halves, json_values, words
from hypothesis import given
from hypothesis import strategies as st

from spacy_falconer.errors import FalconerError, PlanError
from spacy_falconer.plan import Plan, execute, format_tree, parse_condition, parse_plan, read_plan, write_plan
from spacy_falconer.types import ScoredSpan

NAMES = ("positive", "price", "gift")
GOOD = {
    "instruction": "Prices of loved gifts",
    "steps": [
        {"id": "positive", "op": "get_label", "instruction": "The reviewer is satisfied.", "one_of": "mood"},
        {"id": "negative", "op": "get_label", "instruction": "The reviewer is not satisfied.", "one_of": "mood"},
        {"id": "price", "op": "get_span", "instruction": "Amounts of money.", "when": "positive or not negative"},
        {"id": "paid", "op": "get_label", "instruction": "The reviewer paid {span}.", "for_each": "price"},
    ],
    "keep": "positive and price",
    "output": ["price", "paid"],
}
conditions = st.recursive(
    st.sampled_from([*NAMES, "true", "false"]),
    lambda inner: st.one_of(
        inner.map("not ({})".format),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map("({0[0]}) {0[1]} ({0[2]})".format),
    ),
    max_leaves=8,
)
alike = st.text(st.sampled_from("ab_1 ()\n.,'\"=+#:not and or true"), max_size=30)


@fuzz
@given(words | halves | alike)
def test_a_condition_is_refused_or_has_a_value(expression):
    try:
        condition = parse_condition(expression)
    except PlanError as error:
        assert "is no condition" in str(error)
    else:
        assert condition.evaluate({}) in (True, False)


@fuzz
@given(conditions, st.sets(st.sampled_from(NAMES)))
def test_a_condition_means_what_it_means_in_python(expression, true):
    values = {name: name in true for name in NAMES}
    expected = eval(expression, {}, {**values, "true": True, "false": False})  # noqa: S307 (made above)
    assert parse_condition(expression).evaluate(values) == expected


@fuzz
@given(json_values | words)
def test_anything_is_a_plan_or_is_refused(value):
    with pytest.raises(PlanError):
        parse_plan(value)


@fuzz
@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_file_is_a_plan_or_is_refused_by_its_name(tmp_path, data):
    path = tmp_path / "plan.json"
    path.write_bytes(data)
    with pytest.raises(PlanError):
        read_plan(path)


@st.composite
def spoiled_plans(draw):
    """The good plan with a value, or a field, changed somewhere."""
    plan = json.loads(json.dumps(GOOD))
    place = draw(st.sampled_from([plan, *plan["steps"]]))
    field = draw(st.sampled_from([*place, "when", "unit"]) | words)
    place[field] = draw(
        json_values | alike | conditions | st.sampled_from(["price", "get_span", "{span}", ["paid", "paid"]])
    )
    return plan


@fuzz
@given(spoiled_plans())
def test_a_spoiled_plan_is_refused_in_words_or_can_be_run(tmp_path, data):
    try:
        plan = parse_plan(data)
    except FalconerError as error:
        assert 20 < len(str(error)) < 1_500 and str(error).endswith((".", "'"))
        return
    assert format_tree(plan)
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan


class Guesser:
    """Answers steps by what hypothesis draws."""

    def __init__(self, draw):
        self.draw = draw

    def read_label(self, step, instruction, source):
        score = self.draw(st.floats(0, 1))
        return score, score >= 0.5

    def read_spans(self, step, instruction, source):
        n = self.draw(st.integers(0, 3))
        return [ScoredSpan("x", 2 * i, 2 * i + 1, 0.9) for i in range(n)]


@fuzz
@given(st.data())
def test_a_row_holds_what_was_asked_and_no_more(data):
    plan = Plan.model_validate(GOOD)
    row = execute(plan, Guesser(data.draw))
    if row is None:
        return
    assert json.loads(json.dumps(row)) == row
    assert row["spans"]["price"] and len(row["labels"]["paid"]) == len(row["spans"]["price"])
    assert row["labels"]["positive"] >= 0.5 and row["labels"]["positive"] >= row["labels"]["negative"]
