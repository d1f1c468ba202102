"""Logistic regression in the metamodel's place: a classifier an instruction, learned in a moment."""

from __future__ import annotations

import numpy
from sklearn.linear_model import LogisticRegression

STRENGTH = 10.0


def learn(vectors: numpy.ndarray, truth: numpy.ndarray, others: numpy.ndarray) -> numpy.ndarray:
    """Scores of other texts, shape (n_others, K). Classes weigh the same, so that 0.5 is the threshold."""
    return numpy.stack([learn_one(vectors, column, others) for column in truth.T], axis=1)


def learn_one(vectors: numpy.ndarray, truth: numpy.ndarray, others: numpy.ndarray) -> numpy.ndarray:
    if truth.all() or not truth.any():
        return numpy.full(len(others), float(truth[0]))
    model = LogisticRegression(class_weight="balanced", C=STRENGTH, max_iter=1000)
    return model.fit(vectors, truth).predict_proba(others)[:, 1]
