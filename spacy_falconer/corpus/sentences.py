"""What a plan takes for a text: a record as it is, or each of its sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from spacy_falconer.types import Record

if TYPE_CHECKING:
    from spacy.language import Language

ZONE_SIZE = 256  # Texts after which the strings that they brought into the vocabulary are forgotten.


def read_units(records: Iterable[Record], unit: str, nlp: Language | None = None) -> Iterable[Record]:
    """What a plan takes for a text: the records as they are, or with `unit` "sentence" their sentences."""
    return split_sentences(records, nlp) if unit == "sentence" else records


def split_sentences(records: Iterable[Record], nlp: Language | None = None) -> Iterator[Record]:
    """Every sentence as a record of its own, with its document's id and columns, and its characters as `place`.

    nlp (Language): Cuts as this pipeline does, by the components before ours. English rules by default.
    """
    from spacy_falconer.corpus.cut import cut_sentences, find_cutter  # With spaCy, which takes its time.

    open_cutter, rest = find_cutter(nlp), iter(records)
    while chunk := list(islice(rest, ZONE_SIZE)):
        with open_cutter() as cutter, cutter.memory_zone():
            places = [cut_sentences(cutter(record.text)) for record in chunk]
        for record, cut in zip(chunk, places, strict=True):
            for place in cut:
                yield replace(record, text=record.text[place.start : place.end], place=place)
