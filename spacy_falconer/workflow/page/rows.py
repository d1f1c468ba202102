"""Mined rows as data for the page's script: they are cut into pieces here, so that the script computes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from spacy_falconer.plan import Plan
from spacy_falconer.types import FIELDS, Record
from spacy_falconer.workflow.corpus_file import CorpusFile
from spacy_falconer.workflow.mining.mined import match_texts
from spacy_falconer.workflow.mining.parts import Row
from spacy_falconer.workflow.page.run import Run

MAX_CHARACTERS = 3_000_000  # In all texts of the page.
MAX_TEXT, MAX_CELL, MAX_SPANS, MAX_FIELDS = 4_000, 200, 200, 6
N_COLORS = 8

Json = dict[str, Any]


@dataclass
class Shown:
    """Rows in a form for JSON, and what was left out.

    keys: The id, primitive and color number of each instruction.
    n_cut: Texts that were shortened. n_other: Rows that were not mined from the text with their id.
    has_texts: Whether any texts were given.
    """

    keys: list[Json]
    rows: list[Json] = field(default_factory=list)
    n_cut: int = 0
    n_other: int = 0
    has_texts: bool = False

    @property
    def data(self) -> Json:
        return {"keys": self.keys, "rows": self.rows}


def make_shown(run: Run, given: Mapping[str, str] | None) -> Shown:
    """Return the first rows, with the texts that are given. A text that its row was not mined from is left out.

    given: The corpus's texts, by id.
    """
    texts, keys = given or {}, list_keys(run.plan, run.first or ())
    shown = Shown(keys, has_texts=bool(texts))
    n_characters = 0
    for row in run.first or ():
        made = make_row(row, texts.get(row["id"]), shown)
        n_characters += len(row["id"]) + sum(len(piece[0]) for piece in made.get("pieces", ()))
        if n_characters > MAX_CHARACTERS:
            break
        shown.rows.append(made)
    return shown


def list_keys(plan: Plan | None, rows: Iterable[Row]) -> list[Json]:
    """Return the plan's steps in order; without a plan, the keys that the rows have."""
    if plan is not None:
        found = {step.id: step.op for step in plan.steps}
    else:
        found = {key: op for row in rows for op, column in FIELDS.items() for key in row.get(column, ())}
    return [{"id": key, "op": op, "color": number % N_COLORS} for number, (key, op) in enumerate(found.items())]


def make_row(row: Row, text: str | None, shown: Shown) -> Json:
    numbers = {one["id"]: number for number, one in enumerate(shown.keys)}
    spans = [(numbers[key], span) for key, found in row.get("spans", {}).items() if key in numbers for span in found]
    made: Json = {
        "id": row["id"],
        "labels": list(list_labels(row.get("labels", {}), numbers)),
        "spans": [describe_span(number, span) for number, span in spans[:MAX_SPANS]],
        "fields": list_fields(row.get("fields", {})),
    }
    place = row.get("sentence") or {"start": 0, "end": len(text or "")}
    if text is not None and all(text[span["start"] : span["end"]] == span["text"] for _, span in spans):
        sentence = text[place["start"] : place["end"]]
        made["pieces"] = cut(sentence[:MAX_TEXT], spans, place["start"])
        if len(sentence) > MAX_TEXT:
            made["cut"] = len(sentence) - MAX_TEXT
            shown.n_cut += 1
    elif text is not None:
        shown.n_other += 1
    return made


def list_labels(labels: Mapping[str, Any], numbers: Mapping[str, int]) -> Iterator[list[Any]]:
    """Yield for each answer the key's number, the score and, if it is about a passage, that and whether it is true."""
    for key, cell in labels.items():
        if key in numbers and isinstance(cell, list):
            yield from ([numbers[key], one["score"], shorten(one["for"]["text"]), one["value"]] for one in cell)
        elif key in numbers:
            yield [numbers[key], cell]


def describe_span(number: int, span: Row) -> list[Any]:
    about = [shorten(span["for"]["text"])] if "for" in span else []
    return [number, shorten(span["text"]), span["score"], *about]


def list_fields(fields: Mapping[str, Any]) -> list[list[str]]:
    """Return the corpus's first other columns that hold anything."""
    held = [(name, value) for name, value in fields.items() if value not in (None, "")]
    return [[shorten(str(name)), shorten(str(value))] for name, value in held[:MAX_FIELDS]]


def cut(text: str, spans: Sequence[tuple[int, Row]], start: int) -> list[list[Any]]:
    """Cut a text into pieces, each with the [key's number, score] of all spans over it. `start`: The text's, for the spans."""
    marks = [(number, span["start"] - start, span["end"] - start, span["score"]) for number, span in spans]
    edges = {0, len(text), *(edge for _, first, last, _ in marks for edge in (first, last) if 0 < edge < len(text))}
    return [
        [text[first:last], [[number, score] for number, begin, end, score in marks if begin <= first and last <= end]]
        for first, last in pairwise(sorted(edges))
    ]


def shorten(text: str) -> str:
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def find_row_texts(run: Run, corpus: Path) -> dict[str, str]:
    """Return the texts of the rows that are shown, by id. The corpus's columns are those that it was mined with.

    RAISES (CorpusError): There is no such corpus, or it cannot be opened.
    """
    options = run.manifest.get("options", {}) if run.manifest else {}
    columns = {name: options[name] for name in ("text_field", "id_field") if name in options}
    return find_texts(run, CorpusFile(corpus, **columns, set_aside=lambda flaw: None))


def find_texts(run: Run, records: Iterable[Record]) -> dict[str, str]:
    """Return the texts of the rows that are shown, by id."""
    return match_texts(records, {row["id"] for row in run.first or ()})
