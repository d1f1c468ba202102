"""Lay out the pieces of many texts so that all are handled at once, without a loop over texts and with little padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy
from numpy.typing import NDArray

from spacy_falconer.metamodel.windows import Windows, pair_up

Ints = NDArray[numpy.int64]


@dataclass(frozen=True)
class Layout:
    """The rows of all windows, one after the other. A text's windows are as wide as its longest one, and form a block.

    lengths: Pieces of each window, shape (n_windows,). n_per_text: Windows of each text, shape (n_texts,).
    """

    lengths: Ints
    n_per_text: Ints

    @cached_property
    def text_of(self) -> Ints:
        """The index of each window's text."""
        return numpy.repeat(numpy.arange(len(self.n_per_text)), self.n_per_text)

    @cached_property
    def widths(self) -> Ints:
        """Rows of each window of a text, shape (n_texts,)."""
        firsts = numpy.cumsum(self.n_per_text) - self.n_per_text
        return numpy.maximum.reduceat(self.lengths, firsts)

    @cached_property
    def starts(self) -> Ints:
        """The first row of each window and, at the end, the number of rows."""
        return numpy.concatenate([[0], numpy.cumsum(self.widths[self.text_of])])

    @property
    def n_rows(self) -> int:
        return int(self.starts[-1])

    def blocks(self) -> Iterator[tuple[slice, tuple[int, int]]]:
        """Yield the rows of each text, and their shape: (n_windows, width)."""
        shapes = list(zip(self.n_per_text.tolist(), self.widths.tolist(), strict=True))
        start = 0
        for n_windows, width in shapes:
            yield slice(start, start + n_windows * width), (n_windows, width)
            start += n_windows * width

    def rows_of(self, windows: Sequence[int] | Ints) -> Ints:
        """Return the rows of these windows' pieces, window after window."""
        return expand(self.starts[windows], self.lengths[windows])


def make_layout(windows: Windows) -> Layout:
    """Lay out the windows of texts."""
    lengths = numpy.fromiter(map(len, windows.input_ids), dtype="int64", count=len(windows.input_ids))
    return Layout(lengths, numpy.asarray(windows.n_per_text, dtype="int64"))


def expand(starts: Ints, lengths: Ints) -> Ints:
    """Return the consecutive numbers from each start on, as many as its length."""
    within = numpy.arange(lengths.sum()) - numpy.repeat(numpy.cumsum(lengths) - lengths, lengths)
    return numpy.repeat(starts, lengths) + within


def batch_windows(lengths: Ints, n_pieces: int) -> Iterator[Ints]:
    """Yield windows of similar length together, the longest first: at most `n_pieces` pieces when padded, or one window."""
    order = numpy.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        end = start + max(1, n_pieces // int(lengths[order[start]]))
        yield order[start:end]
        start = end


def align_texts(tokens: Ints, n_tokens: Ints, windows: Windows, layout: Layout) -> tuple[Ints, Ints]:
    """Find the pieces that share a character with each token, in all windows of its text.

    tokens: Characters of all texts' tokens, text after text, shape (n_tokens, 2).
    n_tokens: Tokens of each text, shape (n_texts,), none of them 0.
    RETURNS: Rows of the layout, token after token, and how many belong to each token.
    """
    offsets = numpy.concatenate(windows.offsets)
    sizes = tokens[numpy.cumsum(n_tokens) - 1, 1] + 2  # A text may end with a space that is not a token.
    firsts, read = find_tokens(tokens, n_tokens, sizes, offsets, layout)
    token_of = expand(firsts, read)
    spread = numpy.cumsum(sizes[layout.text_of]) - sizes[layout.text_of]  # So that windows share no characters.
    places = tokens[token_of] + numpy.repeat(spread, read)[:, None]
    found, piece_of = pair_up(places, offsets + numpy.repeat(spread, layout.lengths)[:, None])
    token_of, rows = token_of[found], layout.rows_of(numpy.arange(len(layout.lengths)))[piece_of]
    if len(layout.lengths) > len(n_tokens):
        order = numpy.argsort(token_of, kind="stable")
        token_of, rows = token_of[order], rows[order]
    return rows, numpy.bincount(token_of, minlength=len(tokens))


def find_tokens(tokens: Ints, n_tokens: Ints, sizes: Ints, offsets: Ints, layout: Layout) -> tuple[Ints, Ints]:
    """Find the tokens that each window can hold: the first one, counted over all tokens, and how many; shape (n_windows,).

    sizes: At least the number of characters of each text. offsets: Characters of all pieces, empty for special ones.
    """
    spread = numpy.cumsum(sizes) - sizes  # So that texts share no characters.
    starts, ends = (tokens + numpy.repeat(spread, n_tokens)[:, None]).T
    is_real, of = offsets[:, 1] > offsets[:, 0], numpy.cumsum(layout.lengths) - layout.lengths
    low = numpy.minimum.reduceat(numpy.where(is_real, offsets[:, 0], sizes.max()), of)
    high = numpy.maximum.reduceat(numpy.where(is_real, offsets[:, 1], 0), of)
    firsts = numpy.searchsorted(ends, spread[layout.text_of] + low, side="right")
    lasts = numpy.searchsorted(starts, spread[layout.text_of] + high, side="left")
    return firsts, numpy.maximum(lasts - firsts, 0)
