"""Annotating in rounds: the weights over all rounds, and when another round is not worth it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy
from numpy.typing import ArrayLike

from spacy_falconer.corpus.choose.sample import Floats

PATIENCE = 2
MIN_GAIN = 0.01


def combine_rounds(weights_per_round: Sequence[ArrayLike]) -> list[Floats]:
    """Return weights for the whole corpus, where each round chose among the texts that no earlier round had.

    Every round gives an estimate of its own: its texts count by their weights, and the earlier ones, which are known, by
    1. These estimates are averaged by the sizes of the rounds. Source: Raj 1956; Farquhar, Gal & Rainforth 2021 for
    active learning.

    weights_per_round: Round by round, as returned by `choose_balanced` or `choose_uncertain`.
    RETURNS (list[Floats]): The same shapes.
    """
    rounds = [numpy.asarray(weights, dtype=float) for weights in weights_per_round]
    n_answers = sum(map(len, rounds))
    combined: list[Floats] = []
    n_later = n_answers
    for weights in rounds:
        n_later -= len(weights)
        combined.append((len(weights) * weights + n_later) / max(1, n_answers))
    return combined


def has_stopped_growing(
    scores_per_round: Sequence[float | None], *, patience: int = PATIENCE, least_gain: float = MIN_GAIN
) -> bool:
    """Return whether the last rounds brought nothing: none was better by `least_gain` than the best before them.

    Differences as small as `least_gain` mean something only between scores on the same held-out answers.

    scores_per_round: Agreement after each round, 0 to 1; None if it is unknown. Such a round is skipped.
    patience (int): How many rounds must have brought nothing, at least 1.
    """
    scores = [score for score in scores_per_round if score is not None and not numpy.isnan(score)]
    if len(scores) <= patience:
        return False
    return max(scores[-patience:]) < max(scores[:-patience]) + least_gain
