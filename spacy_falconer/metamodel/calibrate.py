"""Calibrate scores with two numbers for each instruction, learned from held-out answers.

A score's log odds are multiplied by a slope and shifted by an offset. Source: Platt, Probabilistic outputs for support
vector machines, 1999. Each instruction's numbers are drawn towards those that fit all instructions of the component
together, and these towards changing nothing. Five answers move them a little, five hundred as far as it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy
from numpy.typing import ArrayLike, NDArray

from spacy_falconer.metamodel.decode import sigmoid
from spacy_falconer.metamodel.threshold import Candidates


class Calibration(NamedTuple):
    """Maps log odds to `slope` times the log odds, plus `offset`."""

    slope: float
    offset: float


NOTHING = Calibration(1.0, 0.0)
SHARED_SPREAD = Calibration(0.5, 1.0)  # How far all instructions together are expected to be from NOTHING,
OWN_SPREAD = Calibration(0.2, 0.75)  # and each one from all together: standard deviations of slope and offset.
MIN_SLOPE = 0.05  # A higher score never means less.
MIN_SCORE = 1e-9
FIXED = 1e-6
MAX_STEPS, CLOSE_ENOUGH = 5000, 1e-6
N_DIGITS = 6  # A .json file loses more digits, and a loaded pipeline would then give other scores.


def calibrate(scores: NDArray, slopes: ArrayLike, offsets: ArrayLike) -> NDArray:
    """Calibrate scores, 0 to 1. A score of 0, as for an empty text, stays 0.

    slopes, offsets: Of the scores' shape, or that of their last axis.
    """
    slopes, offsets = numpy.asarray(slopes), numpy.asarray(offsets)
    if (slopes == NOTHING.slope).all() and (offsets == NOTHING.offset).all():
        return scores
    return numpy.where(scores > 0, sigmoid(slopes * log_odds(scores) + offsets), 0.0)


def log_odds(scores: NDArray) -> NDArray:
    inside = numpy.clip(scores, MIN_SCORE, 1 - MIN_SCORE)
    return numpy.log(inside) - numpy.log1p(-inside)


def fit_calibrations(parts: Mapping[str, Candidates]) -> dict[str, Calibration]:
    """Fit the calibration of each instruction, by its key, to the candidates' own scores.

    An instruction without any right candidate is left out: nothing is known about its scores.
    """
    known = {key: part for key, part in parts.items() if part.hits.any()}
    if not known:
        return {}
    rows = [_make_rows(part) for part in known.values()]
    odds = block_columns([columns for columns, _, _ in rows])
    hits, weights = (numpy.concatenate([row[i] for row in rows]) for i in (1, 2))
    prior, spread = [*NOTHING, *numpy.zeros(2 * len(rows))], [*SHARED_SPREAD, *OWN_SPREAD * len(rows)]
    shared, *own = _solve(odds, hits, weights, numpy.array(prior), numpy.array(spread)).reshape(-1, 2)
    return {key: _keep_rising(shared + one, row) for key, one, row in zip(known, own, rows, strict=True)}


def block_columns(parts: Sequence[NDArray]) -> NDArray:
    """Return each part's columns twice: in those shared by all parts, and in its own; shape (n, 2 + 2K)."""
    own = numpy.zeros((sum(map(len, parts)), len(parts), 2))
    number = numpy.repeat(numpy.arange(len(parts)), [len(part) for part in parts])
    every = numpy.concatenate(parts)
    own[numpy.arange(len(every)), number] = every
    return numpy.concatenate([every, own.reshape(len(every), -1)], axis=1)


def _make_rows(part: Candidates) -> tuple[NDArray, NDArray, NDArray]:
    """Return log odds beside ones, shape (n, 2); hits; and weights, which sum to the effective number of candidates."""
    odds = log_odds(part.scores)
    weights = part.weights * part.weights.sum() / (part.weights @ part.weights)
    return numpy.stack([odds, numpy.ones(len(odds))], axis=1), part.hits.astype("float64"), weights


def _keep_rising(found: NDArray, row: tuple[NDArray, NDArray, NDArray]) -> Calibration:
    """If higher scores are right less often, use a slope of almost none, and refit the offset to it."""
    if found[0] < MIN_SLOPE:
        prior, spread = numpy.array([MIN_SLOPE, 0.0]), numpy.array([FIXED, SHARED_SPREAD.offset])
        found = _solve(*row, prior, spread)
    return Calibration(*numpy.round(found, N_DIGITS).tolist())


def _solve(columns: NDArray, hits: NDArray, weights: NDArray, prior: NDArray, spread: NDArray) -> NDArray:
    """Logistic regression: return the likeliest parameters, shape (P,), each expected to be near its prior.

    columns: Shape (n, P). hits, weights: Shape (n,). spread: Standard deviations of the priors, shape (P,).
    """
    # The curvature never exceeds this, so no step goes too far. Source: Böhning, Multinomial logistic regression, 1992.
    most_curved = numpy.linalg.inv(0.25 * (columns.T * weights) @ columns + numpy.diag(spread**-2.0))
    place = prior
    for _ in range(MAX_STEPS):
        gradient = columns.T @ (weights * (sigmoid(columns @ place) - hits)) + (place - prior) / spread**2
        step = most_curved @ gradient
        place = place - step
        if numpy.abs(step).max() < CLOSE_ENOUGH:
            break
    return place
