"""A text too long for one request, cut into windows that overlap, and its answers put together again."""

from __future__ import annotations

from collections.abc import Sequence

from spacy_falconer.types import Answer, CharSpan, Quote

MAX_CHARACTERS = 12_000  # About 3,000 tokens: with the prompt it fits into a context of 4,096.
OVERLAP = 600


def cut_windows(text: str, *, max_characters: int = MAX_CHARACTERS, overlap: int = OVERLAP) -> list[CharSpan]:
    """Windows that cover the text, cut at white space where there is some in the last overlap's length."""
    windows, start = [], 0
    while start + max_characters < len(text):
        end = _find_cut(text, start + max_characters - overlap // 2, start + max_characters)
        windows.append(CharSpan(start, end))
        start = _find_cut(text, end - overlap, end - overlap // 2)
    return [*windows, CharSpan(start, len(text))]


def merge_windows(text: str, windows: Sequence[CharSpan], answers: Sequence[Answer]) -> Answer:
    """The answer about a text from those about its windows.

    A label is true where it is true of any window. Where two windows overlap, the first one says what begins in the
    first half, the second one what begins in the second half. Quotes without a place come last.
    """
    first, borders = answers[0], _find_borders(text, windows)
    spans = {}
    for instruction in first.spans:
        said = [answer.spans[instruction] for answer in answers]
        placed = [
            Quote(quote.quote, window.start + quote.start)
            for window, border, quotes in zip(windows, borders, said, strict=True) for quote in quotes
            if quote.start is not None and border.start <= window.start + quote.start < border.end
        ]  # fmt: skip
        spans[instruction] = (*placed, *(quote for quotes in said for quote in quotes if quote.start is None))
    labels = {instruction: any(answer.labels[instruction] for answer in answers) for instruction in first.labels}
    return Answer(text, first.model, labels, spans)


def _find_borders(text: str, windows: Sequence[CharSpan]) -> list[CharSpan]:
    """The part of each window of which it alone has the say."""
    middles = [(one.end + after.start) // 2 for one, after in zip(windows, windows[1:], strict=False)]
    edges = [0, *middles, len(text)]
    return [CharSpan(start, end) for start, end in zip(edges, edges[1:], strict=False)]


def _find_cut(text: str, low: int, high: int) -> int:
    """After the last white space between two places; at the second one where there is none."""
    return next((i + 1 for i in range(high - 1, low - 1, -1) if text[i].isspace()), high)
