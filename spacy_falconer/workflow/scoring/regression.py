"""Logistic regression on a text's vector, one for each label, like the proxies in databases. Source: arXiv 2603.15970."""

from __future__ import annotations

from collections.abc import Iterator

import numpy
from numpy.typing import NDArray

from spacy_falconer.metamodel.decode import sigmoid

STRENGTHS = (0.3, 3.0, 30.0)  # How much the answers count against the penalty on large weights.
N_FOLDS, N_STEPS, SMALL_STEP = 5, 12, 1e-4


def predict_label(vectors: NDArray, wanted: NDArray, tests: NDArray, *, seed: int) -> NDArray:
    """Predict whether a label is true of texts, with the strength and threshold that are best in cross-validation.

    vectors, tests: Of the texts to learn from and to predict, shapes (n, width) and (n_tests, width).
    wanted: The answers to learn from, booleans, shape (n,).
    RETURNS: Booleans, shape (n_tests,). With fewer than two answers of either kind, all are of the more frequent kind.
    """
    n_folds = min(N_FOLDS, int(wanted.sum()), int((~wanted).sum()))
    if n_folds < 2:
        return numpy.full(len(tests), wanted.mean() > 0.5 if len(wanted) else False)
    folds = split_evenly(wanted, n_folds, seed=seed)
    held_out = [cross_validate(vectors, wanted, folds, strength) for strength in STRENGTHS]
    bests = [find_best(scores, wanted) for scores in held_out]
    place = max(range(len(STRENGTHS)), key=lambda one: bests[one][0])
    return score(fit(vectors, wanted, STRENGTHS[place]), tests) >= bests[place][1]


def split_evenly(wanted: NDArray, n_folds: int, *, seed: int) -> NDArray:
    """Return a fold for each answer, with both kinds spread as evenly as possible, shape (n,)."""
    folds, random = numpy.zeros(len(wanted), dtype="int64"), numpy.random.default_rng(seed)
    for kind in (True, False):
        rows = random.permutation(numpy.flatnonzero(wanted == kind))
        folds[rows] = numpy.arange(len(rows)) % n_folds
    return folds


def cross_validate(vectors: NDArray, wanted: NDArray, folds: NDArray, strength: float) -> NDArray:
    """Return each answer's score, by weights learned from the other folds, shape (n,)."""
    scores = numpy.zeros(len(wanted))
    for fold in range(folds.max() + 1):
        rest = folds != fold
        scores[~rest] = score(fit(vectors[rest], wanted[rest], strength), vectors[~rest])
    return scores


def find_best(scores: NDArray, wanted: NDArray) -> tuple[float, float]:
    """Return the best F1 of all thresholds, and its threshold."""
    order = numpy.argsort(-scores, kind="stable")
    f_scores = 2 * numpy.cumsum(wanted[order]) / (numpy.arange(1, len(order) + 1) + wanted.sum())
    ends = numpy.append(numpy.diff(scores[order]) != 0, True)  # No threshold separates equal scores.
    best = int(numpy.argmax(numpy.where(ends, f_scores, -1.0)))
    return float(f_scores[best]), float(scores[order][best])


def fit(vectors: NDArray, wanted: NDArray, strength: float) -> NDArray:
    """Fit the weights and, last, the bias, shape (width + 1,), by Newton's method. Both kinds of answers count equally in all."""
    inputs = _with_bias(vectors)
    costs = strength * numpy.where(wanted, 0.5 / wanted.mean(), 0.5 / (1 - wanted.mean()))
    penalty = numpy.append(numpy.ones(vectors.shape[1]), 1e-6)
    weights = numpy.zeros(inputs.shape[1])
    for step in _steps(inputs, wanted, costs, penalty, weights):
        weights -= step
    return weights


def _steps(inputs: NDArray, wanted: NDArray, costs: NDArray, penalty: NDArray, weights: NDArray) -> Iterator[NDArray]:
    """Yield Newton's steps, each from where the weights are by then."""
    for _ in range(N_STEPS):
        chances = sigmoid(inputs @ weights)
        gradient = inputs.T @ (costs * (chances - wanted)) + penalty * weights
        bends = costs * chances * (1 - chances)
        step = numpy.linalg.solve((inputs * bends[:, None]).T @ inputs + numpy.diag(penalty), gradient)
        yield step
        if numpy.abs(step).max() < SMALL_STEP:
            return


def score(weights: NDArray, vectors: NDArray) -> NDArray:
    return sigmoid(_with_bias(vectors) @ weights)


def _with_bias(vectors: NDArray) -> NDArray:
    return numpy.append(numpy.asarray(vectors, dtype="float64"), numpy.ones((len(vectors), 1)), axis=1)
