"""Run a plan over recorded answers, and compare the rows with those of the gold plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from benchmarks.planning.corpora import OPS, Corpus, Item, Primitive, Unit
from spacy_falconer.plan import Plan, Step, execute, execute_sentences, parse_plan
from spacy_falconer.types import ScoredSpan

Cells = list[Any]  # bool or str; of a step with `for_each`, (the passage's words, bool or str)
Table = dict[tuple, dict[str, Cells]]  # by (text id,) or (text id, start, end of a sentence): cells by column


@dataclass(frozen=True)
class Meaning:
    """The gold primitive that a step stands for, or the opposite of it."""

    primitive: str
    is_opposite: bool = False


Meanings = Mapping[str, Meaning]  # by step id


@dataclass(frozen=True)
class RecordedReader:
    """Answers the steps of a plan with what was recorded of the primitives that they mean."""

    unit: Unit
    plan: Plan
    meanings: Meanings

    def read_label(self, step: Step, instruction: str, source: ScoredSpan | None) -> tuple[float, bool]:
        meaning = self.meanings[step.id]
        score = float(self._find_answers(step, instruction)["labels"][meaning.primitive])
        return (1 - score, score == 0) if meaning.is_opposite else (score, score > 0)

    def read_spans(self, step: Step, instruction: str, source: ScoredSpan | None) -> list[ScoredSpan]:
        return list(self._find_answers(step, instruction)["spans"][self.meanings[step.id].primitive])

    def _find_answers(self, step: Step, instruction: str) -> Mapping[str, Any]:
        if step.for_each is None:
            return {"labels": self.unit.labels, "spans": self.unit.spans}
        source = self.meanings[step.for_each].primitive
        words = {span.text for span in self.unit.spans[source]}
        return self.unit.about[source, next(word for word in words if step.fill(word) == instruction)]


def make_gold(item: Item, primitives: Iterable[Primitive]) -> tuple[Plan, Meanings]:
    """The gold plan of an item; its step ids are the primitives."""
    instructions = {primitive.name: primitive.instruction for primitive in primitives}
    steps = [{**step, "instruction": instructions[step["id"]]} for step in item["gold"]["steps"]]
    fields = {key: value for key, value in item["gold"].items() if key != "steps"}
    plan = parse_plan({"instruction": item["instruction"], "steps": steps, **fields})
    return plan, {step.id: Meaning(step.id) for step in plan.steps}


def list_choices(plan: Plan, meanings: Meanings) -> set[str]:
    """The primitives among which the plan chooses: what was not chosen is no cell of theirs."""
    return {meanings[step.id].primitive for step in plan.steps if step.one_of}


def run_plan(plan: Plan, meanings: Meanings, corpus: Corpus) -> Table:
    """The plan's rows. Steps of one primitive share a column, as where each branch of a condition has its own."""
    table: Table = {}
    for unit in corpus.sentences if plan.unit == "sentence" else corpus.documents:
        reader = RecordedReader(unit, plan, meanings)
        row = _execute(plan, reader)
        if row is not None:
            table[_make_key(unit)] = _read_columns(plan, reader, row)
    return table


def score_tables(found: Table, gold: Table, choices: Set[str] = frozenset()) -> float:
    """F1 over (text, column, value); over the texts where the gold has no columns.

    A label column that the gold lacks is free; a span column that it lacks costs precision.
    """
    names = _find_columns(gold)
    if not names:
        return _score(Counter(list(found)), Counter(list(gold)))
    free = {name for row in found.values() for name, cells in row.items() if any(map(_is_label, cells))} - names
    return _score(
        _count_cells(found, _find_columns(found) - free, choices),
        _count_cells(gold, names, choices),
    )


def _execute(plan: Plan, reader: RecordedReader) -> dict[str, Any] | None:
    """The row of one text or sentence, by the package's own execution."""
    if reader.unit.place is None:
        return execute(plan, reader)
    return next(iter(execute_sentences(plan, [(reader.unit.place, reader)])), None)


def _make_key(unit: Unit) -> tuple:
    """A text of one sentence is the same row for both units."""
    return (unit.id,) if unit.place is None or unit.is_whole else (unit.id, unit.place.start, unit.place.end)


def _read_columns(plan: Plan, reader: RecordedReader, row: Mapping[str, Any]) -> dict[str, Cells]:
    columns: dict[str, Cells] = {}
    for step in plan.steps:
        if step.id in plan.output:
            name = reader.meanings[step.id].primitive
            columns[name] = columns.get(name) or _read_cells(step, plan, reader, row)
    return columns


def _read_cells(step: Step, plan: Plan, reader: RecordedReader, row: Mapping[str, Any]) -> Cells:
    found = row[OPS[step.op]].get(step.id)
    if found is None:  # the step was not run
        return []
    if step.op == "get_span":
        return [span["text"] if step.for_each is None else (span["for"]["text"], span["text"]) for span in found]
    is_opposite = reader.meanings[step.id].is_opposite
    if step.for_each is None:
        return [_holds(step, plan, reader) != is_opposite]
    return [(answer["for"]["text"], answer["value"] != is_opposite) for answer in found]


def _holds(step: Step, plan: Plan, reader: RecordedReader) -> bool:
    """Whether the label is true in the end, as one of its group: whether a plan that keeps by it keeps the text."""
    return _execute(plan.model_copy(update={"keep": step.id}), reader) is not None


def _is_label(cell: Any) -> bool:
    return isinstance(cell[-1] if isinstance(cell, tuple) else cell, bool)


def _is_false(cell: Any) -> bool:
    return _is_label(cell) and not (cell[-1] if isinstance(cell, tuple) else cell)


def _find_columns(table: Table) -> set[str]:
    return {name for row in table.values() for name in row}


def _count_cells(table: Table, names: Set[str], choices: Set[str]) -> Counter:
    return Counter(
        (key, name, cell)
        for key, row in table.items()
        for name in names & set(row)
        for cell in row[name]
        if not (name in choices and _is_false(cell))
    )


def _score(found: Counter, gold: Counter) -> float:
    if not found and not gold:
        return 1.0
    return 2 * (found & gold).total() / (found.total() + gold.total())
