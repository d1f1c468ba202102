"""Quotes to characters, characters to tokens. What cannot be placed is refused and counted, never guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from spacy_falconer.types import CharSpan, Quote

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span


def find_quotes(text: str, quotes: Sequence[Quote]) -> list[CharSpan | None]:
    """Find the characters of each quote, in the text as it stands.

    A quote with a `start` stands there. The others are placed in order of appearance: each at its first occurrence
    after the one before, so that repeated mentions take successive occurrences, and whole words before parts of words:
    "pan" is not sought in "pancakes" where a "pan" follows. A quote out of order is placed where it occurs only once.
    White space in a quote matches any white space, a line break too.

    RETURNS: One place a quote; None for one that is not in the text, or not unambiguously.
    """
    places: list[CharSpan | None] = []
    position = 0
    for quote in quotes:
        found = find_quote(text, quote, position, taken={place for place in places if place})
        places.append(found)
        position = max(position, found.end) if found else position
    return places


def find_quote(text: str, quote: Quote, position: int, *, taken: set[CharSpan]) -> CharSpan | None:
    """One quote: where it says it stands, else its first free occurrence from `position`, else its only one."""
    free = [place for place in find_occurrences(text, quote.quote) if place not in taken]
    if quote.start is not None:
        start = quote.start + len(quote.quote) - len(quote.quote.lstrip())
        if stated := [place for place in free if place.start == start]:
            return stated[0]
    later = [place for place in free if place.start >= position]
    candidates = prefer_words(text, later or free)
    return candidates[0] if later or len(candidates) == 1 else None


def find_occurrences(text: str, words: str) -> list[CharSpan]:
    """All places of a quote, overlapping ones too. Case counts; the kind and amount of white space do not."""
    parts = [re.escape(part) for part in words.split()]
    if not parts:
        return []
    matches = re.finditer("(?=(" + r"\s+".join(parts) + "))", text)
    return [CharSpan(*match.span(1)) for match in matches]


def prefer_words(text: str, places: list[CharSpan]) -> list[CharSpan]:
    """The places that begin and end no word midway; all of them where there is none."""
    return [place for place in places if not _cuts_word(text, place)] or places


def _cuts_word(text: str, place: CharSpan) -> bool:
    edges = text[max(place.start - 1, 0) : place.start + 1], text[place.end - 1 : place.end + 1]
    return any(len(edge) == 2 and edge.isalnum() for edge in edges)


def align(doc: Doc, places: Sequence[CharSpan]) -> list[Span | None]:
    """The tokens of each place; None where no token boundary fits. Nothing is snapped to the nearest."""
    return [doc.char_span(place.start, place.end) for place in places]
