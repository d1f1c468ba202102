"""Choose thresholds from held-out answers: for the best F1, or so that precision or recall is what was asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy
from numpy.typing import NDArray

GRID = numpy.round(numpy.arange(0.01, 1.0, 0.01), 2)
MIN_POSITIVES = 5
TRUST, CLOSE, TINY = 100, 0.01, 1e-9
DELTA = 0.05  # At best, held-out answers can make us 1 - DELTA sure of a target.


@dataclass(frozen=True)
class Candidates:
    """The candidates that a threshold decides about.

    scores: Score of each candidate, shape (n,). hits: Whether each was wanted, shape (n,).
    weights: How much each counts, shape (n,). texts: A number for the text of each, shape (n,).
    n_wanted (int): How many there were to find, including those that match no candidate. wanted (float): Their weight.
    """

    scores: NDArray
    hits: NDArray
    weights: NDArray
    texts: NDArray
    n_wanted: int
    wanted: float

    def with_scores(self, scores: NDArray) -> Candidates:
        return replace(self, scores=scores)


@dataclass(frozen=True)
class Target:
    """What a threshold should reach.

    measure (str): "f1", "precision" or "recall". least (float): For the latter two, the least value wanted, 0 to 1.
    """

    measure: str = "f1"
    least: float | None = None

    def __str__(self) -> str:
        return self.measure if self.least is None else f"{self.measure}={self.least:g}"

    @property
    def n_needed(self) -> int:
        """The least number of answers that could show that the target is met, if all of them are right."""
        return 0 if self.least is None else math.ceil(math.log(DELTA) / math.log(self.least))


@dataclass(frozen=True)
class Choice:
    """A threshold, and the evidence for it.

    expected (float): What the target's measure will be, as far as held-out answers and calibrated scores tell.
    n (int): How many answers tell this: for precision those that reach the threshold, for recall and F1 those to find.
    """

    threshold: float
    expected: float
    n: int


@dataclass(frozen=True)
class Curve:
    """What is expected at every threshold in `GRID`, as arrays of its shape. n_found: How many candidates reach it."""

    n_found: NDArray
    precision: NDArray
    recall: NDArray
    f1: NDArray


def choose_threshold(candidates: Candidates, target: Target) -> Choice | None:
    """Choose the threshold for a target from held-out answers with calibrated scores.

    RETURNS: None if fewer than MIN_POSITIVES were to be found.
    """
    if candidates.n_wanted < MIN_POSITIVES:
        return None
    curve = expect(candidates)
    choose = {"f1": _choose_f1, "precision": _choose_precision, "recall": _choose_recall}[target.measure]
    place = choose(curve, target)
    n = curve.n_found[place] if target.measure == "precision" else candidates.n_wanted
    return Choice(float(GRID[place]), float(getattr(curve, target.measure)[place]), int(n))


def expect(candidates: Candidates) -> Curve:
    """Return what is expected at every threshold.

    With few answers, a single mistake would decide. So whether a candidate is right is judged partly by its answer, and
    partly by its score, which all answers have shaped. It is half and half if there are `TRUST` to find, and almost only
    by the answers if there are many.
    """
    share = candidates.n_wanted / (candidates.n_wanted + TRUST)
    weights, hits = candidates.weights, candidates.hits.astype("float64")
    likely = weights * (share * hits + (1 - share) * candidates.scores)
    to_find = likely.sum() + candidates.wanted - weights @ hits
    reached = candidates.scores[None, :] >= GRID[:, None]  # (n_thresholds, n)
    found, right = reached @ weights, reached @ likely
    precision = numpy.where(found > 0, right / numpy.maximum(found, TINY), 0.0)
    return Curve(reached.sum(axis=1), precision, right / max(to_find, TINY), 2 * right / (found + to_find))


def pool(parts: Iterable[Candidates]) -> Candidates:
    """Join the candidates of several instructions."""
    parts = list(parts)
    names = ("scores", "hits", "weights", "texts")
    arrays = [numpy.concatenate([getattr(part, name) for part in parts]) for name in names]
    return Candidates(*arrays, n_wanted=sum(part.n_wanted for part in parts), wanted=sum(part.wanted for part in parts))


def append(parts: Iterable[Candidates]) -> Candidates:
    """Join the candidates of one instruction from several sets of texts."""
    moved: list[Candidates] = []
    for part in parts:
        first = 1 + max((one.texts.max(initial=-1) for one in moved), default=-1)
        moved.append(replace(part, texts=part.texts + first))
    return pool(moved)


def _choose_f1(curve: Curve, target: Target) -> int:
    """Choose the best F1 or, of those about as good, the threshold nearest to half of it: the best one for calibrated scores.

    Source: Lipton, Elkan and Naryanaswamy, Optimal thresholding of classifiers to maximize F1 measure, 2014.
    """
    best = curve.f1.max()
    good = numpy.flatnonzero(curve.f1 >= best - CLOSE)
    return good[numpy.argmin(numpy.abs(GRID[good] - best / 2))]


def _choose_precision(curve: Curve, target: Target) -> int:
    """Choose the lowest threshold that reaches the target, so that the most is found, else the one of highest precision."""
    met = numpy.flatnonzero(curve.precision >= target.least)
    return int(met[0]) if len(met) else int(numpy.argmax(curve.precision))


def _choose_recall(curve: Curve, target: Target) -> int:
    """Choose the highest threshold that reaches the target, so that the least is wrong, else the one of highest recall."""
    met = numpy.flatnonzero(curve.recall >= target.least)
    return int(met[-1]) if len(met) else int(numpy.argmax(curve.recall))
