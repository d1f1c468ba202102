"""Map quotes to characters and characters to tokens. What cannot be placed is rejected and counted, never guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from spacy_falconer.types import CharSpan, Quote

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span


def find_quotes(text: str, quotes: Sequence[Quote]) -> list[CharSpan | None]:
    """Find the characters of each quote in the unchanged text.

    A quote with a `start` is placed there if its words match. The others are placed in order of appearance, each at
    its first occurrence after the one before, so that repeated mentions take successive occurrences. Whole words win
    over parts of words: "pan" does not match "pancakes" if a "pan" follows. A quote out of order is placed only if it
    occurs once. White space in a quote matches any white space, including line breaks.

    RETURNS: One place per quote; None for a quote that is not in the text or is ambiguous.
    """
    places: list[CharSpan | None] = []
    taken: set[CharSpan] = set()
    position = 0
    for quote in quotes:
        found = find_quote(text, quote, position, taken=taken)
        places.append(found)
        if found is not None:
            taken.add(found)
            position = max(position, found.end)
    return places


def find_quote(text: str, quote: Quote, position: int, *, taken: set[CharSpan]) -> CharSpan | None:
    """Place one quote: at its stated start, else at its first free occurrence from `position` on, else at its only one."""
    stated = find_stated(text, quote)
    if stated is not None and stated not in taken:
        return stated
    free = [place for place in find_occurrences(text, quote.quote) if place not in taken]
    later = [place for place in free if place.start >= position]
    candidates = prefer_words(text, later or free)
    return candidates[0] if later or len(candidates) == 1 else None


def find_stated(text: str, quote: Quote) -> CharSpan | None:
    """Return the place that a quote states, or None if its words are not there."""
    if quote.start is None or not quote.quote.strip():
        return None
    start = quote.start + len(quote.quote) - len(quote.quote.lstrip())
    found = re.compile(_make_pattern(quote.quote)).match(text, start) if 0 <= start < len(text) else None
    return CharSpan(*found.span()) if found else None


def find_occurrences(text: str, words: str) -> list[CharSpan]:
    """Return all places of a quote, including overlapping ones. Case matters; the kind and amount of white space do not."""
    if not words.strip():
        return []
    return [CharSpan(*match.span(1)) for match in re.finditer(f"(?=({_make_pattern(words)}))", text)]


def _make_pattern(words: str) -> str:
    return r"\s+".join(re.escape(part) for part in words.split())


def prefer_words(text: str, places: list[CharSpan]) -> list[CharSpan]:
    """Return the places that do not cut a word, or all of them if every place does."""
    return [place for place in places if not _cuts_word(text, place)] or places


def _cuts_word(text: str, place: CharSpan) -> bool:
    edges = text[max(place.start - 1, 0) : place.start + 1], text[place.end - 1 : place.end + 1]
    return any(len(edge) == 2 and edge.isalnum() for edge in edges)


def align(doc: Doc, places: Sequence[CharSpan]) -> list[Span | None]:
    """Return the tokens of each place; None if it does not fit token boundaries. Nothing is snapped to the nearest token."""
    return [doc.char_span(place.start, place.end) for place in places]
