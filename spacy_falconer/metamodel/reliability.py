"""Measure whether scores mean what they say: of the answers with a score of 0.8, eight in ten should be right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from numpy.typing import ArrayLike, NDArray

N_BINS, N_RESAMPLES, LEVEL = 10, 1000, 0.95
Z = 1.959964  # Standard deviations each way that hold `LEVEL` of a normal distribution.


@dataclass(frozen=True)
class Measured:
    """A value, and the interval that holds it with 95% confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers with similar scores.

    n (int): How many. score (float): Their mean score. right (float): The share that is right, `low` to `high` with 95%
    confidence (Wilson's interval, which keeps a width even if none or all are right).
    """

    n: int
    score: float
    right: float
    low: float
    high: float


def measure_ece(
    scores: ArrayLike,
    right: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    texts: ArrayLike | None = None,
    n_bins: int = N_BINS,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Measured | None:
    """Measure the expected calibration error: how far scores are from the share that is right, over bins of equal mass.

    The interval comes from resampled texts, and is centred on the value, since noise makes the errors of resamples larger.

    scores: 0 to 1, shape (n,). right: Whether each was right, shape (n,).
    weights: How much each counts, shape (n,); by default all the same.
    texts: A number for the text of each, shape (n,); those of one text are drawn together.
    RETURNS: None where there is nothing to measure.
    RAISES (ValueError): The shapes differ.
    """
    rows = _sort(scores, right, weights)
    if not len(rows.scores):
        return None
    value = _ece(rows, rows.weights, n_bins)
    _, clusters = numpy.unique(numpy.arange(len(rows.scores)) if texts is None else texts, return_inverse=True)
    clusters = clusters[rows.order]
    n_clusters = clusters.max() + 1
    random = numpy.random.default_rng(seed)
    draws = (random.multinomial(n_clusters, numpy.full(n_clusters, 1 / n_clusters)) for _ in range(n_resamples))
    again = numpy.array([_ece(rows, rows.weights * times[clusters], n_bins) for times in draws])
    tail = (1 - LEVEL) / 2
    low, high = value + numpy.quantile(again, [tail, 1 - tail]) - again.mean()
    return Measured(value, max(0.0, float(low)), min(1.0, float(high)))


def measure_reliability(
    scores: ArrayLike, right: ArrayLike, *, weights: ArrayLike | None = None, n_bins: int = N_BINS
) -> list[ReliabilityBin]:
    """Return the points of a reliability curve by rising score, for bins of equal mass. Arguments as in `measure_ece`."""
    rows = _sort(scores, right, weights)
    bins = _find_bins(rows.weights, n_bins)
    found = []
    for place in numpy.unique(bins):
        score, hit, weight = rows.scores[bins == place], rows.right[bins == place], rows.weights[bins == place]
        share = float(weight @ hit / weight.sum())
        interval = wilson(share, float(weight.sum() ** 2 / (weight @ weight)))
        found.append(ReliabilityBin(len(score), float(weight @ score / weight.sum()), share, *interval))
    return found


def wilson(share: float, n: float) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share of `n`, which need not be whole if texts have weights."""
    spread = Z * Z / n
    middle = (share + spread / 2) / (1 + spread)
    half = (share * (1 - share) * spread + spread * spread / 4) ** 0.5 / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class _Rows:
    """What is measured, sorted by rising score; `order` has the original place of each."""

    scores: NDArray
    right: NDArray
    weights: NDArray
    order: NDArray


def _sort(scores: ArrayLike, right: ArrayLike, weights: ArrayLike | None) -> _Rows:
    scores, right = numpy.asarray(scores, dtype="float64"), numpy.asarray(right, dtype="float64")
    weights = numpy.ones(len(scores)) if weights is None else numpy.asarray(weights, dtype="float64")
    if not scores.shape == right.shape == weights.shape:
        raise ValueError(f"Scores, right and weights have shapes {scores.shape}, {right.shape} and {weights.shape}.")
    order = numpy.argsort(scores, kind="stable")
    return _Rows(scores[order], right[order], weights[order], order)


def _find_bins(weights: NDArray, n_bins: int) -> NDArray:
    """Return the bin of each sorted row, so that every bin weighs about the same."""
    middle = numpy.cumsum(weights) - weights / 2
    return numpy.minimum((n_bins * middle / weights.sum()).astype("int64"), n_bins - 1)


def _ece(rows: _Rows, weights: NDArray, n_bins: int) -> float:
    """Compute it from the running sum of errors over the mass, at the edges of bins. The order of equal scores is irrelevant."""
    last = numpy.append(rows.scores[1:] != rows.scores[:-1], True)
    mass, gaps = (
        numpy.append(0.0, numpy.cumsum(part)[last]) for part in (weights, weights * (rows.scores - rows.right))
    )
    edges = numpy.linspace(0.0, mass[-1], n_bins + 1)
    return float(numpy.abs(numpy.diff(numpy.interp(edges, mass, gaps))).sum() / mass[-1])
