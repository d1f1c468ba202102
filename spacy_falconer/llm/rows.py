"""Answers as rows of the store: one row for each question and each model, or people, who answered it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from spacy_falconer.types import Answer, CharSpan, Quote

HUMAN = "human"  # Corrections by people; they win over a model's answers.
GOLD = "gold"  # People's answers to compare with; never returned as answers.

Value = bool | tuple[Quote, ...]


class Question(NamedTuple):
    """What is asked about a text, or about the passage at `place` in it."""

    op: str
    instruction: str
    place: CharSpan | None = None


class Row(NamedTuple):
    """One answer to one question, as it is stored.

    version: Of the prompt that asked for it; None if it was recorded, imported or given by people.
    value: JSON.
    """

    model: str
    question: Question
    version: str | None
    value: str

    def parse(self) -> Value:
        return parse_value(self.question.op, self.value)


def parse_value(op: str, value: str) -> Value:
    data = json.loads(value)
    return bool(data) if op == "get_label" else tuple(Quote(quote, start) for quote, start in data)


def answer_rows(answer: Answer, version: str | None = None) -> Iterator[Row]:
    """Yield a row for each question that was answered, including those about passages and people's answers."""
    for model, said in ((answer.model, answer), (GOLD, answer.gold)):
        if said is not None:
            asked = version if model == answer.model else None
            yield from _rows_about(None, said, model, asked)
            for place, one in said.about.items():
                yield from _rows_about(place, one, model, asked)


def gather(rows: Iterable[Row], text: str, people: Sequence[Row] = (), others: Iterable[Row] = ()) -> Answer:
    """Join rows about one text, each question once, to one answer, with people's answers to compare with (`people`).

    others: The rows that would answer if there were no corrections by people, from `choose_others`.
    """
    rows = list(rows)
    about: dict[CharSpan, list[Row]] = {}
    for row in rows:
        if row.question.place is not None:
            about.setdefault(row.question.place, []).append(row)
    model = rows[0].model if rows else ""
    maps = _gather_maps(row for row in rows if row.question.place is None)
    passages = {place: Answer(text, model, *_gather_maps(said)) for place, said in sorted(about.items())}
    human = [row for row in rows if row.model == HUMAN and row.question.place is None]
    corrected = {row.question for row in human}
    replaced = [row for row in others if row.question in corrected]
    sides = (Answer(text, side[0].model, *_gather_maps(side)) if side else None for side in (human, replaced))
    return Answer(text, model, *maps, gather(people, text) if people else None, passages, *sides)


def choose(rows: Iterable[Row], *, model: str | None = None, version: str | None = None) -> dict[Question, Row]:
    """Return the row that answers each question: a person's correction, else that of whoever answered first.

    model (str): Whose rows count, besides people's corrections; by default anyone's except those to compare with.
    version (str): Of the prompt; rows of other versions are left out. By default all count, and where a model has
        answered to several versions, its last answer does.
    """
    usable = [row for row in rows if may_answer(row.model, model) and is_current(row, version)]
    last = {(row.model, row.question): row for row in usable}
    chosen: dict[Question, Row] = {}
    for row in sorted(last.values(), key=lambda row: row.model != HUMAN):
        chosen.setdefault(row.question, row)
    return chosen


def choose_others(rows: Iterable[Row], *, model: str | None = None, version: str | None = None) -> Iterable[Row]:
    """Return the rows that would answer if people had corrected nothing."""
    return choose((row for row in rows if row.model != HUMAN), model=model, version=version).values()


def may_answer(model: str, wanted: str | None) -> bool:
    return model in (wanted, HUMAN) if wanted is not None else model != GOLD


def is_current(row: Row, version: str | None) -> bool:
    return version is None or row.version in (None, version)


def make_key(row: Row, text: str) -> bytes:
    """Return a key for a question, the text it is about, who answered, and the prompt's version."""
    place = row.question.place
    parts = [row.model, row.question.op, row.question.instruction, text]
    parts += [] if place is None else [f"place {place.start}-{place.end}"]
    return hash_parts(*parts, *([] if row.version is None else [f"version {row.version}"]))


def hash_parts(*parts: str) -> bytes:
    """Return a key for content; no two lists of parts share one."""
    lengths = [str(len(part)) for part in parts]
    return hashlib.sha256("\0".join([*lengths, *parts]).encode("utf8", "surrogatepass")).digest()


def make_question(op: str, instruction: str, start: int | None, end: int | None) -> Question:
    return Question(op, instruction, None if start is None or end is None else CharSpan(start, end))


def make_fields(row: Row, text: str) -> dict[str, Any]:
    """Return the columns of a row, except for its value."""
    op, instruction, place = row.question
    start, end = (None, None) if place is None else (place.start, place.end)
    key = {"key": make_key(row, text), "text": hash_parts(text), "model": row.model, "version": row.version}
    return {**key, "op": op, "instruction": instruction, "start": start, "end": end}


def encode(text: str) -> str | bytes:
    """Return a text as it is stored. SQLite's text is UTF-8, so one with half characters becomes bytes."""
    try:
        text.encode("utf8")
    except UnicodeEncodeError:
        return text.encode("utf8", "surrogatepass")
    return text


def decode(text: str | bytes) -> str:
    return text.decode("utf8", "surrogatepass") if isinstance(text, bytes) else text


def _rows_about(place: CharSpan | None, said: Answer, model: str, version: str | None) -> Iterator[Row]:
    for instruction, value in said.labels.items():
        yield Row(model, Question("get_label", instruction, place), version, json.dumps(value))
    for instruction, quotes in said.spans.items():
        places = [[quote.quote, quote.start] for quote in quotes]
        yield Row(model, Question("get_span", instruction, place), version, json.dumps(places))


def _gather_maps(rows: Iterable[Row]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    maps: dict[str, dict[str, Value]] = {"get_label": {}, "get_span": {}}
    for row in rows:
        maps[row.question.op][row.question.instruction] = row.parse()
    return maps["get_label"], maps["get_span"]
