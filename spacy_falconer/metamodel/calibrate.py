"""Thresholds from held-out answers."""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

GRID = numpy.round(numpy.arange(0.05, 1.0, 0.05), 2)
LEAST_POSITIVES = 5
CLOSE = 0.01


def best_threshold(scores: NDArray, hits: NDArray, n_wanted: int, *, default: float) -> float | None:
    """The threshold with the best F; of those that come within a hundredth of it, the one nearest the default.

    scores: Score of each candidate, shape (n,). hits: Whether each was wanted, shape (n,).
    n_wanted (int): How many there were to find, those that no candidate can match included.
    RETURNS: None where there are too few to tell.
    """
    if n_wanted < LEAST_POSITIVES:
        return None
    reached = scores[None, :] >= GRID[:, None]  # (n_thresholds, n)
    n_found, n_right = reached.sum(axis=1), (reached & hits.astype(bool)).sum(axis=1)
    f_scores = 2 * n_right / (n_found + n_wanted)
    good = GRID[f_scores >= f_scores.max() - CLOSE]
    return float(good[numpy.argmin(numpy.abs(good - default))])
