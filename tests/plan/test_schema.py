from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from pydantic import ValidationError

from spacy_falconer.errors import PlanError, UnsupportedPlanError
from spacy_falconer.plan import Plan, Step, parse_plan, plan_json_schema, read_plan, write_plan

DEMO: Mapping = {
    "instruction": "Extract all prices from positive reviews — “new” ones",
    "steps": [
        {"id": "positive", "op": "get_label", "instruction": "The reviewer is satisfied."},
        {"id": "price", "op": "get_span", "instruction": "Amounts of money.", "when": "positive"},
    ],
    "keep": "positive and price",
    "output": ["price"],
}
UNSUPPORTED = {"unsupported": True, "reason": "Counting over the corpus needs more than labels and passages."}


def test_parse_plan_gives_the_same_from_text_and_mapping():
    plan = parse_plan(DEMO)
    assert plan == parse_plan(json.dumps(DEMO)) == parse_plan(MappingProxyType(DEMO))
    assert (plan.keep, plan.output, plan.unit) == ("positive and price", ("price",), "document")


def test_defaults():
    plan = parse_plan({"instruction": "x", "steps": DEMO["steps"][:1]})
    assert (plan.keep, plan.output, plan.unit) == ("true", (), "document")
    assert plan.steps[0] == Step(id="positive", op="get_label", instruction="The reviewer is satisfied.")


def test_steps_by_op_and_id():
    plan = parse_plan(DEMO)
    positive, price = plan.steps
    assert (plan.label_steps, plan.span_steps) == ((positive,), (price,))
    assert plan.steps_by_id == {"positive": positive, "price": price}


def test_a_plan_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        parse_plan(DEMO).keep = "true"


def test_a_plan_built_in_python_is_checked_too():
    with pytest.raises(ValueError, match="unknown step in its 'keep': 'cheap'"):
        Plan(instruction="x", steps=[Step(id="price", op="get_span", instruction="Amounts.")], keep="cheap")


@pytest.mark.parametrize(
    ("filled_with", "expected"),
    [("lid", "lid fits lid"), ("{span}", "{span} fits {span}"), ("a\\1{0}", "a\\1{0} fits a\\1{0}")],
)
def test_fill(filled_with, expected):
    step = Step(id="fits", op="get_label", instruction="{span} fits {span}", for_each="part")
    assert step.fill(filled_with) == expected


@pytest.mark.parametrize("data", [UNSUPPORTED, json.dumps(UNSUPPORTED), {**DEMO, **UNSUPPORTED}])
def test_unsupported_gives_the_reason(data):
    with pytest.raises(UnsupportedPlanError) as caught:
        parse_plan(data)
    assert str(caught.value) == UNSUPPORTED["reason"]


@pytest.mark.parametrize("reason", [{}, {"reason": None}, {"reason": " "}])
def test_unsupported_without_a_reason(reason):
    with pytest.raises(UnsupportedPlanError, match="gave no reason"):
        parse_plan({"unsupported": True, **reason})


def test_write_then_read(tmp_path):
    path = tmp_path / "plan.json"
    write_plan(parse_plan(DEMO), path)
    assert read_plan(path) == parse_plan(DEMO)
    assert json.loads(path.read_text(encoding="utf8")) == {**DEMO, "unit": "document"}
    assert "“new”" in path.read_text(encoding="utf8")


@pytest.mark.parametrize("encoding", ["utf8", "utf-8-sig"])
def test_read_a_recorded_plan(tmp_path, encoding):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"model": "recorded", "plan": DEMO}), encoding=encoding)
    assert read_plan(path) == parse_plan(DEMO)


def test_read_an_unsupported_recorded_plan(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"model": "recorded", "plan": UNSUPPORTED}), encoding="utf8")
    with pytest.raises(UnsupportedPlanError, match="^Counting over"):
        read_plan(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"steps:", "no JSON"),
        (b'{"plan": []}', "Expected an object"),
    ],
)
def test_a_file_that_is_no_plan_is_named(tmp_path, content, message):
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PlanError, match=f"plan.json: .*{message}"):
        read_plan(path)


def test_json_schema_allows_a_plan_or_unsupported_and_nothing_else():
    schema = plan_json_schema()
    plan, step, unsupported = (schema["$defs"][name] for name in ("Plan", "Step", "Unsupported"))
    assert [option["$ref"] for option in schema["anyOf"]] == ["#/$defs/Plan", "#/$defs/Unsupported"]
    assert list(plan["properties"]) == ["instruction", "steps", "keep", "output", "unit"]
    assert list(step["properties"]) == ["id", "op", "instruction", "when", "one_of", "for_each"]
    assert step["properties"]["op"]["enum"] == ["get_label", "get_span"]
    assert unsupported["required"] == ["unsupported", "reason"]
    assert not any(part["additionalProperties"] for part in (plan, step, unsupported))
    assert all("description" in field for part in (plan, step) for field in part["properties"].values())
