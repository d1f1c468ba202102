"""Check what the schema of a plan cannot: that every step can run, in the order of the steps."""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import PlanError
from .conditions import Condition, parse_condition
from .show import show, show_ids

if TYPE_CHECKING:  # schema.py calls this module
    from .schema import Plan, Step

SPAN_SLOT = "{span}"


def check_plan(plan: Plan) -> None:
    """Check that a plan can be run as it is.

    RAISES (PlanError): It cannot. The message names the step, the value and the remedy.
    """
    _check_ids(plan.steps)
    _check_groups(plan.steps)
    known_after = _find_known_after(plan.steps)
    for place, step in enumerate(plan.steps):
        _check_when(place, plan.steps, known_after)
        _check_for_each(place, plan.steps)
        _check_slot(name_step(place, step.id), step)
    _check_keep(plan.keep, known_after)
    _check_output(plan.output, known_after)


def name_step(place: int, step_id: object) -> str:
    """Return the name of a step in messages, counted from 1: `Step 2 'price'`."""
    return f"Step {place + 1} {show(step_id)}" if isinstance(step_id, str) else f"Step {place + 1}"


def _check_ids(steps: Sequence[Step]) -> None:
    first_places: dict[str, int] = {}
    for place, step in enumerate(steps):
        name = name_step(place, step.id)
        if step.id in ("true", "false") or keyword.iskeyword(step.id):
            raise PlanError(f"{name} has a reserved word as its id. Rename it, for example to '{step.id}_1'.")
        if step.id in first_places:
            raise PlanError(f"{name} has the same id as step {first_places[step.id] + 1}. Rename one of the two.")
        first_places[step.id] = place


def _check_groups(steps: Sequence[Step]) -> None:
    groups: dict[str, list[tuple[str, Step]]] = {}
    for place, step in enumerate(steps):
        if step.one_of is not None:
            groups.setdefault(step.one_of, []).append((name_step(place, step.id), step))
    for group, members in groups.items():
        _check_group(f"its 'one_of' group {show(group)}", members)


def _check_group(group: str, members: Sequence[tuple[str, Step]]) -> None:
    first_name, first = members[0]
    for name, step in members:
        if step.op != "get_label":
            raise PlanError(f"{name} is a {step.op} step in {group}. Only labels exclude each other. Remove 'one_of'.")
        if step.for_each != first.for_each:
            raise PlanError(
                f"{name} has 'for_each' {show(step.for_each)}, but {first_name} of {group} has "
                f"{show(first.for_each)}. Give the steps of a group the same 'for_each', or another group name."
            )
    if len(members) < 2:
        raise PlanError(
            f"{first_name} is alone in {group}. A choice needs two labels or more. Add one, or remove 'one_of'."
        )


def _find_known_after(steps: Sequence[Step]) -> dict[str, int]:
    """Return the index of the step after which each id's value is known: its own, or the last of its `one_of` group."""
    last_of_group = {step.one_of: place for place, step in enumerate(steps)}
    return {step.id: last_of_group[step.one_of] if step.one_of else place for place, step in enumerate(steps)}


def _check_when(place: int, steps: Sequence[Step], known_after: Mapping[str, int]) -> None:
    step = steps[place]
    if step.when is None:
        return
    name = name_step(place, step.id)
    for read in sorted(_parse(f"{name}, 'when'", step.when).names):
        if read not in known_after:
            earlier = show_ids(step.id for step in steps[:place])
            raise PlanError(
                f"{name} names an unknown step in its 'when': {show(read)}. Earlier steps: {earlier}. "
                "Correct its 'when'."
            )
        if (last := known_after[read]) >= place:
            raise PlanError(
                f"{name} reads {show(read)} in its 'when' {show(step.when)}, but that is known only after step "
                f"{last + 1} {show(steps[last].id)}. Steps run in order: reorder them, or correct its 'when'."
            )


def _check_for_each(place: int, steps: Sequence[Step]) -> None:
    step = steps[place]
    sources = [earlier.id for earlier in steps[:place] if earlier.op == "get_span" and earlier.for_each is None]
    if step.for_each is not None and step.for_each not in sources:
        raise PlanError(
            f"{name_step(place, step.id)} has {show(step.for_each)} in its 'for_each'. Expected the id of an earlier "
            f"get_span step that has no 'for_each' itself: {show_ids(sources)}. Correct its 'for_each', or remove it."
        )


def _check_slot(name: str, step: Step) -> None:
    has_slot = SPAN_SLOT in step.instruction
    if has_slot and step.for_each is None:
        raise PlanError(
            f"{name} has '{SPAN_SLOT}' in its instruction {show(step.instruction)}, but no 'for_each' to fill it. "
            f"Add 'for_each', or take out '{SPAN_SLOT}'."
        )
    if step.for_each is not None and not has_slot:
        raise PlanError(
            f"{name} runs for each {show(step.for_each)}, but its instruction {show(step.instruction)} has no "
            f"'{SPAN_SLOT}'. Put '{SPAN_SLOT}' where the found text belongs, or remove 'for_each'."
        )


def _check_keep(keep: str, known: Mapping[str, int]) -> None:
    for read in sorted(_parse("The plan, 'keep'", keep).names - set(known)):
        raise PlanError(
            f"The plan names an unknown step in its 'keep': {show(read)}. Known steps: {show_ids(known)}. "
            "Correct its 'keep'."
        )


def _check_output(output: Sequence[str], known: Mapping[str, int]) -> None:
    for place, column in enumerate(output):
        if column not in known:
            raise PlanError(
                f"The plan names an unknown step in its 'output': {show(column)}. Known steps: {show_ids(known)}. "
                "Correct its 'output'."
            )
        if column in output[:place]:
            raise PlanError(f"The plan lists {show(column)} twice in its 'output'. Name each step once: remove one.")


def _parse(where: str, expression: str) -> Condition:
    try:
        return parse_condition(expression)
    except PlanError as error:
        raise PlanError(f"{where}: {error}") from None
