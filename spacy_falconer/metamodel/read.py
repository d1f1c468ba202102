"""Read texts with the encoder to use its output, not to train it: all of a batch at once, with little padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from spacy.attrs import IDX, LENGTH, ORTH, SPACY
from spacy.tokens import Doc
from spacy_transformers.data_classes import TransformerData, WordpieceBatch
from spacy_transformers.layers import TransformerModel
from thinc.api import get_torch_default_device, torch2xp
from thinc.types import Floats2d, Ragged
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutput

from spacy_falconer.metamodel.layout import Layout, align_texts, batch_windows, expand, make_layout
from spacy_falconer.metamodel.windows import Windows

PIECES_ON_CPU = 1024  # Read at once, so that what they take stays in the processor's cache.
PIECES_ON_GPU = 2**16  # A GPU waits for the processor between batches. It waits less if they are larger.


@dataclass
class ReadText(TransformerData):
    """The encoder's output for a text, with the mean vectors of its tokens' pieces, shape (n_tokens, D)."""

    token_vectors: Floats2d | None = None


def read_windows(model: TransformerModel, docs: Sequence[Doc], windows: Windows) -> Iterator[ReadText]:
    """Encode windows of similar length together, whichever text they belong to, and find all texts' tokens at once."""
    layout = make_layout(windows)
    ids = numpy.full(layout.n_rows, model.tokenizer.pad_token_id, dtype="int64")
    mask = numpy.zeros(layout.n_rows, dtype="float32")
    every = layout.rows_of(numpy.arange(len(layout.lengths)))
    ids[every], mask[every] = numpy.concatenate(windows.input_ids), 1.0
    vectors = encode_windows(model, windows, layout)
    n_tokens = numpy.fromiter(map(len, docs), dtype="int64", count=len(docs))
    rows, counts = align_texts(numpy.concatenate([token_characters(doc) for doc in docs]), n_tokens, windows, layout)
    tokens = torch2xp(mean_rows(vectors, rows, counts))
    return hand_out(layout, (ids, mask, torch2xp(vectors)), (tokens, n_tokens), (rows, counts))


def encode_windows(model: TransformerModel, windows: Windows, layout: Layout) -> torch.Tensor:
    """Return the vectors of all pieces, shape (layout.n_rows, D); 0 in the padding of a text's last window."""
    vectors: torch.Tensor | None = None
    for some in batch_windows(layout.lengths, pieces_at_once(model.transformer.device)):
        lengths = layout.lengths[some]
        padded = pad_windows([windows.input_ids[i] for i in some], model.tokenizer)
        found = encode_pieces(model, padded)  # (n_windows, n_pieces, D)
        if vectors is None:
            vectors = found.new_zeros(layout.n_rows, found.shape[-1])
        inside = expand(numpy.arange(len(some)) * found.shape[1], lengths)
        to, of = (torch.from_numpy(rows).to(found.device) for rows in (layout.rows_of(some), inside))
        vectors[to] = found.reshape(-1, found.shape[-1])[of]
    return vectors


def pieces_at_once(device: torch.device) -> int:
    return PIECES_ON_CPU if device.type == "cpu" else PIECES_ON_GPU


def encode_pieces(model: TransformerModel, wordpieces: WordpieceBatch) -> torch.Tensor:
    """Return the encoder's last vectors, float32, from the fast copy that `accelerate` has made, if there is one."""
    shim = model.layers[0].shims[0]
    fast = shim.fast
    if fast is None:
        with torch.autocast("cpu", torch.bfloat16, enabled=shim.reads_in_bf16):
            return model.layers[0].predict(wordpieces).last_hidden_state
    device = get_torch_default_device()
    with torch.no_grad():
        return fast(*(torch.from_numpy(rows).to(device) for rows in (wordpieces.input_ids, wordpieces.attention_mask)))


def mean_rows(vectors: torch.Tensor, rows: numpy.ndarray, counts: numpy.ndarray) -> torch.Tensor:
    """Return the mean of each token's rows, shape (n_tokens, D); 0 for a token without rows."""
    to, first = (torch.from_numpy(part).to(vectors.device) for part in (rows, numpy.cumsum(counts) - counts))
    return functional.embedding_bag(to, vectors, first, mode="mean")


def hand_out(layout: Layout, pieces: tuple, tokens: tuple, aligned: tuple) -> Iterator[ReadText]:
    """Yield each text's share, as views of what all texts have.

    pieces: Ids, mask and vectors of all rows. tokens: All tokens' vectors, and how many each text has.
    aligned: The rows of all tokens, and how many each has.
    """
    (ids, mask, vectors), (token_vectors, n_tokens), (rows, counts) = pieces, tokens, aligned
    ends, row_ends = numpy.cumsum(n_tokens), numpy.cumsum(counts)
    start, row_start = 0, 0
    for (own, shape), end in zip(layout.blocks(), ends.tolist(), strict=True):
        row_end = int(row_ends[end - 1])
        align = Ragged((rows[row_start:row_end] - own.start).astype("int32"), counts[start:end].astype("int32"))
        n_windows = shape[0]
        wordpieces = WordpieceBatch([[]] * n_windows, ids[own].reshape(shape), mask[own].reshape(shape), [], None)
        wordpieces.lengths = wordpieces.attention_mask.sum(axis=1).astype(int).tolist()
        output = BaseModelOutput(last_hidden_state=vectors[own].reshape(*shape, -1))
        yield ReadText(wordpieces, output, align, token_vectors[start:end])
        start, row_start = end, row_end


def pad_windows(input_ids: Sequence[Sequence[int]], tokenizer: Any) -> WordpieceBatch:
    """Put windows side by side, padded to the longest. The pieces' strings are left out because nothing reads them."""
    lengths = [len(window) for window in input_ids]
    padded = numpy.full((len(lengths), max(lengths)), tokenizer.pad_token_id, dtype="int64")
    for row, window in zip(padded, input_ids, strict=True):
        row[: len(window)] = window
    mask = (numpy.arange(max(lengths)) < numpy.asarray(lengths)[:, None]).astype("float32")
    return WordpieceBatch([[]] * len(lengths), padded, mask, lengths, None)


def token_characters(doc: Doc) -> numpy.ndarray:
    """Return the start and end character of every token, shape (n_tokens, 2)."""
    places = doc.to_array([IDX, LENGTH]).astype("int64").reshape(-1, 2)
    places[:, 1] += places[:, 0]
    return places


def texts_of(docs: Sequence[Doc]) -> list[str]:
    """Return each doc's `text` without making an object for every token, which takes as long as the heads do."""
    if len({id(doc.vocab) for doc in docs}) != 1:
        return [doc.text for doc in docs]
    rows = numpy.concatenate([doc.to_array([ORTH, SPACY]).reshape(-1, 2) for doc in docs])
    orths, places = numpy.unique(rows[:, 0], return_inverse=True)
    words = [docs[0].vocab.strings[orth] for orth in orths.tolist()]
    shown = numpy.array([*words, *(f"{word} " for word in words)], dtype=object)
    pieces = shown[places + len(words) * (rows[:, 1] > 0)].tolist()
    ends = numpy.cumsum([len(doc) for doc in docs]).tolist()
    return ["".join(pieces[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
