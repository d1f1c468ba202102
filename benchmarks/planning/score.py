"""Run a plan over recorded answers, and compare the rows with those of the gold plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spacy_falconer.plan import Plan, Step, execute, parse_plan
from spacy_falconer.types import ScoredSpan

OPS = {"get_label": "labels", "get_span": "spans"}
Table = list[dict[str, Any]]  # a row: the text's "id", and a value per column


@dataclass(frozen=True)
class Meaning:
    """The gold primitive that a step stands for, or the opposite of it."""

    primitive: str
    is_opposite: bool = False


Meanings = Mapping[str, Meaning]  # by step id


@dataclass(frozen=True)
class RecordedReader:
    """Answers the steps of a plan with what was recorded of the primitives that they mean."""

    answers: Mapping[str, Any]
    meanings: Meanings

    def read_label(self, step: Step, instruction: str) -> tuple[float, bool]:
        meaning = self.meanings[step.id]
        value = self.answers["labels"][meaning.primitive]
        return float(value), value != meaning.is_opposite

    def read_spans(self, step: Step, instruction: str) -> list[ScoredSpan]:
        quotes = self.answers["spans"][self.meanings[step.id].primitive]
        return [ScoredSpan(quote, 0, 0, 1.0) for quote in quotes]


def make_gold(item: Mapping[str, Any], instructions: Mapping[str, str]) -> tuple[Plan, Meanings]:
    """The gold plan of an item; its step ids are the primitives."""
    steps = [{**step, "instruction": instructions[step["id"]]} for step in item["gold"]["steps"]]
    fields = {key: item["gold"][key] for key in ("keep", "output") if key in item["gold"]}
    plan = parse_plan({"instruction": item["instruction"], "steps": steps, **fields})
    return plan, {step.id: Meaning(step.id) for step in plan.steps}


def run_plan(plan: Plan, meanings: Meanings, texts: Iterable[Mapping[str, Any]]) -> Table:
    """The plan's rows. Steps of one primitive share a column, as where each branch of a condition has its own."""
    table = []
    for text in texts:
        row = execute(plan, RecordedReader(text, meanings))
        if row is not None:
            table.append({"id": text["id"], **_read_columns(plan, meanings, row)})
    return table


def score_tables(found: Table, gold: Table) -> float:
    """F1 over (text, column, value); over the texts where the gold has no columns.

    A label column that the gold lacks is free; a span column that it lacks costs precision.
    """
    names = _find_columns(gold)
    if not names:
        return _score(Counter(row["id"] for row in found), Counter(row["id"] for row in gold))
    free = {name for row in found for name, value in row.items() if isinstance(value, bool)} - names
    return _score(_count_cells(found, _find_columns(found) - free), _count_cells(gold, names))


def _read_columns(plan: Plan, meanings: Meanings, row: Mapping[str, Any]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for step in plan.steps:
        name = meanings[step.id].primitive
        if step.id in plan.output and columns.get(name) in (None, []):
            columns[name] = _read_cell(step, row)
    return columns


def _read_cell(step: Step, row: Mapping[str, Any]) -> bool | list[str] | None:
    value = row[OPS[step.op]].get(step.id)
    if value is None:  # the step was not run
        return None
    return [span["text"] for span in value] if step.op == "get_span" else bool(value)


def _find_columns(table: Table) -> set[str]:
    return {name for row in table for name in row} - {"id"}


def _count_cells(table: Table, names: set[str]) -> Counter:
    cells: Counter = Counter()
    for row in table:
        for name in names & set(row):
            values = row[name] if isinstance(row[name], list) else [row[name]]
            cells.update((row["id"], name, value) for value in values if value is not None)
    return cells


def _score(found: Counter, gold: Counter) -> float:
    if not found and not gold:
        return 1.0
    return 2 * (found & gold).total() / (found.total() + gold.total())
