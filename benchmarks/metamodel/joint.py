"""The paper's way for texts and instructions to meet: the two read together, trained by the same loop and scored beside ours."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from spacy_falconer.metamodel.heads import Pairs
from spacy_falconer.metamodel.pretrain.collate import Batch
from spacy_falconer.metamodel.pretrain.model import Answers, Metamodel, average
from spacy_falconer.metamodel.pretrain.read import Pieces

LONGEST_JOINT = 420  # Pieces of a text that leave room for an instruction.
SURE = 20.0  # A logit that costs nothing where it is right.
MAX_PAIRS = 4  # Instructions of each primitive that a text is read with while the joint reader trains.


class JointReader(nn.Module):
    """Reads a text once for each instruction, the two in one sequence: the most that an encoder can do, at K times
    the cost.
    """

    def __init__(self, encoder: nn.Module, width: int, dropout: float, kind: str):
        super().__init__()
        self.read = encoder
        self.dropout, self.output, self.kind = nn.Dropout(dropout), nn.Linear(width, 3 if kind == "span" else 1), kind

    def forward(self, texts: Pieces, lengths: Tensor, instructions: Pieces) -> Tensor:
        hidden = self.read(texts, instructions)  # (n_texts, K, n_pieces, D), with the first piece before the text
        if self.kind == "label":
            return self.output(self.dropout(hidden[:, :, 0])).squeeze(-1)
        width = texts.input_ids.shape[1]
        by_piece = hidden.transpose(1, 2).flatten(0, 1)  # (n_texts * n_pieces, K, D)
        assert width == hidden.shape[2]
        return self.output(self.dropout(average(by_piece[texts.piece_of], texts.token_of, int(lengths.sum()))))


class JointMetamodel(Metamodel):
    """The paper's way: [first] text [sep] instruction [sep] is one sequence. Texts of one window only."""

    def __init__(self, encoder: Any, *, hidden_width: int, dropout: float):
        super().__init__(encoder, hidden_width=1, dropout=dropout)
        width = encoder.config.hidden_size
        self.label = JointReader(self.read_pairs, width, dropout, "label")
        self.span = JointReader(self.read_pairs, width, dropout, "span")

    def encode(self, pieces: Pieces) -> Any:
        return pieces

    def read_means(self, pieces: Pieces) -> Any:
        return pieces

    def read_pairs(self, texts: Pieces, instructions: Pieces) -> Tensor:
        n_texts, n_asked = len(texts.input_ids), len(instructions.input_ids)
        body = instructions.input_ids[:, 1:]  # Without the first piece.
        ids = torch.cat([texts.input_ids.repeat_interleave(n_asked, 0), body.repeat(n_texts, 1)], dim=1)
        mask = torch.cat([texts.mask.repeat_interleave(n_asked, 0), instructions.mask[:, 1:].repeat(n_texts, 1)], dim=1)
        types = torch.zeros_like(ids)
        types[:, texts.input_ids.shape[1] :] = 1
        read = []
        for rows in torch.arange(len(ids)).split(32):
            with torch.autocast(ids.device.type, dtype=torch.bfloat16):
                output = self.encoder(input_ids=ids[rows], attention_mask=mask[rows], token_type_ids=types[rows])
            read.append(output.last_hidden_state[:, : texts.input_ids.shape[1]].float())
        return torch.cat(read).unflatten(0, (n_texts, n_asked))

    def forward(self, batch: Batch) -> Answers:
        """What is not read, for it would take too long, is answered right: it teaches nothing."""
        spans = SURE * (2 * functional.one_hot(batch.span_targets.clamp(min=0), 3).float() - 1)
        labels = SURE * (2 * batch.label_targets - 1)
        for number in range(len(batch)):
            taken = take_text(batch.texts, number)
            if taken is not None:
                self.answer_text(*taken, number, batch, spans, labels)
        return Answers(spans, labels, spans.new_ones((len(batch) + len(batch.instructions.lengths), 1)))

    def answer_text(
        self, text: Pieces, length: Tensor, number: int, batch: Batch, spans: Tensor, labels: Tensor
    ) -> None:
        """Put a text's answers to some of what it is asked into their places."""
        kept = draw_pairs(batch.spans, number)
        if len(kept):
            rows = torch.cat([(batch.spans.pair == pair).nonzero()[:, 0] for pair in kept])
            read = self.span(text, length, take_instructions(batch.instructions, batch.spans.instruction[kept]))
            spans[rows] = read.transpose(0, 1).flatten(0, 1)
        kept = draw_pairs(batch.labels, number)
        if len(kept):
            labels[kept] = self.label(
                text, length, take_instructions(batch.instructions, batch.labels.instruction[kept])
            )[0]


def draw_pairs(pairs: Pairs, number: int) -> Tensor:
    """A few of the pairs of a text."""
    own = (pairs.text == number).nonzero()[:, 0]
    return own[torch.randperm(len(own))[:MAX_PAIRS].sort().values.to(own.device)]


def take_text(texts: Pieces, number: int) -> tuple[Pieces, Tensor] | None:
    """One text of a batch, if one window holds it and leaves room for an instruction."""
    width = texts.input_ids.shape[1]
    first = int(texts.lengths[:number].sum())
    length = texts.lengths[number : number + 1]
    own = (texts.token_of >= first) & (texts.token_of < first + length)
    windows = (texts.piece_of[own] // width).unique()
    if len(windows) != 1 or (used := int(texts.mask[windows[0]].sum())) > LONGEST_JOINT:
        return None
    row = slice(int(windows[0]), int(windows[0]) + 1)
    pieces = texts.piece_of[own] - row.start * width
    alone = texts.text_of.new_zeros(int(length))
    return Pieces(
        texts.input_ids[row, :used], texts.mask[row, :used], pieces, texts.token_of[own] - first, alone, length
    ), length


def take_instructions(instructions: Pieces, rows: Tensor) -> Pieces:
    used = int(instructions.mask[rows].sum(dim=1).max())
    empty = instructions.piece_of[:0]
    return Pieces(
        instructions.input_ids[rows, :used],
        instructions.mask[rows, :used],
        empty,
        empty,
        empty,
        instructions.lengths[rows],
    )
