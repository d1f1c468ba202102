"""The schema of a plan. The checks, the JSON schema sent to the planner and the docs all come from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from ..errors import PlanError, UnsupportedPlanError
from .check import SPAN_SLOT, check_plan, name_step
from .show import show, show_ids

NOT_BLANK = r"\S"
Name = Annotated[str, Field(pattern=NOT_BLANK, max_length=64)]
Instruction = Annotated[str, Field(pattern=NOT_BLANK, max_length=4_000)]

# The classes' docstrings and the fields' descriptions are sent to the planner. Error messages use the descriptions, too,
# after "Expected".


class Step(BaseModel):
    """One call of a primitive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(
        pattern=r"^[a-z][a-z0-9_]*$",
        max_length=64,
        description="a name of its own: a letter a to z, then letters a to z, digits and _, 64 characters at most",
    )
    op: Literal["get_label", "get_span"] = Field(
        description="get_label (is this statement true of the text?) or get_span (which passages answer this?)"
    )
    instruction: Instruction = Field(
        description="for get_label a statement that is true or false of a text, for get_span a description of the "
        "passages to find, 4,000 characters at most; with for_each it holds {span}"
    )
    when: str | None = Field(
        default=None,
        description="a condition: ids of earlier steps, and, or, not, parentheses, true and false. "
        "Where it is false the step is not run",
    )
    one_of: Name | None = Field(
        default=None,
        description="a group name, 64 characters at most: of the get_label steps of one group at most one is true",
    )
    for_each: Name | None = Field(
        default=None,
        description="the id of an earlier get_span step: this step runs once for each passage found there, "
        "which takes the place of {span} in the instruction",
    )

    def fill(self, span_text: str) -> str:
        """Return the instruction with one passage of the `for_each` step filled in."""
        return self.instruction.replace(SPAN_SLOT, span_text)


class Plan(BaseModel):
    """The steps that answer the user's sentence, and what of their answers is the result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instruction: Instruction = Field(description="the user's sentence, 4,000 characters at most")
    steps: tuple[Step, ...] = Field(min_length=1, description="a list of one step or more, in the order they run")
    keep: str = Field(
        default="true",
        description="a condition like a step's 'when', but over all steps: which texts are in the result",
    )
    output: tuple[str, ...] = Field(
        default=(), description="a list of the step ids shown as columns, empty where the kept texts are the answer"
    )
    unit: Literal["document", "sentence"] = Field(
        default="document", description="document, or sentence to treat every sentence as a text of its own"
    )

    @model_validator(mode="after")
    def _check(self) -> Plan:  # so that every `Plan` can be run
        check_plan(self)
        return self

    @property
    def label_steps(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.op == "get_label")

    @property
    def span_steps(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.op == "get_span")

    def text_steps(self, op: str | None = None) -> tuple[Step, ...]:
        """Return the steps of one or both primitives that ask about the text itself. Steps with `for_each` ask about its
        passages, and are left out."""
        return tuple(step for step in self.steps if step.for_each is None and op in (None, step.op))

    @property
    def steps_by_id(self) -> dict[str, Step]:
        return {step.id: step for step in self.steps}


class Unsupported(BaseModel):
    """The reply where the two primitives cannot answer, as for counts over the corpus and for summaries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unsupported: Literal[True]
    reason: str = Field(description="why, in words for the user")


def plan_json_schema() -> dict[str, Any]:
    """Return the JSON schema of a planner's reply: a plan, or the statement that the sentence is unsupported."""
    return TypeAdapter(Plan | Unsupported).json_schema()


def parse_plan(data: Mapping[str, Any] | str) -> Plan:
    """Make a plan from a mapping or from JSON text.

    RAISES (UnsupportedPlanError): The planner replied that the sentence is unsupported. The message is its reason.
    RAISES (PlanError): The plan is malformed. The message names the step, the value and the remedy.
    """
    fields = _parse_json(data) if isinstance(data, str) else data
    if isinstance(fields, Mapping):
        fields = dict(fields)
        if fields.get("unsupported") is True:
            _refuse_unsupported(fields.get("reason"))
    try:
        return Plan.model_validate(fields)
    except ValidationError as error:
        raise _explain(error, fields) from None


def read_plan(path: str | Path) -> Plan:
    """Read a plan file, or a recorded plan: `{"model": ..., "plan": {...}}`.

    RAISES (PlanError): As for `parse_plan`, or the file cannot be read. The message begins with the path.
    """
    try:
        data = _parse_json(_read_text(Path(path)))
        is_recorded = isinstance(data, dict) and "plan" in data
        return parse_plan(data["plan"] if is_recorded else data)
    except UnsupportedPlanError:
        raise
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from None


def write_plan(plan: Plan, path: str | Path) -> None:
    text = json.dumps(plan.model_dump(mode="json", exclude_none=True), ensure_ascii=False, indent=2)
    Path(path).write_text(text + "\n", encoding="utf8")


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # an editor may have added a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"The plan cannot be read ({error}). Expected a JSON file in UTF-8. Check the path.") from None


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PlanError(
            f"The plan is no JSON: {show(text)} ({error}). Expected an object with 'instruction' and 'steps'. "
            "Correct the text."
        ) from None


def _refuse_unsupported(reason: object) -> NoReturn:
    stated = isinstance(reason, str) and reason.strip()
    raise UnsupportedPlanError(stated or "The planner gave no reason. Ask for labels and passages of single texts.")


def _explain(error: ValidationError, data: Any) -> PlanError:
    """Turn pydantic's first error into one with the step, the value and the remedy."""
    first = error.errors(include_url=False)[0]
    if isinstance(cause := first.get("ctx", {}).get("error"), PlanError):
        return cause
    match first["loc"]:
        case ("steps", int(place)):
            return PlanError(f"Step {place + 1} is {show(first['input'])}. Expected {_list_fields(Step)}. Correct it.")
        case ("steps", int(place), field, *_):
            return _explain_field(name_step(place, data["steps"][place].get("id")), Step, field, first)
        case (field, *_):
            return _explain_field("The plan", Plan, field, first)
    return PlanError(f"The plan is {show(data)}. Expected {_list_fields(Plan)}. Correct it.")


def _explain_field(where: str, model: type[BaseModel], field: Any, details: Mapping[str, Any]) -> PlanError:
    if field not in model.model_fields:
        value = show(details["input"])
        known = show_ids(model.model_fields)
        return PlanError(f"{where} has an unknown field {show(field)}: {value}. Known fields: {known}. Remove it.")
    expected = model.model_fields[field].description
    if details["type"] == "missing":
        return PlanError(f"{where} has no {field!r}. Expected {expected}. Add it.")
    return PlanError(f"{where} has {show(details['input'])} in its {field!r}. Expected {expected}. Correct it.")


def _list_fields(model: type[BaseModel]) -> str:
    return f"an object with the fields {show_ids(model.model_fields)}"
