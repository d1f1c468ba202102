"""Turn examples into tensors: the pieces of texts and instructions, what is asked of which text, and what is to be learned."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from spacy_falconer.metamodel.decode import B, I, O
from spacy_falconer.metamodel.heads import Pairs, Tensors
from spacy_falconer.metamodel.pretrain.data import Characters
from spacy_falconer.metamodel.pretrain.draw import Example
from spacy_falconer.metamodel.pretrain.read import Pieces, Reading, TextReader

UNKNOWN = -100  # What torch's cross-entropy ignores.


@dataclass(frozen=True)
class Batch(Tensors):
    """Texts, instructions, what is asked of which text, and what is right.

    span_targets: B, I, O or UNKNOWN for each row of `spans`. label_targets: 0.0 or 1.0 for each pair of `labels`.
    """

    texts: Pieces
    instructions: Pieces
    spans: Pairs
    span_targets: Tensor
    labels: Pairs
    label_targets: Tensor

    def __len__(self) -> int:
        return len(self.texts.lengths)


def collate(examples: Sequence[Example], reader: TextReader) -> Batch:
    """Put examples side by side. An instruction that is asked of several texts is read once."""
    wanted = dict.fromkeys(key for example in examples for key in (*example.spans, *example.labels))
    rows = {instruction: row for row, instruction in enumerate(wanted)}
    texts, readings = reader.read_all([example.text for example in examples])
    lengths = numpy.asarray([len(reading) for reading in readings])
    spans = [make_targets(reading, known) for reading, one in zip(readings, examples, strict=True)
             for known in one.spans.values()]  # fmt: skip
    labels = [holds for example in examples for holds in example.labels.values()]
    return Batch(
        texts,
        reader.read_all(list(wanted))[0],
        pair_up([example.spans for example in examples], rows, lengths),
        torch.from_numpy(numpy.concatenate([numpy.zeros(0, "int64"), *spans])),
        pair_up([example.labels for example in examples], rows, lengths),
        torch.tensor(labels, dtype=torch.float32),
    )


def pair_up(asked: Sequence[Collection[str]], rows: Mapping[str, int], lengths: NDArray[numpy.int64]) -> Pairs:
    """Pair each text with each instruction asked of it. rows: The row of each instruction. lengths: Tokens of each text."""
    text = numpy.repeat(numpy.arange(len(asked)), [len(keys) for keys in asked])
    instruction = numpy.asarray([rows[key] for keys in asked for key in keys], dtype="int64")
    counts = lengths[text]
    pair = numpy.repeat(numpy.arange(len(text)), counts)
    within = numpy.arange(len(pair)) - (numpy.cumsum(counts) - counts)[pair]
    token = (numpy.cumsum(lengths) - lengths)[text][pair] + within
    return Pairs(*map(torch.from_numpy, (text, instruction, token, pair)))


def make_targets(reading: Reading, spans: Sequence[Characters]) -> NDArray[numpy.int64]:
    """Return B, I and O of every token. Of overlapping spans, the longest counts; tokens of unalignable ones are UNKNOWN."""
    starts, ends = reading.characters.T
    targets = numpy.full(len(reading), O, dtype="int64")
    for start, end in sorted(spans, key=lambda span: span[0] - span[1]):
        touched = numpy.flatnonzero((starts < end) & (start < ends))
        fits = len(touched) and starts[touched[0]] == start and ends[touched[-1]] == end
        if not fits:
            targets[touched] = UNKNOWN
        elif (targets[touched] == O).all():
            targets[touched] = I
            targets[touched[0]] = B
    return targets


def batch_groups(
    groups: Sequence[Sequence[Example]], reader: TextReader, *, max_texts: int, max_pieces: int
) -> Iterator[list[Example]]:
    """Yield batches of whole groups of similar length: at most `max_texts`, and `max_pieces` with the padding, unless one
    group alone is larger.
    """
    longest = {id(group): max(reader.read(example.text).n_pieces for example in group) for group in groups}
    batch: list[Example] = []
    for group in sorted(groups, key=lambda group: longest[id(group)]):
        n_texts = len(batch) + len(group)
        if batch and (n_texts > max_texts or n_texts * longest[id(group)] > max_pieces):
            yield batch
            batch = []
        batch = [*batch, *group]
    if batch:
        yield batch
