"""Other ways for texts and instructions to meet, to be trained by the same loop and scored beside ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.metamodel.joint import JointMetamodel
from spacy_falconer.metamodel.decode import B, I, O
from spacy_falconer.metamodel.heads import Interaction, LabelHead, Likeness, Pairs, SpanHead, add_up, pool_segments
from spacy_falconer.metamodel.pretrain.checkpoint import read_model
from spacy_falconer.metamodel.pretrain.collate import UNKNOWN, Batch
from spacy_falconer.metamodel.pretrain.model import Answers, Metamodel, average
from spacy_falconer.metamodel.pretrain.read import Pieces
from spacy_falconer.metamodel.pretrain.settings import PretrainSettings


class TextByText(Metamodel):
    """For heads that meet all tokens of a text with all instructions asked of it: one text after the other."""

    def forward(self, batch: Batch) -> Answers:
        tokens, instructions = self.encode(batch.texts), self.read_means(batch.instructions)
        spans, labels = [], []
        for number, text in enumerate(tokens.split(batch.texts.lengths.tolist())):
            length = batch.texts.lengths[number : number + 1]
            asked = [pairs.instruction[pairs.text == number] for pairs in (batch.spans, batch.labels)]
            spans.append(self.span(text, length, instructions[asked[0]]).transpose(0, 1).flatten(0, 1))
            labels.append(self.label(text, length, instructions[asked[1]])[0])
        means = average(tokens, batch.texts.text_of, len(batch))
        return Answers(torch.cat(spans), torch.cat(labels), torch.cat([means, self.find_means(instructions)]))

    def find_means(self, instructions: Any) -> Tensor:
        return instructions


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


class CrossMetamodel(TextByText):
    """Keeps the vectors of every token of an instruction."""

    def read_means(self, pieces: Pieces) -> Any:
        tokens = self.encode(pieces)
        words = nn.utils.rnn.pad_sequence(list(tokens.split(pieces.lengths.tolist())), batch_first=True)
        places = torch.arange(words.shape[1], device=words.device)
        means = average(tokens, pieces.text_of, len(pieces.lengths))
        return Words(means, words, places < pieces.lengths.unsqueeze(1))

    def find_means(self, instructions: Words) -> Tensor:
        return instructions.means


class EndsSpanHead(SpanHead):
    """Start and end logits of every token. When it is not training, its spans as B, I, O scores, to be decoded alike."""

    def __init__(self, *, width: int, hidden_width: int, dropout: float, longest: int = 30):
        super().__init__(width=width, hidden_width=hidden_width, dropout=dropout)
        self.output = nn.Linear(hidden_width, 2)
        self.longest = longest

    def forward(self, tokens: Tensor, lengths: Tensor, instructions: Tensor) -> Tensor:
        return self.to_bio(super().forward(tokens, lengths, instructions).sigmoid().cpu(), lengths.tolist())

    def to_bio(self, scores: Tensor, lengths: list[int]) -> Tensor:
        marked = torch.full((*scores.shape[:2], 3), -20.0)
        marked[..., O] = 0.0
        first = 0
        for length in lengths:
            for k in range(scores.shape[1]):
                for start, end, score in self.join(scores[first : first + length, k]):
                    rows = slice(first + start, first + end)
                    marked[rows, k] = torch.tensor([-20.0, -20.0, -20.0])
                    marked[rows, k, I] = 20.0
                    marked[first + start, k, I], marked[first + start, k, B] = -20.0, score
                    marked[first + start, k, O] = 0.0
            first += length
        return marked

    def join(self, scores: Tensor) -> Iterator[tuple[int, int, float]]:
        """Each likely start with its likeliest end before the next start; the root of both scores' product counts."""
        starts = [int(index) for index in (scores[:, 0] >= 0.5).nonzero()]
        for start, following in pairwise([*starts, len(scores)]):
            ends = scores[start : min(following, start + self.longest), 1]
            score = float((scores[start, 0] * ends.max()).sqrt().clamp(1e-4, 1 - 1e-4))
            yield start, start + int(ends.argmax()) + 1, torch.logit(torch.tensor(score)).item()


class EndsMetamodel(Metamodel):
    def measure_spans(self, logits: Tensor, targets: Tensor, pairs: Pairs) -> Tensor:
        after, pair_after = (torch.cat([values[1:], values[:1]]) for values in (targets, pairs.pair))
        goes_on = (after == I) & (pair_after == pairs.pair)
        wanted = torch.stack([targets == B, ((targets == B) | (targets == I)) & ~goes_on], dim=-1).float()
        losses = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(dim=-1)
        known = (targets != UNKNOWN).float()
        sums = (add_up(values, pairs.pair, len(pairs)) for values in (losses * known, known))
        return next(sums) / next(sums).clamp(min=1).sqrt()


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
    "attending labels": (TextByText, AttendingLabelHead, SpanHead),
    "cross-attention": (CrossMetamodel, CrossLabelHead, CrossSpanHead),
    "joint reading": (JointMetamodel, None, None),
    "start and end": (EndsMetamodel, LabelHead, EndsSpanHead),
}
