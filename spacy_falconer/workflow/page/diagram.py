"""Place a plan's steps as boxes and arrows, which plan.svg.jinja draws."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spacy_falconer.plan import Plan, Step, parse_condition
from spacy_falconer.workflow.page.rows import N_COLORS

WIDTH, PADDING, GAP = 360, 10, 12
LINE, TITLE = 17, 20
MAX_LANES, LANE = 5, 8
N_CHARACTERS, MAX_LINES = 40, 4


@dataclass(frozen=True)
class Box:
    """A step, or the result. `lines`: Its instruction; `notes`: its conditions. `color`: None for the result."""

    key: str
    op: str
    lines: list[str]
    notes: list[str]
    color: int | None
    y: float

    @property
    def height(self) -> float:
        return 2 * PADDING + TITLE + LINE * (len(self.lines) + len(self.notes))


@dataclass(frozen=True)
class Arrow:
    """An arrow from a step to one that depends on its answer."""

    color: int
    path: str


@dataclass(frozen=True)
class Diagram:
    boxes: list[Box]
    arrows: list[Arrow]
    left: float

    @property
    def height(self) -> float:
        return self.boxes[-1].y + self.boxes[-1].height + 2


def draw_plan(plan: Plan) -> Diagram:
    boxes = list(place_boxes(plan))
    links = [(source, box) for box in boxes for source in find_sources(box, plan, boxes)]
    lanes = {key: n % MAX_LANES for n, key in enumerate(dict.fromkeys(source.key for source, _ in links))}
    left = 4 + LANE * (1 + max(lanes.values(), default=-1)) if lanes else 1
    arrived: dict[str, int] = {}
    arrows = []
    for source, target in links:
        arrived[target.key] = arrived.get(target.key, 0) + 1
        x, bend = left - LANE * (1 + lanes[source.key]), min(PADDING + 5 * arrived[target.key], target.height - 4)
        path = f"M{left} {source.y + source.height - 8:g}H{x:g}V{target.y + bend:g}H{left - 1:g}"
        arrows.append(Arrow(source.color or 0, path))
    return Diagram(boxes, arrows, left)


def place_boxes(plan: Plan) -> Iterator[Box]:
    y = 1.0
    for number, step in enumerate(plan.steps):
        box = Box(step.id, step.op, wrap(step.instruction), list_notes(step), number % N_COLORS, y)
        y += box.height + GAP
        yield box
    result = plan.output or ("the kept texts",)
    kept = f"every {plan.unit}" if plan.keep.strip() == "true" else plan.keep
    yield Box("→ the result", "", wrap(f"keep: {kept}"), wrap(f"columns: {', '.join(result)}"), None, y)


def find_sources(box: Box, plan: Plan, boxes: list[Box]) -> Iterator[Box]:
    """Return the boxes of the steps that a box depends on, in their order."""
    step = plan.steps_by_id.get(box.key)
    names = set(parse_condition((step.when or "true") if step else plan.keep).names)
    names |= {step.for_each} if step and step.for_each else set()
    names |= set() if step else set(plan.output)
    return (one for one in boxes if one.key in names)


def list_notes(step: Step) -> list[str]:
    notes: Mapping[str, str | None] = {"only when": step.when, "for each": step.for_each, "one of": step.one_of}
    return [line for word, value in notes.items() if value is not None for line in wrap(f"{word} {value}")]


def wrap(text: str) -> list[str]:
    """Return lines that fit a box, for letters of average width; an ellipsis takes the place of the rest."""
    is_wide = any(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return textwrap.wrap(
        text, N_CHARACTERS // 2 if is_wide else N_CHARACTERS, max_lines=MAX_LINES, placeholder=" …"
    ) or [""]  # fmt: skip
