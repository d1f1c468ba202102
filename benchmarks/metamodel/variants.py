"""Other ways for texts and instructions to meet, to be trained by the same loop and scored beside ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from spacy_falconer.metamodel.decode import B, I, O
from spacy_falconer.metamodel.heads import Interaction, LabelHead, Likeness, SpanHead, mean_segments, pool_segments
from spacy_falconer.metamodel.pretrain.checkpoint import read_model
from spacy_falconer.metamodel.pretrain.collate import UNKNOWN, Batch, Pieces, Task
from spacy_falconer.metamodel.pretrain.model import Metamodel
from spacy_falconer.metamodel.pretrain.settings import PretrainSettings

LONGEST_JOINT = 420  # Pieces of a text that leave room for an instruction.
MOST_PAIRS = 4  # Instructions of each primitive that a text is read with while the joint reader trains.


class AttendingLabelHead(nn.Module):
    """Each instruction attends to the text's tokens with several heads, then reads what it gathered.

    *Shape:* tokens (N, D), lengths (B,), instructions (K, D) -> (B, K)
    """

    def __init__(self, *, width: int, hidden_width: int, dropout: float, n_heads: int = 8):
        super().__init__()
        self.n_heads = n_heads
        self.norm_tokens = nn.LayerNorm(width)
        self.norm_instructions = nn.LayerNorm(width)
        self.keys_values = nn.Linear(width, 2 * hidden_width)
        self.queries = nn.Linear(width, 2 * hidden_width)
        self.mix = nn.Linear(3 * hidden_width, hidden_width)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_width, 1)
        self.likeness = Likeness()

    def forward(self, tokens: Tensor, lengths: Tensor, instructions: Tensor) -> Tensor:
        keys, values = self.keys_values(self.norm_tokens(tokens)).chunk(2, dim=-1)  # (N, H)
        queries, asked = self.queries(self.norm_instructions(instructions)).chunk(2, dim=-1)  # (K, H)
        gathered = [
            self.attend(queries, text_keys, text_values)
            for text_keys, text_values in zip(keys.split(lengths.tolist()), values.split(lengths.tolist()), strict=True)
        ]
        found = torch.stack(gathered)  # (B, K, H)
        asked = asked.expand_as(found)
        mixed = functional.gelu(self.mix(torch.cat([found, asked, found * asked], dim=-1)))
        return self.output(self.dropout(mixed)).squeeze(-1) + self.likeness(tokens, lengths, instructions)

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """*Shape:* queries (K, H), keys, values (n_tokens, H) -> (K, H)"""
        heads = [part.unflatten(-1, (self.n_heads, -1)).transpose(0, 1) for part in (queries, keys, values)]
        return functional.scaled_dot_product_attention(*heads).transpose(0, 1).flatten(1)


@dataclass(frozen=True)
class Words:
    """Instructions with the vectors of their tokens: means (K, D), words (K, L, D), mask (K, L)."""

    means: Tensor
    words: Tensor
    mask: Tensor

    def __getitem__(self, rows: Tensor) -> Words:
        return Words(self.means[rows], self.words[rows], self.mask[rows])

    def __len__(self) -> int:
        return len(self.means)


class CrossAttention(nn.Module):
    """Each token attends to the tokens of each instruction.

    *Shape:* tokens (N, D), instructions (K, L, D) -> (N, K, H)
    """

    def __init__(self, *, width: int, hidden_width: int):
        super().__init__()
        self.interaction = Interaction(width=width, hidden_width=hidden_width)
        self.norm_tokens, self.norm_words = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens = nn.Linear(width, 2 * hidden_width)
        self.words = nn.Linear(width, 2 * hidden_width)
        self.mix = nn.Linear(3 * hidden_width, hidden_width)

    def forward(self, tokens: Tensor, instructions: Words) -> Tensor:
        queries, own = self.tokens(self.norm_tokens(tokens)).chunk(2, dim=-1)  # (N, H)
        keys, values = self.words(self.norm_words(instructions.words)).chunk(2, dim=-1)  # (K, L, H)
        attention = torch.einsum("nh,klh->nkl", queries, keys) / queries.shape[1] ** 0.5
        weights = attention.masked_fill(~instructions.mask, float("-inf")).softmax(dim=-1)
        met = torch.einsum("nkl,klh->nkh", weights, values)
        own = own.unsqueeze(1).expand_as(met)
        light = self.interaction(tokens, instructions.means)
        return light + functional.gelu(self.mix(torch.cat([met, own, met * own], dim=-1)))


class CrossSpanHead(nn.Module):
    def __init__(self, *, width: int, hidden_width: int, dropout: float):
        super().__init__()
        self.meet = CrossAttention(width=width, hidden_width=hidden_width)
        self.dropout, self.output = nn.Dropout(dropout), nn.Linear(hidden_width, 3)

    def forward(self, tokens: Tensor, lengths: Tensor, instructions: Words) -> Tensor:
        return self.output(self.dropout(self.meet(tokens, instructions)))


class CrossLabelHead(nn.Module):
    def __init__(self, *, width: int, hidden_width: int, dropout: float):
        super().__init__()
        self.meet = CrossAttention(width=width, hidden_width=hidden_width)
        self.dropout, self.output, self.likeness = nn.Dropout(dropout), nn.Linear(hidden_width, 2), Likeness()

    def forward(self, tokens: Tensor, lengths: Tensor, instructions: Words) -> Tensor:
        attention, votes = self.output(self.dropout(self.meet(tokens, instructions))).unbind(dim=-1)
        return pool_segments(attention, votes, lengths) + self.likeness(tokens, lengths, instructions.means)


class CrossMetamodel(Metamodel):
    """Keeps the vectors of every token of an instruction."""

    def read_instructions(self, pieces: Pieces) -> Any:
        words = self.encode(pieces).split(pieces.lengths.tolist())
        mask = torch.arange(int(pieces.lengths.max())) < pieces.lengths.unsqueeze(1)
        means = mean_segments(torch.cat(words), pieces.lengths)
        return Words(means, nn.utils.rnn.pad_sequence(list(words), batch_first=True), mask)


class EndsSpanHead(nn.Module):
    """Start and end logits of every token. When it is not training, its spans as B, I, O scores, to be decoded alike."""

    def __init__(self, *, width: int, hidden_width: int, dropout: float, longest: int = 30):
        super().__init__()
        self.interaction = Interaction(width=width, hidden_width=hidden_width)
        self.dropout, self.output = nn.Dropout(dropout), nn.Linear(hidden_width, 2)
        self.longest = longest

    def forward(self, tokens: Tensor, lengths: Tensor, instructions: Tensor) -> Tensor:
        logits = self.output(self.dropout(self.interaction(tokens, instructions)))
        return logits if self.training else self.to_bio(logits.sigmoid(), lengths.tolist())

    def to_bio(self, scores: Tensor, lengths: list[int]) -> Tensor:
        marked = torch.full((*scores.shape[:2], 3), -20.0)
        marked[..., O] = 0.0
        first = 0
        for length in lengths:
            for k in range(scores.shape[1]):
                for start, end, score in self.pair(scores[first : first + length, k]):
                    rows = slice(first + start, first + end)
                    marked[rows, k] = torch.tensor([-20.0, -20.0, -20.0])
                    marked[rows, k, I] = 20.0
                    marked[first + start, k, I], marked[first + start, k, B] = -20.0, score
                    marked[first + start, k, O] = 0.0
            first += length
        return marked

    def pair(self, scores: Tensor) -> Iterator[tuple[int, int, float]]:
        """Each likely start with its likeliest end before the next start; the root of both scores' product counts."""
        starts = [int(index) for index in (scores[:, 0] >= 0.5).nonzero()]
        for start, following in zip(starts, [*starts[1:], len(scores)], strict=True):
            ends = scores[start : min(following, start + self.longest), 1]
            score = float((scores[start, 0] * ends.max()).sqrt().clamp(1e-4, 1 - 1e-4))
            yield start, start + int(ends.argmax()) + 1, torch.logit(torch.tensor(score)).item()


