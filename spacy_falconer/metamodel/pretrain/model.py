"""The metamodel in plain torch, as it is pre-trained: an encoder, and a head for each primitive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from spacy_falconer.metamodel.heads import LabelHead, Pairs, SpanHead, add_up
from spacy_falconer.metamodel.pretrain.collate import UNKNOWN, Batch
from spacy_falconer.metamodel.pretrain.read import Pieces

WINDOWS_AT_ONCE = 32
NEVER = -1e4  # The logit of what is impossible.
RANKING = 0.5  # The cost of scoring below instructions that do not hold, relative to 1 for a wrong score as such.


class Metamodel(nn.Module):
    """Reads texts and instructions with one encoder; each text meets only the instructions asked of it."""

    encoder: PreTrainedModel

    def __init__(self, encoder: PreTrainedModel, *, hidden_width: int, dropout: float):
        super().__init__()
        sizes: dict[str, Any] = {"width": encoder.config.hidden_size, "hidden_width": hidden_width, "dropout": dropout}
        self.encoder = encoder
        self.label = LabelHead(**sizes)
        self.span = SpanHead(**sizes)

    def encode(self, pieces: Pieces) -> Tensor:
        """The mean of each token's pieces; zeros for a token without pieces.

        *Shape:* -> (N, D), all texts one after the other
        """
        hidden = self.encode_windows(pieces.input_ids, pieces.mask).flatten(0, 1)  # (n_windows * n_pieces, D)
        return average(hidden.index_select(0, pieces.piece_of), pieces.token_of, len(pieces.text_of))

    def encode_windows(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Read windows of similar length together, so that little padding is read.

        *Shape:* input_ids, mask (n_windows, n_pieces) -> (n_windows, n_pieces, D)
        """
        if input_ids.is_cuda:  # There, padding costs less than waiting for the lengths.
            return self.read_windows(input_ids, mask)
        order = mask.sum(dim=1).argsort()
        read = []
        for rows in order.split(WINDOWS_AT_ONCE):
            width = int(mask[rows].sum(dim=1).max())
            hidden = self.read_windows(input_ids[rows, :width], mask[rows, :width])
            read.append(functional.pad(hidden, (0, 0, 0, input_ids.shape[1] - width)))
        return torch.cat(read)[order.argsort()]

    def read_windows(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        with torch.autocast(input_ids.device.type, dtype=torch.bfloat16):
            return self.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state.float()

    def read_means(self, pieces: Pieces) -> Tensor:
        """The mean vector of each text, or of each instruction.

        *Shape:* -> (B, D) or (K, D)
        """
        return average(self.encode(pieces), pieces.text_of, len(pieces.lengths))

    def forward(self, batch: Batch) -> Answers:
        """Answer what is asked in a batch."""
        tokens = self.encode(batch.texts)
        means = average(tokens, batch.texts.text_of, len(batch))
        instructions = self.read_means(batch.instructions)
        spans = self.span.pair(tokens, instructions, batch.spans)
        labels = self.label.pair(tokens, means, instructions, batch.labels)
        return Answers(spans, labels, torch.cat([means, instructions]))

    def measure_spans(self, logits: Tensor, targets: Tensor, pairs: Pairs) -> Tensor:
        """The loss of each pair: the sum over the tokens, divided by the square root of their number. A long text counts more
        than a short one, but not in proportion, and the few tokens of a mention are not lost among the many outside.

        *Shape:* logits (n_rows, 3), targets (n_rows,) -> (n_pairs,)
        """
        losses = functional.cross_entropy(logits, targets, ignore_index=UNKNOWN, reduction="none")
        known = (targets != UNKNOWN).to(losses.dtype)
        return add_up(losses, pairs.pair, len(pairs)) / add_up(known, pairs.pair, len(pairs)).clamp(min=1).sqrt()


@dataclass(frozen=True)
class Answers:
    """What a model answers about a batch.

    spans: Logits of B, I and O for each row of the batch's `spans`. labels: A logit for each pair of its `labels`.
    means: The mean vectors of the texts, then of the instructions, shape (B + K, D).
    """

    spans: Tensor
    labels: Tensor
    means: Tensor


def average(values: Tensor, group_of: Tensor, n_groups: int) -> Tensor:
    """The mean of the rows of each group.

    *Shape:* values (N, ...), group_of (N,) -> (n_groups, ...)
    """
    counts = add_up(torch.ones_like(group_of, dtype=values.dtype), group_of, n_groups).clamp(min=1)
    return add_up(values, group_of, n_groups) / counts.view(-1, *[1] * (values.dim() - 1))


@dataclass(frozen=True)
class Losses:
    """Means over the pairs of text and instruction that were asked; the drift is the mean over texts and instructions."""

    spans: Tensor
    labels: Tensor
    drift: Tensor


def compute_losses(model: Metamodel, batch: Batch, teacher: Metamodel | None = None) -> Losses:
    """How far the answers are from what is right, and how far the encoder has drifted from the teacher's."""
    answers = model(batch)
    spans = model.measure_spans(answers.spans, batch.span_targets, batch.spans)
    labels = measure_labels(answers.labels, batch.label_targets, batch.labels.text, len(batch))
    drift = measure_drift(teacher, batch, answers.means) if teacher else answers.means.new_zeros(1)
    return Losses(*(values.sum() / max(1, len(values)) for values in (spans, labels, drift)))


def measure_labels(logits: Tensor, targets: Tensor, text_of: Tensor, n_texts: int) -> Tensor:
    """The loss of each pair of text and instruction: binary cross-entropy and, for an instruction that holds, also how far
    it is from scoring above all that do not.

    *Shape:* logits, targets, text_of (n_pairs,) -> (n_pairs,)
    """
    losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    others = log_sum(logits.masked_fill(targets == 1.0, NEVER), text_of, n_texts)
    return losses + RANKING * functional.softplus(others.index_select(0, text_of) - logits) * targets


def log_sum(values: Tensor, group_of: Tensor, n_groups: int) -> Tensor:
    """The logarithm of the sum of the exponentials of each group's values.

    *Shape:* values, group_of (N,) -> (n_groups,)
    """
    peak = values.new_full((n_groups,), NEVER).scatter_reduce(0, group_of, values.detach(), reduce="amax")
    return peak + add_up((values - peak.index_select(0, group_of)).exp(), group_of, n_groups).clamp(min=1.0).log()


def measure_drift(teacher: Metamodel, batch: Batch, means: Tensor) -> Tensor:
    """One minus the cosine of each text's and each instruction's mean vector with the teacher's, shape (B + K,)."""
    with torch.no_grad():
        wanted = torch.cat([teacher.read_means(pieces) for pieces in (batch.texts, batch.instructions)])
    return 1 - functional.cosine_similarity(means, wanted)
