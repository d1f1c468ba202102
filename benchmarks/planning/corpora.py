"""What is read: sentences with gold plans, and what a language model answered about the texts of four corpora."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from spacy_falconer.types import CharSpan, ScoredSpan

DATA = Path(__file__).resolve().parent / "data"
N_TEXTS = 5  # of the corpus, shown to the planner
OPS = {"get_label": "labels", "get_span": "spans"}
Item = Mapping[str, Any]


@dataclass(frozen=True)
class Primitive:
    """A question that was answered about every text, or with `source` about every passage of that primitive."""

    name: str
    op: str
    instruction: str
    source: str | None = None


@dataclass(frozen=True)
class Unit:
    """What was answered about one text, or about one sentence of it (`place`). Offsets begin at the unit.

    labels: By primitive, 1 where it is true and the main one of its kind, less but over 0 where it is true, else 0.
    about: By primitive and a passage's words, "labels" and "spans" as above.
    """

    id: str
    labels: Mapping[str, float]
    spans: Mapping[str, Sequence[ScoredSpan]]
    about: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    place: CharSpan | None = None
    is_whole: bool = True


@dataclass(frozen=True)
class Corpus:
    """noun: What the primitives call a text, None where no answers about sentences are there."""

    primitives: Sequence[Primitive]
    texts: Sequence[str]
    documents: Sequence[Unit]
    sentences: Sequence[Unit] = ()
    noun: str | None = None


@dataclass(frozen=True)
class Benchmark:
    items: Sequence[Item]
    corpora: Mapping[str, Corpus]


def read_benchmark(shared: Path | None = None, data: Path = DATA) -> Benchmark:
    """The sentences beside this file; with `shared` also the earlier ones, with their answers and corpora."""
    own = Benchmark(list(read_rows(data / "items.jsonl")), _read_own(data))
    if shared is None:
        return own
    earlier = [{**item, "split": "earlier"} for item in read_rows(shared / "planning" / "dev.jsonl")]
    return Benchmark([*earlier, *own.items], {**_read_shared(shared), **own.corpora})


def read_rows(path: Path) -> Iterable[dict[str, Any]]:
    with path.open(encoding="utf8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def _read_own(data: Path) -> dict[str, Corpus]:
    known = json.loads((data / "primitives.json").read_text(encoding="utf8"))
    return {name: _make_own(fields, list(read_rows(data / f"{name}.jsonl"))) for name, fields in known.items()}


def _make_own(fields: Mapping[str, Any], rows: list[dict[str, Any]]) -> Corpus:
    return Corpus(
        primitives=[*_list_primitives(fields), *(Primitive(name, **each) for name, each in fields["for_each"].items())],
        texts=[row["text"] for row in rows[:: len(rows) // N_TEXTS][:N_TEXTS]],  # of all subjects, which lie together
        documents=[_make_document(row) for row in rows],
        sentences=[_make_sentence(row, number) for row in rows for number in range(len(row["sentences"]))],
        noun=fields["noun"],
    )


def _list_primitives(fields: Mapping[str, Any]) -> list[Primitive]:
    return [Primitive(name, op, text) for op, kind in OPS.items() for name, text in fields[kind].items()]


def _make_document(row: Mapping[str, Any]) -> Unit:
    whole = CharSpan(0, len(row["text"]))
    return Unit(row["id"], row["labels"], _cut_spans(row, row["spans"], whole), _make_about(row, whole))


def _make_sentence(row: Mapping[str, Any], number: int) -> Unit:
    place = CharSpan(*row["sentences"][number])
    labels = {name: float(number in numbers) for name, numbers in row["in_sentences"].items()}
    spans = _cut_spans(row, row["spans"], place)
    return Unit(row["id"], labels, spans, _make_about(row, place), place, is_whole=len(row["sentences"]) == 1)


def _cut_spans(row: Mapping[str, Any], spans: Mapping[str, Any], place: CharSpan) -> dict[str, list[ScoredSpan]]:
    return {name: [ScoredSpan(row["text"][start:end], start - place.start, end - place.start, 1.0)
                   for start, end in places if place.start <= start and end <= place.end]
            for name, places in spans.items()}  # fmt: skip


def _make_about(row: Mapping[str, Any], place: CharSpan) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (source, words): {"labels": answers["labels"], "spans": _cut_spans(row, answers["spans"], place)}
        for source, passages in row["about"].items()
        for words, answers in passages.items()
    }


def _read_shared(shared: Path) -> dict[str, Corpus]:
    known = json.loads((shared / "answers" / "primitives.json").read_text(encoding="utf8"))
    return {name: _make_shared(name, fields, shared) for name, fields in known.items()}


def _make_shared(name: str, fields: Mapping[str, Any], shared: Path) -> Corpus:
    texts = [row["text"] for row in islice(read_rows(shared / "corpora" / f"{name}.jsonl"), N_TEXTS)]
    paths = sorted((shared / "answers").glob(f"{name}-*.jsonl"))
    documents = [_make_quoted(row) for path in paths for row in read_rows(path)]
    return Corpus(_list_primitives(fields), texts, documents)


def _make_quoted(row: Mapping[str, Any]) -> Unit:
    """Answers whose passages are words without a place."""
    spans = {name: [ScoredSpan(quote, 0, 0, 1.0) for quote in quotes] for name, quotes in row["spans"].items()}
    return Unit(row["id"], {name: float(value) for name, value in row["labels"].items()}, spans)
