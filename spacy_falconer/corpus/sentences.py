"""What a plan treats as texts: records as they are, or their sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from spacy_falconer.types import Record

if TYPE_CHECKING:
    from spacy.language import Language

ZONE_SIZE = 256  # After this many texts, the strings that they added to the vocabulary are forgotten.


def read_units(records: Iterable[Record], unit: str, nlp: Language | None = None) -> Iterable[Record]:
    """Return what a plan treats as texts: the records as they are or, with `unit` "sentence", their sentences."""
    return split_sentences(records, nlp) if unit == "sentence" else records


def split_sentences(records: Iterable[Record], nlp: Language | None = None) -> Iterator[Record]:
    """Yield every sentence as a record of its own, with its document's id and columns, and its characters as `place`.

    nlp (Language): The components before ours in this pipeline cut the texts. By default, English rules do.
    """
    from spacy_falconer.corpus.cut import cut_text, find_cutter  # Imports spaCy, which takes time.

    open_cutter, rest = find_cutter(nlp), iter(records)
    while chunk := list(islice(rest, ZONE_SIZE)):
        with open_cutter() as cutter, cutter.memory_zone():
            places = [cut_text(record.text, cutter) for record in chunk]
        for record, cut in zip(chunk, places, strict=True):
            for place in cut:
                yield replace(record, text=record.text[place.start : place.end], place=place)
