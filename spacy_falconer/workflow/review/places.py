"""Find the characters of a marked passage. Tools count them in two ways; what fits neither is refused, not guessed."""

from __future__ import annotations

from spacy_falconer.errors import AnswerError
from spacy_falconer.types import CharSpan
from spacy_falconer.workflow.review.work import Mark


def place_mark(text: str, mark: Mark) -> CharSpan:
    """Return the passage's characters, without white space at its ends.

    If the tool keeps a copy of the passage, its words must be found there, with characters counted as we do or as
    browsers do, for which an emoji is two.
    RAISES (AnswerError): The passage is blank, outside of the text, or has other words than the copy.
    """
    ways = [CharSpan(mark.start, mark.end)]
    if mark.quote is not None and any(character > "\uffff" for character in text):
        ways.append(CharSpan(count_characters(text, mark.start), count_characters(text, mark.end)))
    for place in ways:
        if 0 <= place.start < place.end <= len(text) and is_same(text[place.start : place.end], mark.quote):
            return strip(text, place)
    shown = repr(text[max(mark.start, 0) : max(mark.end, 0)][:60])
    wanted = "words of the text" if mark.quote is None else repr(mark.quote[:60])
    raise AnswerError(
        f"It marks characters {mark.start} to {mark.end} as {mark.key!r}; they are {shown}, expected {wanted}. "
        "Mark the passage again."
    )


def count_characters(text: str, n_units: int) -> int:
    """Return how many of the text's characters its first `n_units` units of UTF-16 are."""
    units = text.encode("utf-16-le", "surrogatepass")[: 2 * max(n_units, 0)]
    return len(units.decode("utf-16-le", "ignore"))


def is_same(words: str, quote: str | None) -> bool:
    """Return whether a passage has words, and they are those of the tool's copy, if there is one; white space aside."""
    return bool(words.strip()) and (quote is None or words.split() == quote.split())


def strip(text: str, place: CharSpan) -> CharSpan:
    words = text[place.start : place.end]
    start = place.start + len(words) - len(words.lstrip())
    return CharSpan(start, start + len(words.strip()))
