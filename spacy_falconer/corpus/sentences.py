"""What a plan takes for a text: a record as it is, or each of its sentences."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from spacy_falconer.types import CharSpan, Record

if TYPE_CHECKING:
    from spacy.language import Language

ZONE_SIZE = 256  # Texts after which the strings that they brought into the vocabulary are forgotten.


def read_units(records: Iterable[Record], unit: str, nlp: Language | None = None) -> Iterable[Record]:
    """What a plan takes for a text: the records as they are, or with `unit` "sentence" their sentences."""
    return split_sentences(records, nlp) if unit == "sentence" else records


def split_sentences(records: Iterable[Record], nlp: Language | None = None) -> Iterator[Record]:
    """Every sentence as a record of its own, with its document's id and columns, and its characters as `place`.

    nlp (Language): Gives the language, and the closing marks where it holds a "sentencizer". English by default.
    """
    rules, rest = _make_rules(nlp), iter(records)
    while chunk := list(islice(rest, ZONE_SIZE)):
        with rules.memory_zone():
            places = [_cut_sentences(record.text, rules) for record in chunk]
        for record, cut in zip(chunk, places, strict=True):
            for place in cut:
                yield replace(record, text=record.text[place.start : place.end], place=place)


def _cut_sentences(text: str, rules: Language) -> list[CharSpan]:
    return [CharSpan(sent.start_char, sent.end_char) for sent in rules(text).sents if sent.text.strip()]


def _make_rules(nlp: Language | None) -> Language:
    """A pipeline of sentence rules alone, for texts of any length."""
    import spacy

    rules = spacy.blank(nlp.lang if nlp is not None else "en")
    marks = nlp.get_pipe("sentencizer").punct_chars if nlp is not None and nlp.has_pipe("sentencizer") else ()
    rules.add_pipe("sentencizer", config={"punct_chars": sorted(marks) or None})
    rules.max_length = sys.maxsize
    return rules
