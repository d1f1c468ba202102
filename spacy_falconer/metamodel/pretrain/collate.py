"""Examples as tensors: the pieces of texts and instructions, the tokens they belong to, and what is to be learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from torch import Tensor

from spacy_falconer.metamodel.decode import B, I, O
from spacy_falconer.metamodel.pretrain.data import Characters
from spacy_falconer.metamodel.pretrain.draw import Example
from spacy_falconer.metamodel.windows import align_tokens, cut_windows

UNKNOWN = -100  # What torch's cross-entropy ignores.
MAX_PIECES = 512  # Or what the encoder reads at once, where that is less.


@dataclass(frozen=True)
class Pieces:
    """Texts as the encoder reads them.

    input_ids, mask: Shape (n_windows, n_pieces).
    piece_of, token_of: Pairs of a piece and the token that it belongs to, counted over all texts.
    lengths: Tokens of each text.
    """

    input_ids: Tensor
    mask: Tensor
    piece_of: Tensor
    token_of: Tensor
    lengths: Tensor

    def to(self, device: torch.device) -> Pieces:
        return Pieces(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Task:
    """What is asked of one text. Instructions are rows of the batch's instructions.

    span_targets: B, I, O or UNKNOWN, shape (n_tokens, n_spans_asked). label_targets: Shape (n_labels_asked,).
    """

    span_instructions: Tensor
    span_targets: Tensor
    label_instructions: Tensor
    label_targets: Tensor

    def to(self, device: torch.device) -> Task:
        return Task(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Batch:
    texts: Pieces
    instructions: Pieces
    tasks: tuple[Task, ...]

    def to(self, device: torch.device) -> Batch:
        tasks = tuple(task.to(device) for task in self.tasks)
        return Batch(self.texts.to(device), self.instructions.to(device), tasks)


@dataclass(frozen=True)
class TextReader:
    """The two ways a text is cut: into spaCy's tokens and into the encoder's pieces."""

    nlp: Language
    tokenizer: Any

    def read(self, texts: Sequence[str]) -> tuple[Pieces, list[Doc]]:
        docs = [self.nlp.make_doc(text) for text in texts]
        return join_pieces(docs, self.tokenizer), docs

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Put examples side by side; an instruction that several texts are asked is read once."""
        asked = dict.fromkeys(key for example in examples for key in (*example.spans, *example.labels))
        rows = {instruction: row for row, instruction in enumerate(asked)}
        texts, docs = self.read([example.text for example in examples])
        tasks = tuple(make_task(doc, example, rows) for doc, example in zip(docs, examples, strict=True))
        return Batch(texts, self.read(list(asked))[0], tasks)

    def count_pieces(self, text: str) -> int:
        return len(self.tokenizer(text, verbose=False)["input_ids"])


def join_pieces(docs: Sequence[Doc], tokenizer: Any) -> Pieces:
    max_pieces = min(MAX_PIECES, tokenizer.model_max_length)
    windows = cut_windows(tokenizer, [doc.text for doc in docs], max_pieces=max_pieces, overlap=max_pieces // 4)
    width = max(len(window) for window in windows.input_ids)
    input_ids = numpy.full((len(windows.input_ids), width), tokenizer.pad_token_id, dtype="int64")
    for row, window in zip(input_ids, windows.input_ids, strict=True):
        row[: len(window)] = window
    mask = numpy.arange(width) < numpy.asarray([len(window) for window in windows.input_ids])[:, None]
    piece_of, token_of, n_windows, n_tokens = [], [], 0, 0
    for doc, count in zip(docs, windows.n_per_text, strict=True):
        offsets = windows.offsets[n_windows : n_windows + count]
        pieces, lengths = align_tokens(find_characters(doc), offsets, row_width=width)
        piece_of.append(pieces.astype("int64") + n_windows * width)
        token_of.append(numpy.repeat(numpy.arange(len(doc)) + n_tokens, lengths))
        n_windows, n_tokens = n_windows + count, n_tokens + len(doc)
    return Pieces(
        torch.from_numpy(input_ids),
        torch.from_numpy(mask.astype("int64")),
        torch.from_numpy(numpy.concatenate(piece_of)),
        torch.from_numpy(numpy.concatenate(token_of)),
        torch.tensor([len(doc) for doc in docs]),
    )


def find_characters(doc: Doc) -> NDArray[numpy.int64]:
    """Start and end of every token, shape (n_tokens, 2)."""
    return numpy.asarray([(token.idx, token.idx + len(token)) for token in doc], dtype="int64").reshape(-1, 2)


def make_task(doc: Doc, example: Example, rows: dict[str, int]) -> Task:
    columns = [make_targets(doc, spans) for spans in example.spans.values()]
    return Task(
        torch.tensor([rows[instruction] for instruction in example.spans], dtype=torch.long),
        torch.tensor(numpy.stack(columns, axis=1)) if columns else torch.zeros((len(doc), 0), dtype=torch.long),
        torch.tensor([rows[instruction] for instruction in example.labels], dtype=torch.long),
        torch.tensor([float(answer) for answer in example.labels.values()]),
    )


def make_targets(doc: Doc, spans: Sequence[Characters]) -> NDArray[numpy.int64]:
    """B, I and O of every token; the longest of overlapping spans counts, and tokens it does not fit are UNKNOWN."""
    targets = numpy.full(len(doc), O, dtype="int64")
    for start, end in sorted(spans, key=lambda span: span[0] - span[1]):
        span = doc.char_span(start, end)
        if span is None:
            targets[[token.i for token in doc if token.idx < end and start < token.idx + len(token)]] = UNKNOWN
        elif (targets[span.start : span.end] == O).all():
            targets[span.start : span.end] = I
            targets[span.start] = B
    return targets


def batch_groups(
    groups: Sequence[Sequence[Example]], reader: TextReader, *, max_texts: int, max_pieces: int
) -> Iterator[list[Example]]:
    """Whole groups of like length together: at most `max_texts`, and `max_pieces` with the padding, unless one group
    alone is larger.
    """
    longest = {id(group): max(reader.count_pieces(example.text) for example in group) for group in groups}
    batch: list[Example] = []
    for group in sorted(groups, key=lambda group: longest[id(group)]):
        n_texts = len(batch) + len(group)
        if batch and (n_texts > max_texts or n_texts * longest[id(group)] > max_pieces):
            yield batch
            batch = []
        batch = [*batch, *group]
    if batch:
        yield batch
