"""How one text became another: which stretches were replaced, and by what."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

# Words; in scripts that put no spaces between them, single characters.
WORD = re.compile(r"[^\W\u0e00-\u1dff\u2c00-\U0010ffff]+|\w")
N_WORDS = (1, 2, 4, 8)  # Lengths of the sequences of words by which two texts are compared.
MAX_CELLS = 10_000  # Words of one text times words of the other. Beyond that, they are not compared one by one.


class Edit(NamedTuple):
    """`text[start:end]` became `replacement`."""

    start: int
    end: int
    replacement: str


def find_edits(old: str, new: str) -> list[Edit]:
    """Return the edits that turn one text into another, in order. A word that changed is replaced as a whole.

    Between two edits there is at least one word that both texts share. So a passage replaced by several words, or
    several replaced passages in a row, are one edit.
    """
    places = [[match.span() for match in WORD.finditer(text)] for text in (old, new)]
    words = [[text[start:end] for start, end in spans] for text, spans in zip((old, new), places, strict=True)]
    edits, old_end, new_end = [], 0, 0
    for i, j in match_words(*words):
        edits.append(_trim(old, new, (old_end, places[0][i][0]), (new_end, places[1][j][0])))
        old_end, new_end = places[0][i][1], places[1][j][1]
    edits.append(_trim(old, new, (old_end, len(old)), (new_end, len(new))))
    return [edit for edit in edits if edit is not None]


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """Return the text with the edits made. They must be in order and not overlap."""
    parts, position = [], 0
    for edit in edits:
        parts += [text[position : edit.start], edit.replacement]
        position = edit.end
    return "".join([*parts, text[position:]])


def match_words(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return pairs of indices of the same word in two texts, in the order of both: many, if not always the most possible."""
    pairs: list[tuple[int, int]] = []
    ranges = [(0, len(old), 0, len(new))]
    while ranges:
        i, i_end, j, j_end = ranges.pop()
        while i < i_end and j < j_end and old[i] == new[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        while i < i_end and j < j_end and old[i_end - 1] == new[j_end - 1]:
            i_end, j_end = i_end - 1, j_end - 1
            pairs.append((i_end, j_end))
        anchors = [(i + one, j + other) for one, other in _find_anchors(old[i:i_end], new[j:j_end])]
        pairs += anchors
        if anchors:
            ranges += _between(anchors, (i, i_end, j, j_end))
        elif 0 < (i_end - i) * (j_end - j) <= MAX_CELLS:
            pairs += [(i + one, j + other) for one, other in _compare(old[i:i_end], new[j:j_end])]
    return sorted(pairs)


def _find_anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return where words begin that occur once in each text, as many as are in the same order in both. If there are no
    such words, longer sequences of words are tried."""
    for length in N_WORDS:
        rows = [[tuple(words[i : i + length]) for i in range(len(words) - length + 1)] for words in (old, new)]
        counts = Counter(rows[0]), Counter(rows[1])
        where = {row: j for j, row in enumerate(rows[1]) if counts[0][row] == counts[1][row] == 1}
        if where:
            return _longest_rise([(i, where[row]) for i, row in enumerate(rows[0]) if row in where])
    return []


def _longest_rise(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Of pairs sorted by their first numbers, return the longest subsequence whose second numbers rise, too."""
    lowest: list[int] = []  # The least second number at which a rise of each length ends,
    ends: list[int] = []  # and the index of its pair.
    before: list[int | None] = []
    for index, (_, j) in enumerate(pairs):
        length = bisect_left(lowest, j)
        before.append(ends[length - 1] if length else None)
        lowest[length : length + 1], ends[length : length + 1] = [j], [index]
    rise, at = [], ends[-1] if ends else None
    while at is not None:
        rise.append(pairs[at])
        at = before[at]
    return rise[::-1]


def _between(
    anchors: Sequence[tuple[int, int]], whole: tuple[int, int, int, int]
) -> Iterator[tuple[int, int, int, int]]:
    """Yield the ranges before, between and after pairs of words."""
    i, i_end, j, j_end = whole
    for one, other in [*anchors, (i_end, j_end)]:
        yield i, one, j, other
        i, j = one + 1, other + 1


def _compare(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int]]:
    for block in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        yield from ((block.a + n, block.b + n) for n in range(block.size))


def _trim(old: str, new: str, in_old: tuple[int, int], in_new: tuple[int, int]) -> Edit | None:
    """Return what differs between two shared words, without equal signs and spaces next to them; None if nothing does."""
    (start, end), (new_start, new_end) = in_old, in_new
    while start < end and new_start < new_end and old[start] == new[new_start] and not WORD.match(old[start]):
        start, new_start = start + 1, new_start + 1
    while start < end and new_start < new_end and old[end - 1] == new[new_end - 1] and not WORD.match(old[end - 1]):
        end, new_end = end - 1, new_end - 1
    return Edit(start, end, new[new_start:new_end]) if start < end or new_start < new_end else None
