"""The heads: token vectors meet instruction vectors. Plain torch, no spaCy, no thinc.

The encoder reads a text once for all instructions; each further instruction costs only a small matrix product.
Shapes: B texts, N tokens of all texts one after the other, K instructions, D the encoder's width, H hidden units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from typing_extensions import Self


class Tensors:
    """A dataclass of tensors, or of other such dataclasses, that moves to a device as a whole."""

    __dataclass_fields__: dict[str, Any]

    def to(self, device: torch.device) -> Self:
        return type(self)(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Pairs(Tensors):
    """Pairs of a text and an instruction that is asked of it, text after text.

    text, instruction: Their indices, shape (n_pairs,).
    token, pair: For each token of each pair's text, its index among all tokens, and that of the pair; shape (n_rows,).
    """

    text: Tensor
    instruction: Tensor
    token: Tensor
    pair: Tensor

    def __len__(self) -> int:
        return len(self.text)


class Interaction(nn.Module):
    """Combines every token with every instruction, additively and multiplicatively.

    *Shape:* tokens (N, D), instructions (K, D) -> (N, K, H)

    in_bf16: Whether tokens are projected in bfloat16. Their vectors are made like this if the encoder is accelerated.
    """

    in_bf16 = False

    def __init__(self, *, width: int, hidden_width: int):
        super().__init__()
        self.norm_tokens = nn.LayerNorm(width)
        self.norm_instructions = nn.LayerNorm(width)
        self.tokens = nn.Linear(width, 2 * hidden_width)
        self.instructions = nn.Linear(width, 2 * hidden_width)
        with torch.no_grad():  # Both start with one projection, so that similar vectors have large products.
            self.instructions.weight[hidden_width:] = self.tokens.weight[hidden_width:]

    def forward(self, tokens: Tensor, instructions: Tensor) -> Tensor:
        projected, asked = self.project(tokens, instructions)
        return meet(projected.unsqueeze(1), asked)

    def pair(self, tokens: Tensor, instructions: Tensor, pairs: Pairs) -> Tensor:
        """Combines the tokens of each pair with its instruction alone.

        *Shape:* -> (n_rows, H)
        """
        projected, asked = self.project(tokens, instructions)
        rows = pairs.instruction.index_select(0, pairs.pair)
        return meet(projected.index_select(0, pairs.token), asked.index_select(0, rows))

    def project(self, tokens: Tensor, instructions: Tensor) -> tuple[Tensor, Tensor]:
        """*Shape:* -> (N, 2H), (K, 2H)"""
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=self.in_bf16):
            projected = self.tokens(self.norm_tokens(tokens)).float()
        return projected, self.instructions(self.norm_instructions(instructions))


def meet(tokens: Tensor, instructions: Tensor) -> Tensor:
    """*Shape:* two that broadcast, (..., 2H) -> (..., H)"""
    token_add, token_mul = tokens.chunk(2, dim=-1)
    instruction_add, instruction_mul = instructions.chunk(2, dim=-1)
    return functional.gelu(torch.addcmul(token_add + instruction_add, token_mul, instruction_mul))


class SpanHead(nn.Module):
    """B, I and O logits of every token for every instruction.

    *Shape:* tokens (N, D), lengths (B,), instructions (K, D) -> (N, K, 3)
    """

    def __init__(self, *, width: int, hidden_width: int, dropout: float):
        super().__init__()
        self.interaction = Interaction(width=width, hidden_width=hidden_width)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_width, 3)

    def forward(self, tokens: Tensor, lengths: Tensor, instructions: Tensor) -> Tensor:
        return self.output(self.dropout(self.interaction(tokens, instructions)))

    def pair(self, tokens: Tensor, instructions: Tensor, pairs: Pairs) -> Tensor:
        """*Shape:* -> (n_rows, 3)"""
        return self.output(self.dropout(self.interaction.pair(tokens, instructions, pairs)))


class LabelHead(nn.Module):
    """One logit of every text for every instruction: the attention-weighted mean of its tokens' votes, plus the similarity
    of the text's mean vector to the instruction's. A sentence encoder is good at the latter from the start.

    *Shape:* tokens (N, D), lengths (B,), instructions (K, D) -> (B, K)
    """

    def __init__(self, *, width: int, hidden_width: int, dropout: float):
        super().__init__()
        self.interaction = Interaction(width=width, hidden_width=hidden_width)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_width, 2)
        self.likeness = Likeness()

    def forward(self, tokens: Tensor, lengths: Tensor, instructions: Tensor) -> Tensor:
        met = self.dropout(self.interaction(tokens, instructions))  # (N, K, H)
        attention, votes = self.output(met).unbind(dim=-1)  # (N, K) each
        return pool_segments(attention, votes, lengths) + self.likeness(tokens, lengths, instructions)

    def pair(self, tokens: Tensor, means: Tensor, instructions: Tensor, pairs: Pairs) -> Tensor:
        """*Shape:* means, of each text's tokens (B, D) -> (n_pairs,)"""
        met = self.dropout(self.interaction.pair(tokens, instructions, pairs))
        attention, votes = self.output(met).unbind(dim=-1)  # (n_rows,) each
        cosines = functional.cosine_similarity(
            means.index_select(0, pairs.text), instructions.index_select(0, pairs.instruction)
        )
        return pool_rows(attention, votes, pairs.pair, len(pairs)) + self.likeness.scale(cosines)


