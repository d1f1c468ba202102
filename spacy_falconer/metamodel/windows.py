"""Cut texts into windows of encoder pieces, and find the pieces of every token. Nothing is truncated.

A text that fits is one window; a longer one becomes overlapping windows. All positions are characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray


@dataclass(frozen=True)
class Windows:
    """The windows of several texts, text by text.

    input_ids: Piece ids of every window, without padding.
    offsets: Characters of every piece, one (n_pieces, 2) array per window; special pieces are empty, (0, 0).
    n_per_text: How many windows each text has.
    """

    input_ids: list[list[int]]
    offsets: list[NDArray[numpy.int64]]
    n_per_text: list[int]


def cut_windows(tokenizer, texts: Sequence[str], *, max_pieces: int, overlap: int) -> Windows:
    """Cut texts into windows of at most `max_pieces` pieces, special pieces included.

    tokenizer (PreTrainedTokenizerFast): The encoder's own.
    max_pieces (int): What the encoder can read at once.
    overlap (int): Pieces that two neighbouring windows share.
    """
    encoded = tokenizer(
        list(texts),
        truncation=True,
        max_length=max_pieces,
        stride=overlap,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    n_per_text = numpy.bincount(encoded["overflow_to_sample_mapping"], minlength=len(texts))
    offsets = [numpy.asarray(window, dtype=numpy.int64) for window in encoded["offset_mapping"]]
    return Windows(encoded["input_ids"], offsets, n_per_text.tolist())


def align_tokens(
    tokens: NDArray[numpy.int64], offsets: Sequence[NDArray[numpy.int64]], *, row_width: int
) -> tuple[NDArray[numpy.int32], NDArray[numpy.int32]]:
    """Find the pieces that overlap each token of one text, over all of its windows.

    tokens: Characters of the tokens, shape (n_tokens, 2), in order.
    offsets: Characters of the pieces, one array per window.
    row_width (int): Padded length of a window; a piece's index is `window * row_width + position`.
    RETURNS: Piece indices, token after token, and how many belong to each token, shape (n_tokens,).
    """
    starts, ends = numpy.ascontiguousarray(tokens.T)
    pairs = [_align_window(starts, ends, window, start=i * row_width) for i, window in enumerate(offsets)]
    token_of = numpy.concatenate([pair[0] for pair in pairs])
    piece_of = numpy.concatenate([pair[1] for pair in pairs])
    order = numpy.argsort(token_of, kind="stable")
    lengths = numpy.bincount(token_of, minlength=len(tokens))
    return piece_of[order].astype(numpy.int32), lengths.astype(numpy.int32)


def _align_window(starts: NDArray, ends: NDArray, offsets: NDArray, *, start: int) -> tuple[NDArray, NDArray]:
    """Align only the tokens between the window's first and last character, because a long text has many windows."""
    real = offsets[offsets[:, 1] > offsets[:, 0]]
    low = int(numpy.searchsorted(ends, real[0, 0], side="right")) if len(real) else 0
    high = int(numpy.searchsorted(starts, real[-1, 1], side="left")) if len(real) else 0
    token_of, piece_of = pair_up(numpy.stack([starts[low:high], ends[low:high]], axis=1), offsets)
    return low + token_of, start + piece_of


def pair_up(tokens: NDArray, offsets: NDArray) -> tuple[NDArray, NDArray]:
    """Return all (token, piece) pairs that share a character, by index. Both inputs are in the order of their characters."""
    real = numpy.flatnonzero(offsets[:, 1] > offsets[:, 0])
    first = numpy.searchsorted(offsets[real, 1], tokens[:, 0], side="right")
    last = numpy.searchsorted(offsets[real, 0], tokens[:, 1], side="left")
    counts = numpy.maximum(last - first, 0)
    token_of = numpy.repeat(numpy.arange(len(tokens)), counts)
    within = numpy.arange(counts.sum()) - numpy.repeat(numpy.cumsum(counts) - counts, counts)
    return token_of, real[numpy.repeat(first, counts) + within]
