"""The metamodel in plain torch, as it is pre-trained: an encoder, and a head for each primitive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from spacy_falconer.metamodel.heads import LabelHead, SpanHead
from spacy_falconer.metamodel.pretrain.collate import UNKNOWN, Batch, Pieces, Task

WINDOWS_AT_ONCE = 32


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
        n_texts = len(pieces.lengths)
        text_of = torch.arange(n_texts, device=pieces.lengths.device).repeat_interleave(pieces.lengths)
        return average(self.encode(pieces), text_of, n_texts)

    def forward(self, batch: Batch) -> Iterator[tuple[Task, Tensor, Tensor]]:
        """Each text's task with its span logits (n_tokens, K, 3) and its label logits (K,)."""
        instructions = self.read_instructions(batch.instructions)
        tokens = self.encode(batch.texts).split(batch.texts.lengths.tolist())
        for task, text in zip(batch.tasks, tokens, strict=True):
            length = torch.tensor([len(text)], device=text.device)
            spans = self.span(text, length, instructions[task.span_instructions])
            labels = self.label(text, length, instructions[task.label_instructions])
            yield task, spans, labels[0]


def average(values: Tensor, group_of: Tensor, n_groups: int) -> Tensor:
    """The mean of the rows of each group.

    *Shape:* values (N, D), group_of (N,) -> (n_groups, D)
    """
    total = values.new_zeros((n_groups, values.shape[1])).index_add(0, group_of, values)
    counts = torch.bincount(group_of, minlength=n_groups).clamp(min=1)
    return total / counts.unsqueeze(1)


def compute_losses(model: Metamodel, batch: Batch) -> tuple[Tensor, Tensor]:
    """The losses of spans and of labels, each the mean over the pairs of text and instruction that were asked.

    A span pair's loss is the sum over its tokens by the root of their number: a long text counts more than a short
    one, not in proportion, and the few tokens of a mention are not lost among the many outside.
    """
    spans, labels = [], []
    for task, span_logits, label_logits in model(batch):
        if task.span_targets.numel():
            known = (task.span_targets != UNKNOWN).sum().clamp(min=1) / task.span_targets.shape[1]
            losses = functional.cross_entropy(
                span_logits.flatten(0, 1), task.span_targets.flatten(), ignore_index=UNKNOWN, reduction="none"
            )
            spans.append(losses.view(task.span_targets.shape).sum(dim=0) / known.sqrt())
        if task.label_targets.numel():
            losses = functional.binary_cross_entropy_with_logits(label_logits, task.label_targets, reduction="none")
            labels.append(losses)
    return _mean(spans, batch), _mean(labels, batch)


def _mean(losses: list[Tensor], batch: Batch) -> Tensor:
    return torch.cat(losses).mean() if losses else torch.zeros((), device=batch.texts.lengths.device)