class EndsMetamodel(Metamodel):
    @staticmethod
    def measure_spans(logits: Tensor, targets: Tensor) -> Tensor:
        inside = (targets == B) | (targets == I)
        after = torch.cat([targets[1:], torch.full_like(targets[:1], O)])
        ends = inside & (after != I)
        wanted = torch.stack([targets == B, ends], dim=-1).float()
        losses = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(dim=-1)
        known = (targets != UNKNOWN).float()
        return (losses * known).sum(dim=0) / (known.sum() / targets.shape[1]).clamp(min=1).sqrt()


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
        n_tokens = int(lengths.sum())
        total = by_piece.new_zeros((n_tokens, *by_piece.shape[1:])).index_add(
            0, texts.token_of, by_piece[texts.piece_of]
        )
        counts = torch.bincount(texts.token_of, minlength=n_tokens).clamp(min=1)
        assert width == hidden.shape[2]
        return self.output(self.dropout(total / counts.view(-1, 1, 1)))


class JointMetamodel(Metamodel):
    """The paper's way: [first] text [sep] instruction [sep] is one sequence. Texts of one window only."""

    def __init__(self, encoder: Any, *, hidden_width: int, dropout: float):
        super().__init__(encoder, hidden_width=1, dropout=dropout)
        width = encoder.config.hidden_size
        self.label = JointReader(self.read_pairs, width, dropout, "label")
        self.span = JointReader(self.read_pairs, width, dropout, "span")

    def encode(self, pieces: Pieces) -> Any:
        return pieces

    def read_instructions(self, pieces: Pieces) -> Any:
        return pieces

    def forward(self, batch: Batch) -> Any:
        return batch.texts, batch.instructions

    def read_pairs(self, texts: Pieces, instructions: Pieces) -> Tensor:
        n_texts, n_asked = len(texts.input_ids), len(instructions.input_ids)
        body = instructions.input_ids[:, 1:]  # Without the first piece.
        ids = torch.cat([texts.input_ids.repeat_interleave(n_asked, 0), body.repeat(n_texts, 1)], dim=1)
        mask = torch.cat([texts.mask.repeat_interleave(n_asked, 0), instructions.mask[:, 1:].repeat(n_texts, 1)], dim=1)
        types = torch.zeros_like(ids)
        types[:, texts.input_ids.shape[1] :] = 1
        read = []
        for rows in torch.arange(len(ids)).split(32):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                output = self.encoder(input_ids=ids[rows], attention_mask=mask[rows], token_type_ids=types[rows])
            read.append(output.last_hidden_state[:, : texts.input_ids.shape[1]].float())
        return torch.cat(read).unflatten(0, (n_texts, n_asked))

    def answer(self, batch: Batch, tokens: Any, instructions: Any) -> Iterator[tuple[Task, Tensor, Tensor]]:
        """Of each text a few of its instructions, drawn anew each time."""
        for number, task in enumerate(batch.tasks):
            taken = take_text(batch.texts, number)
            if taken is None:
                continue
            text, length = taken
            kept = [torch.randperm(len(asked))[:MOST_PAIRS].sort().values
                    for asked in (task.span_instructions, task.label_instructions)]  # fmt: skip
            fewer = Task(
                task.span_instructions[kept[0]], task.span_targets[:, kept[0]],
                task.label_instructions[kept[1]], task.label_targets[kept[1]],
            )  # fmt: skip
            spans = torch.zeros((int(length), 0, 3))
            labels = torch.zeros((1, 0))
            if len(kept[0]):
                spans = self.span(text, length, take_instructions(instructions, fewer.span_instructions))
            if len(kept[1]):
                labels = self.label(text, length, take_instructions(instructions, fewer.label_instructions))
            yield fewer, spans, labels[0]


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
    return Pieces(
        texts.input_ids[row, :used], texts.mask[row, :used], pieces, texts.token_of[own] - first, length
    ), length


