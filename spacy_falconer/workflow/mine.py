"""A pipeline over a whole corpus: rows in a file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.corpus.read import read_units
from spacy_falconer.errors import CorpusError, ModelError
from spacy_falconer.plan import Plan
from spacy_falconer.types import Record

BATCH_SIZE = 64
ZONE_SIZE = 2048  # Texts after which the strings that they brought into the vocabulary are forgotten.

Row = dict[str, Any]


@dataclass
class MineReport:
    """What was read and what was found."""

    n_texts: int = 0
    n_rows: int = 0
    n_unread_tokens: int = 0
    seconds: float = 0.0

    @property
    def texts_per_second(self) -> float:
        return self.n_texts / self.seconds if self.seconds else 0.0


def mine(
    nlp: Language, records: Iterable[Record], output: Path, *, tick: Callable[[int], Any] = lambda n_texts: None
) -> MineReport:
    """Write a row for every text that the plan keeps, in the corpus's order.

    output (Path): A `.jsonl` file. It appears when it is whole; a run that is cut off leaves an old one as it was.
    tick: Called with the number of texts read since the last call.
    RAISES (ModelError): The pipeline holds no plan.
    RAISES (CorpusError): The output is no `.jsonl` file.
    """
    if output.suffix != ".jsonl":
        raise CorpusError(f"The rows' file is {str(output)!r}; expected a name that ends in .jsonl. Choose such a name.")
    report, start = MineReport(), time.perf_counter()
    part = output.with_name(output.name + ".part")
    output.parent.mkdir(parents=True, exist_ok=True)
    with part.open("w", encoding="utf8") as lines:
        for row in mine_rows(nlp, records, report, tick=tick):
            lines.write(srsly.json_dumps(row) + "\n")
    os.replace(part, output)
    report.seconds = time.perf_counter() - start
    return report


def mine_rows(
    nlp: Language, records: Iterable[Record], report: MineReport, *, tick: Callable[[int], Any]
) -> Iterator[Row]:
    """The rows, lazily, counted in `report`. Memory stays flat however long the corpus is."""
    texts = iter(read_units(records, find_plan(nlp).unit, nlp))
    while chunk := list(islice(texts, ZONE_SIZE)):
        with nlp.memory_zone():
            pairs = ((record.text, record) for record in chunk)
            for doc, record in nlp.pipe(pairs, as_tuples=True, batch_size=BATCH_SIZE):
                report.n_texts += 1
                report.n_unread_tokens += doc.user_data.get("n_unread_tokens", 0)
                rows = make_rows(doc, record)
                report.n_rows += len(rows)
                tick(1)
                yield from rows


def find_plan(nlp: Language) -> Plan:
    """The plan that the pipeline runs."""
    for name in nlp.pipe_names:
        if nlp.get_pipe_meta(name).factory == "falconer_plan" and nlp.get_pipe(name).plan is not None:
            return nlp.get_pipe(name).plan
    raise ModelError(
        f"The pipeline holds no plan to mine by: {', '.join(nlp.pipe_names) or 'empty'}. "
        "Use one that `falconer train` wrote, or add 'falconer_plan' and call its set_plan(plan)."
    )


def make_rows(doc: Doc, record: Record) -> list[Row]:
    """What is mined from one text, with its id and the corpus's other columns."""
    mined = doc._.mined
    found = mined if isinstance(mined, list) else [mined] if mined is not None else []
    place = record.fields.get("sentence")
    carried = {key: value for key, value in record.fields.items() if key != "sentence"}
    extra = {"fields": carried} if carried else {}
    return [{"id": record.id, **(shift(row, place) if place else row), **extra} for row in found]


def shift(row: Row, sentence: dict[str, int]) -> Row:
    """A sentence's row in the characters of its document."""
    moved = {name: [move(span, sentence["start"]) for span in spans] for name, spans in row["spans"].items()}
    place = {"start": sentence["start"], "end": sentence["end"]}
    return {**row, "sentence": place, "spans": moved}


def move(span: Row, n_characters: int) -> Row:
    moved = {**span, "start": span["start"] + n_characters, "end": span["end"] + n_characters}
    return {**moved, "for": move(span["for"], n_characters)} if "for" in span else moved
