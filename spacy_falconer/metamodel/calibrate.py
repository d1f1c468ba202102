"""Thresholds from held-out answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

GRID = numpy.round(numpy.arange(0.05, 1.0, 0.05), 2)
LEAST_POSITIVES = 5
CLOSE = 0.01


@dataclass(frozen=True)
class Candidates:
    """What a threshold decides about.

    scores: Score of each candidate, shape (n,). hits: Whether each was wanted, shape (n,).
    weights: How much each counts, shape (n,).
    n_wanted (int): How many there were to find, those that no candidate can match included. wanted (float): Their weight.
    """

    scores: NDArray
    hits: NDArray
    weights: NDArray
    n_wanted: int
    wanted: float


def best_threshold(candidates: Candidates, *, default: float) -> float | None:
    """The threshold with the best F; of those that come as near to it as one answer makes, the one nearest the default.

    With ten answers to find, one more hit is a tenth: a threshold that is better by less is better by chance.

    RETURNS: None where there are too few to find to tell.
    """
    if candidates.n_wanted < LEAST_POSITIVES:
        return None
    reached = candidates.scores[None, :] >= GRID[:, None]  # (n_thresholds, n)
    found, right = reached @ candidates.weights, (reached & candidates.hits) @ candidates.weights
    f_scores = 2 * right / (found + candidates.wanted)
    good = GRID[f_scores >= f_scores.max() - max(CLOSE, 1 / candidates.n_wanted)]
    return float(good[numpy.argmin(numpy.abs(good - default))])


def pool(parts: Iterable[Candidates]) -> Candidates:
    """The candidates of several instructions together."""
    parts = list(parts)
    arrays = [numpy.concatenate([getattr(part, name) for part in parts]) for name in ("scores", "hits", "weights")]
    return Candidates(*arrays, n_wanted=sum(part.n_wanted for part in parts), wanted=sum(part.wanted for part in parts))
