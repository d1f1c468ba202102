"""Cut a text that is too long for one request into overlapping windows, and merge their answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from spacy_falconer.llm.tokens import count_tokens
from spacy_falconer.types import Answer, CharSpan, Quote

MAX_CHARACTERS = 12_000
MAX_TOKENS = 3_000  # With the prompt, this many fit into a context of 4,096.
OVERLAP = 600  # Characters.


def cut_windows(text: str) -> list[CharSpan]:
    """Return windows that cover the text, cut at white space if there is any in the last half of the overlap."""
    max_characters = _find_max_characters(text)
    overlap = min(OVERLAP, max_characters // 4)
    windows, start = [], 0
    while start + max_characters < len(text):
        end = _find_cut(text, start + max_characters - overlap // 2, start + max_characters)
        windows.append(CharSpan(start, end))
        start = _find_cut(text, end - overlap, end - overlap // 2)
    return [*windows, CharSpan(start, len(text))]


def find_borders(windows: Sequence[CharSpan]) -> list[CharSpan]:
    """Return the part of each window that it alone decides about. What two windows share is halved."""
    middles = [(one.end + after.start) // 2 for one, after in zip(windows, windows[1:], strict=False)]
    edges = [windows[0].start, *middles, windows[-1].end]
    return [CharSpan(start, end) for start, end in zip(edges, edges[1:], strict=False)]


def merge_windows(text: str, windows: Sequence[CharSpan], answers: Sequence[Answer]) -> Answer:
    """Merge the answers about the windows of a text into one about the text.

    A label is true if it is true of any window. Where two windows overlap, quotes that begin in the first half are taken
    from the first window, the others from the second. Quotes without a place come last.
    """
    if len(windows) == 1:
        return replace(answers[0], text=text)
    borders = find_borders(windows)
    moved = [shift(answer, window.start, text) for window, answer in zip(windows, answers, strict=True)]
    spans = {key: tuple(_join([one.spans[key] for one in moved], borders)) for key in moved[0].spans}
    labels = {key: any(one.labels[key] for one in moved) for key in moved[0].labels}
    return Answer(text, moved[0].model, labels, spans)


def shift(answer: Answer, offset: int, text: str) -> Answer:
    """Turn an answer about a window into one about the whole text, in which the window begins at `offset`."""
    spans = {
        key: tuple(quote if quote.start is None else Quote(quote.quote, quote.start + offset) for quote in quotes)
        for key, quotes in answer.spans.items()
    }
    return Answer(text, answer.model, answer.labels, spans)


def _join(said: Sequence[Sequence[Quote]], borders: Sequence[CharSpan]) -> Iterable[Quote]:
    for quotes, border in zip(said, borders, strict=True):
        yield from (quote for quote in quotes if quote.start is not None and border.start <= quote.start < border.end)
    yield from (quote for quotes in said for quote in quotes if quote.start is None)


def _find_max_characters(text: str) -> int:
    """Return the most characters of a window: fewer in scripts that take more tokens per character."""
    if len(text) <= MAX_TOKENS:
        return MAX_TOKENS
    return min(MAX_CHARACTERS, MAX_TOKENS * len(text) // count_tokens(text))


def _find_cut(text: str, low: int, high: int) -> int:
    """Return the place after the last white space between two places, or the second place if there is none."""
    return next((i + 1 for i in range(high - 1, low - 1, -1) if text[i].isspace()), high)
