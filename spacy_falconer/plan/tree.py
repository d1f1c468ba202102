"""A plan as a tree for people to read: its steps in order, each under what it depends on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from .schema import Plan, Step

Leaf = tuple[tuple[str, ...], str]  # the branches that lead to a line, and the line


def format_tree(plan: Plan) -> str:
    """Return the plan as a tree of lines, with nothing left out."""
    leaves = [(_name_branches(step), _format_step(step)) for step in plan.steps]
    leaves += [((), f"unit: {plan.unit}"), ((), f"keep: {_line(plan.keep)}")]
    leaves.append(((), f"output: {', '.join(plan.output) or _say_no_output(plan)}"))
    return "\n".join([_line(plan.instruction), *_grow(leaves)])


def _say_no_output(plan: Plan) -> str:
    spans = [step.id for step in plan.steps if step.op == "get_span"]
    return f"the kept texts, without the passages of {', '.join(spans)}" if spans else "the kept texts"


def _name_branches(step: Step) -> tuple[str, ...]:
    captions = {"when": step.when, "for each": step.for_each, "one of": step.one_of}
    return tuple(f"{word} {_line(value)}" for word, value in captions.items() if value is not None)


def _format_step(step: Step) -> str:
    return f"{step.id} = {step.op}: {_line(step.instruction)}"


def _grow(leaves: Sequence[Leaf]) -> Iterator[str]:
    """Yield the lines of the leaves. Neighbours on the same branch are drawn together."""
    twigs = list(_split(leaves))
    for number, (caption, inner) in enumerate(twigs, start=1):
        joint, bar = ("├── ", "│   ") if number < len(twigs) else ("└── ", "    ")
        yield joint + caption
        yield from (bar + line for line in _grow(inner))


def _split(leaves: Sequence[Leaf]) -> Iterator[tuple[str, list[Leaf]]]:
    for branch, group in groupby(leaves, key=lambda leaf: leaf[0][:1]):
        if branch:
            yield branch[0], [(path[1:], line) for path, line in group]
        else:
            yield from ((line, []) for _, line in group)


def _line(text: str) -> str:
    """Return the text on one line, without the control characters that could affect a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
