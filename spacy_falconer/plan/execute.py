"""Run a plan over one text, without side effects: a `Reader` answers the steps, and the result is plain data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ..types import CharSpan, ScoredSpan
from .conditions import parse_condition
from .schema import Plan, Step

Row = dict[str, Any]  # {"labels": {id: score}, "spans": {id: [...]}}: only str, int, float, bool, list and dict


class Reader(Protocol):
    """Answers the steps of a plan about one text.

    source: The passage that a `for_each` step asks about; None if it asks about the text.
    """

    def read_label(self, step: Step, instruction: str, source: ScoredSpan | None) -> tuple[float, bool]:
        """Return the score, and whether it is at or above the step's threshold."""
        ...

    def read_spans(self, step: Step, instruction: str, source: ScoredSpan | None) -> list[ScoredSpan]: ...


@dataclass(frozen=True)
class LabelReading:
    """A label's answer about the whole text, or about one `source` passage of a `for_each` step."""

    source: ScoredSpan | None
    score: float
    is_true: bool


@dataclass(frozen=True)
class SpanReading:
    """A passage found for the whole text, or for one `source` passage of a `for_each` step."""

    source: ScoredSpan | None
    span: ScoredSpan


@dataclass
class Readings:
    """What the steps that ran have answered so far. A step that was not run is not a key."""

    labels: dict[str, list[LabelReading]] = field(default_factory=dict)
    spans: dict[str, list[SpanReading]] = field(default_factory=dict)

    def satisfy(self, condition: str) -> bool:
        found = {key: bool(spans) for key, spans in self.spans.items()}
        said = {key: any(reading.is_true for reading in labels) for key, labels in self.labels.items()}
        return parse_condition(condition).evaluate(found | said)


def execute(plan: Plan, reader: Reader) -> Row | None:
    """Run the plan over one text.

    A step whose `when` is false is not run, nor is a `for_each` step whose source step was not run.

    RETURNS (Row | None): All labels that were read, and the spans of the output steps. None if `keep` is false.
    """
    readings = Readings()
    for step in plan.steps:
        sources = _find_sources(step, readings)
        if sources is None or not readings.satisfy(step.when or "true"):
            continue
        if step.op == "get_span":
            readings.spans[step.id] = _read_spans(step, sources, reader)
        else:
            readings.labels[step.id] = _read_labels(step, sources, reader)
            readings.labels.update(_settle(_find_rivals(step, plan, readings)))
    return _make_row(plan, readings) if readings.satisfy(plan.keep) else None


def execute_sentences(plan: Plan, readers: Iterable[tuple[CharSpan, Reader]]) -> list[Row]:
    """Run the plan over the sentences of one text, each with a reader of its own.

    readers (Iterable): Each sentence's characters, and a reader whose offsets count from the start of the sentence.
    RETURNS (list[Row]): One row per kept sentence, with its characters. All offsets are those of the whole text.
    """
    rows = []
    for sentence, reader in readers:
        row = execute(plan, _ShiftedReader(reader, sentence.start))
        if row is not None:
            rows.append({"sentence": {"start": sentence.start, "end": sentence.end}, **row})
    return rows


@dataclass(frozen=True)
class _ShiftedReader:
    """Wraps a sentence's reader, and moves its spans to their places in the whole text."""

    reader: Reader
    offset: int

    def read_label(self, step: Step, instruction: str, source: ScoredSpan | None) -> tuple[float, bool]:
        return self.reader.read_label(step, instruction, source and _move(source, -self.offset))

    def read_spans(self, step: Step, instruction: str, source: ScoredSpan | None) -> list[ScoredSpan]:
        spans = self.reader.read_spans(step, instruction, source and _move(source, -self.offset))
        return [_move(span, self.offset) for span in spans]


def _move(span: ScoredSpan, offset: int) -> ScoredSpan:
    return replace(span, start=span.start + offset, end=span.end + offset)


def _find_sources(step: Step, readings: Readings) -> list[ScoredSpan | None] | None:
    """Return what the step asks about: `[None]` for the text, or the passages of its source step; None if that did not run."""
    if step.for_each is None:
        return [None]
    if step.for_each not in readings.spans:
        return None
    return [reading.span for reading in readings.spans[step.for_each]]


def _fill(step: Step, source: ScoredSpan | None) -> str:
    return step.instruction if source is None else step.fill(source.text)


def _read_spans(step: Step, sources: list[ScoredSpan | None], reader: Reader) -> list[SpanReading]:
    return [
        SpanReading(source, span) for source in sources for span in reader.read_spans(step, _fill(step, source), source)
    ]


def _read_labels(step: Step, sources: list[ScoredSpan | None], reader: Reader) -> list[LabelReading]:
    return [LabelReading(source, *reader.read_label(step, _fill(step, source), source)) for source in sources]


def _find_rivals(step: Step, plan: Plan, readings: Readings) -> dict[str, list[LabelReading]]:
    """Return the answers of the step's `one_of` group so far. A step without a group is its own only rival."""
    ids = [rival.id for rival in plan.label_steps if rival.one_of == step.one_of] if step.one_of else [step.id]
    return {key: readings.labels[key] for key in ids if key in readings.labels}


def _settle(rivals: dict[str, list[LabelReading]]) -> dict[str, list[LabelReading]]:
    """Of the true answers about one text or passage, keep only the one with the highest score true.

    On equal scores the first step wins. No condition reads a group before its last step has run (see check.py).
    """
    settled: dict[str, list[LabelReading]] = {key: [] for key in rivals}
    for answers in zip(*rivals.values(), strict=True):
        true = [answer for answer in answers if answer.is_true]
        winner = max(true, key=lambda answer: answer.score, default=None)
        for key, answer in zip(rivals, answers, strict=True):
            settled[key].append(replace(answer, is_true=answer is winner))
    return settled


def _make_row(plan: Plan, readings: Readings) -> Row:
    steps = plan.steps_by_id
    columns = [key for key in plan.output if key in readings.spans]
    return {
        "labels": {key: _make_label_cell(steps[key], answers) for key, answers in readings.labels.items()},
        "spans": {key: [_make_span_item(reading) for reading in readings.spans[key]] for key in columns},
    }


def _make_label_cell(step: Step, answers: list[LabelReading]) -> float | list[dict[str, Any]]:
    if step.for_each is None:
        return float(answers[0].score)
    return [
        {**_make_for(answer.source), "score": float(answer.score), "value": bool(answer.is_true)} for answer in answers
    ]


def _make_span_item(reading: SpanReading) -> dict[str, Any]:
    return {**_make_characters(reading.span), "score": float(reading.span.score), **_make_for(reading.source)}


def _make_for(source: ScoredSpan | None) -> dict[str, Any]:
    return {} if source is None else {"for": _make_characters(source)}


def _make_characters(span: ScoredSpan) -> dict[str, Any]:
    return {"text": span.text, "start": int(span.start), "end": int(span.end)}