class Likeness(nn.Module):
    """The cosine of a text's mean vector and an instruction's, as a logit.

    *Shape:* tokens (N, D), lengths (B,), instructions (K, D) -> (B, K)
    """

    def __init__(self):
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor([math.log(10.0)]))  # thinc's optimizers do not update bare numbers.
        self.middle = nn.Parameter(torch.tensor([0.25]))

    def forward(self, tokens: Tensor, lengths: Tensor, instructions: Tensor) -> Tensor:
        means = mean_segments(tokens, lengths)  # (B, D)
        cosines = functional.normalize(means, dim=-1) @ functional.normalize(instructions, dim=-1).T  # (B, K)
        return self.scale(cosines)

    def scale(self, cosines: Tensor) -> Tensor:
        return self.log_scale.exp() * (cosines - self.middle)


def number_texts(lengths: Tensor) -> Tensor:
    """The index of each token's text.

    *Shape:* lengths (B,) -> (N,)
    """
    return torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)


def mean_segments(tokens: Tensor, lengths: Tensor) -> Tensor:
    """The mean vector of each text; zeros for a text without tokens.

    *Shape:* tokens (N, D), lengths (B,) -> (B, D)
    """
    return add_up(tokens, number_texts(lengths), len(lengths)) / lengths.clamp(min=1).unsqueeze(1)


def add_up(values: Tensor, group_of: Tensor, n_groups: int) -> Tensor:
    """The sum of the rows of each group.

    *Shape:* values (N, ...), group_of (N,) -> (n_groups, ...)
    """
    return values.new_zeros((n_groups, *values.shape[1:])).index_add(0, group_of, values)


def pool_segments(attention: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
    """The softmax-weighted mean of `values` within each text; 0 for a text without tokens.

    *Shape:* attention (N, K), values (N, K), lengths (B,) -> (B, K)
    """
    return pool_rows(attention, values, number_texts(lengths), len(lengths))


def pool_rows(attention: Tensor, values: Tensor, segment_of: Tensor, n_segments: int) -> Tensor:
    """Like `pool_segments`, with the segment of each row given.

    *Shape:* attention, values (N, ...), segment_of (N,) -> (n_segments, ...)
    """
    index = segment_of.view(-1, *[1] * (attention.dim() - 1)).expand_as(attention)
    peak = attention.new_full((n_segments, *attention.shape[1:]), float("-inf"))
    peak = peak.scatter_reduce(0, index, attention.detach(), reduce="amax")
    weights = torch.exp(attention - peak.index_select(0, segment_of))
    total = add_up(weights, segment_of, n_segments)
    return add_up(weights * values, segment_of, n_segments) / total.clamp(min=1e-9)


class Instructed(nn.Module):
    """A head with the vectors of the instructions that it answers, which are parameters like any other.

    *Shape:* tokens (N, D), lengths (B,) -> the head's output for all K instructions
    """

    def __init__(self, head: SpanHead | LabelHead, instructions: Tensor):
        super().__init__()
        self.head = head
        self.instructions = nn.Parameter(instructions, requires_grad=len(instructions) > 0)  # (K, D)

    def forward(self, tokens: Tensor, lengths: Tensor, instructions: Tensor | None = None) -> Tensor:
        return self.head(tokens, lengths, self.instructions if instructions is None else instructions)
