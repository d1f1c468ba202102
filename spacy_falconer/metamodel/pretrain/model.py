"""The metamodel in plain torch, as it is pre-trained: an encoder, and a head for each primitive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from spacy_falconer.metamodel.heads import LabelHead, SpanHead, mean_segments
from spacy_falconer.metamodel.pretrain.collate import UNKNOWN, Batch, Pieces, Task

WINDOWS_AT_ONCE = 32
RANKING = 0.5  # What it costs to be behind an instruction that does not hold, to 1 for being wrong on one's own.


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
        return average(hidden[pieces.piece_of], pieces.token_of, int(pieces.lengths.sum()))

    def encode_windows(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Windows of like length are read together, so that little padding is read.

        *Shape:* input_ids, mask (n_windows, n_pieces) -> (n_windows, n_pieces, D)
        """
        order = mask.sum(dim=1).argsort()
        read = []
        for rows in order.split(WINDOWS_AT_ONCE):
            width = int(mask[rows].sum(dim=1).max())
            with torch.autocast(input_ids.device.type, dtype=torch.bfloat16):
                output = self.encoder(input_ids=input_ids[rows, :width], attention_mask=mask[rows, :width])
            read.append(functional.pad(output.last_hidden_state.float(), (0, 0, 0, input_ids.shape[1] - width)))
        return torch.cat(read)[order.argsort()]

    def read_instructions(self, pieces: Pieces) -> Tensor:
        """*Shape:* -> (K, D)"""
        return mean_segments(self.encode(pieces), pieces.lengths)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Read a batch: the vectors of its tokens (N, D) and of its instructions (K, D)."""
        return self.encode(batch.texts), self.read_instructions(batch.instructions)

    def answer(self, batch: Batch, tokens: Tensor, instructions: Tensor) -> Iterator[tuple[Task, Tensor, Tensor]]:
        """Each text's task with its span logits (n_tokens, K, 3) and its label logits (K,)."""
        for task, text in zip(batch.tasks, tokens.split(batch.texts.lengths.tolist()), strict=True):
            length = torch.tensor([len(text)], device=text.device)
            spans = self.span(text, length, instructions[task.span_instructions])
            labels = self.label(text, length, instructions[task.label_instructions])
            yield task, spans, labels[0]

    @staticmethod
    def measure_spans(logits: Tensor, targets: Tensor) -> Tensor:
        """The loss of each instruction: the sum over the tokens by the root of their number. A long text counts more
        than a short one, not in proportion, and the few tokens of a mention are not lost among the many outside.

        *Shape:* logits (n_tokens, K, 3), targets (n_tokens, K) -> (K,)
        """
        known = (targets != UNKNOWN).sum().clamp(min=1) / targets.shape[1]
        losses = functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=UNKNOWN, reduction="none"
        )
        return losses.view(targets.shape).sum(dim=0) / known.sqrt()


def average(values: Tensor, group_of: Tensor, n_groups: int) -> Tensor:
    """The mean of the rows of each group.

    *Shape:* values (N, D), group_of (N,) -> (n_groups, D)
    """
    total = values.new_zeros((n_groups, values.shape[1])).index_add(0, group_of, values)
    counts = torch.bincount(group_of, minlength=n_groups).clamp(min=1)
    return total / counts.unsqueeze(1)


@dataclass(frozen=True)
class Losses:
    """Each the mean over the pairs of text and instruction that were asked; the drift, over texts and instructions."""

    spans: Tensor
    labels: Tensor
    drift: Tensor


def compute_losses(model: Metamodel, batch: Batch, teacher: Metamodel | None = None) -> Losses:
    """How far the answers are from what is right, and how far the encoder has drifted from the teacher's."""
    tokens, instructions = model(batch)
    spans, labels = [], []
    for task, span_logits, label_logits in model.answer(batch, tokens, instructions):
        if task.span_targets.numel():
            spans.append(model.measure_spans(span_logits, task.span_targets))
        if task.label_targets.numel():
            labels.append(measure_labels(label_logits, task.label_targets))
    drift = measure_drift(teacher, batch, tokens, instructions) if teacher else _mean([], batch)
    return Losses(_mean(spans, batch), _mean(labels, batch), drift)


def measure_labels(logits: Tensor, targets: Tensor) -> Tensor:
    """The loss of each instruction asked of a text: binary cross-entropy, and for what holds of the text also how far
    it is from being ahead of all that does not.

    *Shape:* logits, targets (K,) -> (K,)
    """
    losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    others = logits.masked_fill(targets == 1.0, float("-inf")).logsumexp(dim=0)
    ahead = functional.softplus(others - logits) * targets
    return losses + RANKING * ahead if bool((targets == 0.0).any()) else losses


def measure_drift(teacher: Metamodel, batch: Batch, tokens: Tensor, instructions: Tensor) -> Tensor:
    """One less the cosine of each text's and each instruction's mean vector with the teacher's, in the mean."""
    with torch.no_grad():
        wanted = torch.cat([teacher.read_instructions(pieces) for pieces in (batch.texts, batch.instructions)])
    means = torch.cat([mean_segments(tokens, batch.texts.lengths), instructions])
    return 1 - functional.cosine_similarity(means, wanted).mean()


def _mean(losses: list[Tensor], batch: Batch) -> Tensor:
    return torch.cat(losses).mean() if losses else torch.zeros((), device=batch.texts.lengths.device)