def take_instructions(instructions: Pieces, rows: Tensor) -> Pieces:
    used = int(instructions.mask[rows].sum(dim=1).max())
    empty = instructions.piece_of[:0]
    return Pieces(
        instructions.input_ids[rows, :used], instructions.mask[rows, :used], empty, empty, instructions.lengths[rows]
    )


def build(name: str, settings: PretrainSettings) -> tuple[Metamodel, Any]:
    """A fresh model of one of `HEADS`, and its tokenizer."""
    sizes = {"hidden_width": settings.hidden_width, "dropout": settings.dropout}
    plain, tokenizer = read_model(settings.encoder, **sizes, encoder_dropout=settings.encoder_dropout)
    kind, label, span = HEADS[name]
    model = kind(plain.encoder, **sizes)
    if label is not None and span is not None:
        width = plain.encoder.config.hidden_size
        model.label, model.span = label(width=width, **sizes), span(width=width, **sizes)
    return model, tokenizer


HEADS: dict[str, tuple[type[Metamodel], type | None, type | None]] = {
    "light": (Metamodel, LabelHead, SpanHead),
    "attending labels": (Metamodel, AttendingLabelHead, SpanHead),
    "cross-attention": (CrossMetamodel, CrossLabelHead, CrossSpanHead),
    "joint reading": (JointMetamodel, None, None),
    "start and end": (EndsMetamodel, LabelHead, EndsSpanHead),
}
