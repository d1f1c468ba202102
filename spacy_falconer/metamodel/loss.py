"""Turn what was asked and answered into gradients. A pair of text and instruction that was not asked adds nothing."""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

from spacy_falconer.metamodel.decode import B, I, O, sigmoid, softmax

UNKNOWN = -1
SHARES = numpy.concatenate(
    [numpy.eye(3), numpy.zeros((1, 3))]
)  # Shares of B, I and O in a token, by its target; UNKNOWN is last.
MAX_WEIGHT = 4.0  # The most that a positive answer weighs if most are negative.


def label_loss(logits: NDArray, targets: NDArray) -> tuple[float, NDArray]:
    """Binary cross-entropy, mean over what was asked. If few texts of the batch say yes, each of them counts more.

    logits: Shape (n_texts, K). targets: The same shape, 0.0 to 1.0, or nan if it was not asked.
    RETURNS: The loss and its gradient, shape (n_texts, K).
    """
    asked = ~numpy.isnan(targets)
    n_asked = max(1, int(asked.sum()))
    scores, wanted = sigmoid(logits), numpy.where(asked, targets, 0.0)
    weights = asked * numpy.where(wanted == 1.0, _weigh_positives(wanted, asked), 1.0) / n_asked
    gradient = (scores - wanted) * weights
    surprise = -wanted * _log(scores) - (1.0 - wanted) * _log(1.0 - scores)
    return float((surprise * weights).sum()), gradient.astype("float32")


def _weigh_positives(wanted: NDArray, asked: NDArray) -> NDArray:
    """Return the weight of a yes for each instruction: the square root of the number of noes per yes, shape (K,)."""
    n_yes, n_no = (wanted == 1.0).sum(axis=0), (asked & (wanted == 0.0)).sum(axis=0)
    return numpy.clip(numpy.sqrt(n_no / numpy.maximum(n_yes, 1)), 1.0, MAX_WEIGHT)


def span_loss(logits: NDArray, targets: NDArray, weights: NDArray) -> tuple[float, NDArray]:
    """Cross-entropy of B, I and O over what was asked.

    logits: Shape (n_tokens, K, 3). targets: The same shape: the shares of B, I and O, which sum to 1, or zeros if
        they are unknown.
    weights: Shape (n_tokens, K), from `pair_weights`.
    RETURNS: The loss and its gradient, shape (n_tokens, K, 3).
    """
    scores, weights = softmax(logits), weights[..., None]
    gradient = (scores - targets) * weights
    return float(-(targets * _log(scores) * weights).sum()), gradient.astype("float32")


def pair_weights(targets: NDArray, lengths: list[int]) -> NDArray:
    """Weigh tokens so that a pair of text and instruction counts by the square root of its length, averaged over all pairs.

    targets: As for `span_loss`. lengths: Tokens of each text.
    RETURNS: Shape (n_tokens, K), 0 where the target is unknown.
    """
    asked = targets.any(axis=-1)
    roots = 1.0 / numpy.sqrt(numpy.repeat(numpy.maximum(lengths, 1), lengths))
    n_pairs = max(1, sum(int(part.any(axis=0).sum()) for part in numpy.split(asked, numpy.cumsum(lengths)[:-1])))
    return asked * roots[:, None] / n_pairs


def span_targets(length: int, spans: list[tuple[int, int]], unknown: list[tuple[int, int]]) -> NDArray[numpy.int64]:
    """Return B, I and O of one text for one instruction. Of overlapping answers, the longest counts.

    Tokens that only a shorter one holds, or an unalignable one, are UNKNOWN.
    """
    targets = numpy.full(length, O, dtype="int64")
    for start, end in unknown:
        targets[start:end] = UNKNOWN
    for start, end in sorted(spans, key=lambda span: span[0] - span[1]):
        if numpy.isin(targets[start:end], (O, UNKNOWN)).all():
            targets[start:end] = I
            targets[start] = B
        else:
            targets[start:end][targets[start:end] == O] = UNKNOWN
    return targets


def _log(chances: NDArray) -> NDArray:
    return numpy.log(numpy.maximum(chances, 1e-12))
