"""Texts as the encoder reads them: windows of pieces, and the tokens that the pieces belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from spacy.language import Language
from torch import Tensor

from spacy_falconer.metamodel.heads import Tensors
from spacy_falconer.metamodel.windows import align_tokens, cut_windows

MAX_PIECES = 512  # Or what the encoder reads at once, if that is less.
REMEMBERED = 1 << 17  # Texts and instructions come again and again.


@dataclass(frozen=True)
class Reading:
    """One text, cut into spaCy's tokens and into the encoder's pieces.

    windows: Piece ids of each window. characters: Start and end of every token, shape (n_tokens, 2).
    window_of, place_of, token_of: Pairs of a piece, by its window and its place there, and the token that it belongs to.
    """

    windows: tuple[NDArray[numpy.int64], ...]
    characters: NDArray[numpy.int64]
    window_of: NDArray[numpy.int64]
    place_of: NDArray[numpy.int64]
    token_of: NDArray[numpy.int64]

    def __len__(self) -> int:
        return len(self.characters)

    @property
    def n_pieces(self) -> int:
        return sum(map(len, self.windows))

    def find_characters(self, start: int, end: int) -> tuple[int, int]:
        """Return where the tokens from `start` to `end` (exclusive) begin and end."""
        return int(self.characters[start, 0]), int(self.characters[end - 1, 1])


@dataclass(frozen=True)
class Pieces(Tensors):
    """Texts side by side.

    input_ids, mask: Shape (n_windows, n_pieces).
    piece_of, token_of: Pairs of a piece and the token that it belongs to, counted over all texts.
    text_of: The text of each token, shape (n_tokens,). lengths: Tokens of each text.
    """

    input_ids: Tensor
    mask: Tensor
    piece_of: Tensor
    token_of: Tensor
    text_of: Tensor
    lengths: Tensor


class TextReader:
    """Cuts texts into tokens and into pieces, and remembers the results."""

    def __init__(self, nlp: Language, tokenizer: Any):
        self.nlp, self.tokenizer = nlp, tokenizer
        self.max_pieces = min(MAX_PIECES, tokenizer.model_max_length)
        self.read = lru_cache(maxsize=REMEMBERED)(self._read)

    def _read(self, text: str) -> Reading:
        characters = [(token.idx, token.idx + len(token)) for token in self.nlp.make_doc(text)]
        tokens = numpy.asarray(characters, dtype="int64").reshape(-1, 2)
        sizes = {"max_pieces": self.max_pieces, "overlap": self.max_pieces // 4}
        cut = cut_windows(self.tokenizer, [text], **sizes)
        pieces, lengths = align_tokens(tokens, cut.offsets, row_width=self.max_pieces)
        window_of, place_of = numpy.divmod(pieces.astype("int64"), self.max_pieces)
        windows = tuple(numpy.asarray(window, dtype="int64") for window in cut.input_ids)
        return Reading(windows, tokens, window_of, place_of, numpy.repeat(numpy.arange(len(tokens)), lengths))

    def join(self, readings: Sequence[Reading]) -> Pieces:
        windows = [window for reading in readings for window in reading.windows]
        widths = numpy.asarray([len(window) for window in windows])
        mask = numpy.arange(widths.max()) < widths[:, None]
        input_ids = numpy.full(mask.shape, self.tokenizer.pad_token_id, dtype="int64")
        input_ids[mask] = numpy.concatenate(windows)
        lengths = numpy.asarray([len(reading) for reading in readings])
        window_of = _number_on([one.window_of for one in readings], [len(one.windows) for one in readings])
        place_of = numpy.concatenate([reading.place_of for reading in readings])
        parts = (
            input_ids,
            mask.astype("int64"),
            window_of * mask.shape[1] + place_of,
            _number_on([reading.token_of for reading in readings], lengths),
            numpy.repeat(numpy.arange(len(lengths)), lengths),
            lengths,
        )
        return Pieces(*map(torch.from_numpy, parts))

    def read_all(self, texts: Sequence[str]) -> tuple[Pieces, list[Reading]]:
        readings = [self.read(text) for text in texts]
        return self.join(readings), readings


def _number_on(parts: Sequence[NDArray], counts: Sequence[int] | NDArray) -> NDArray[numpy.int64]:
    """Turn numbers of each text's own windows or tokens into numbers over all texts."""
    firsts = numpy.cumsum(counts) - counts
    return numpy.concatenate([part + first for part, first in zip(parts, firsts, strict=True)])
