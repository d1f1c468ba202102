"""The strategies. Each chooses in the order of the corpus; two of them also return the weights of the chosen texts."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable
from operator import itemgetter
from typing import TypeVar

import numpy
from numpy.typing import ArrayLike

from spacy_falconer.corpus.choose.likeness import find_medoids, order_by_likeness
from spacy_falconer.corpus.choose.sample import Floats, Ints, draw, make_chances
from spacy_falconer.errors import FalconerError

T = TypeVar("T")

SHARE_RANDOM = 0.5
MIN_SHARE = 0.05  # Keeps an instruction that is hardly ever true from getting nearly all of the choice.
MIN_ODDS = 1e-6


def choose_random(items: Iterable[T], n: int, *, seed: int) -> list[T]:
    """Draw a uniform sample of at most `n`, in one pass and in the order of the corpus.

    A larger sample with the same seed holds every smaller one, so that nothing that was paid for is lost.
    """
    rng = random.Random(seed)
    drawn = heapq.nsmallest(n, ((rng.random(), place, item) for place, item in enumerate(items)))
    return [item for _, _, item in sorted(drawn, key=itemgetter(1))]


def choose_diverse(vectors: ArrayLike, n: int, *, seed: int) -> Ints:
    """Choose texts spread over all that the corpus holds: the middle one of each of `n` groups of similar texts.

    What is frequent in the corpus is not more frequent in the choice, and no weights can undo this: scores on such texts
    are not those of the corpus. For a spread sample whose scores are those of the corpus, use `choose_balanced` with
    `share_random=1` and the vectors.

    vectors (ArrayLike): One per text, shape (n_texts, width).
    n (int): How many texts to choose at most.
    RETURNS (Ints): Their places, ascending, shape (min(n, n_texts),).
    """
    points = check_matrix(vectors, "vectors")
    if not 0 < n < len(points):
        return numpy.arange(min(max(n, 0), len(points)))
    rng = numpy.random.default_rng(seed)
    chosen = find_medoids(points, n, rng)
    others = rng.permutation(numpy.setdiff1d(numpy.arange(len(points)), chosen))  # If vectors are equal.
    return numpy.sort(numpy.concatenate([chosen, others[: n - len(chosen)]]))


def choose_balanced(
    scores: ArrayLike,
    n: int,
    *,
    seed: int,
    share_random: float = SHARE_RANDOM,
    shares: ArrayLike | None = None,
    vectors: ArrayLike | None = None,
) -> tuple[Ints, Floats]:
    """Choose texts that look likely for each instruction, mixed with random ones, to get more of what is rare.

    The chances: `share_random` of the choice is spread evenly over all texts, the rest over the best-ranked of each
    instruction, falling with the rank. So every text has a chance, and no weight is more than `1 / share_random` times
    that of a random sample.

    scores (ArrayLike): How likely each instruction is true of each text, shape (n_texts, K). Only their order within
        an instruction counts, so cosines do as well as probabilities; NaN ranks last.
    n (int): How many texts to choose at most.
    share_random (float): Above 0, at most 1.
    shares (ArrayLike): The approximate share of texts that each instruction is true of, shape (K,), as estimated by
        `estimate_share`: rare ones get more of the choice. By default all get the same.
    vectors (ArrayLike): One per text, shape (n_texts, width). With them, similar texts are seldom chosen together.
    RETURNS (tuple[Ints, Floats]): Their places, ascending, and their weights: how many texts each stands for.
    RAISES (FalconerError): An argument is out of range, or not of this shape.
    """
    ranked, rng = check_matrix(scores, "scores"), numpy.random.default_rng(seed)
    if not 0 < share_random <= 1:
        raise FalconerError(
            f"share_random is {share_random!r}; expected above 0 and at most 1. Without random texts, what ranks low is "
            "never seen, and the scores say nothing about it. Leave it out to use a half."
        )
    n, n_texts = min(max(n, 0), len(ranked)), len(ranked)
    if n == 0:
        return numpy.zeros(0, dtype=int), numpy.zeros(0)
    parts = split_choice(ranked.shape[1], shares)
    sizes = share_random / n_texts + (1 - share_random) * rank_sizes(ranked, n * (1 - share_random) * parts) @ parts
    chances = make_chances(sizes, n)
    row = rng.permutation(n_texts) if vectors is None else order_by_likeness(check_rows(vectors, n_texts), rng)
    chosen = draw(chances, row, rng)
    return chosen, 1 / chances[chosen]


def choose_uncertain(
    scores: ArrayLike,
    n: int,
    *,
    seed: int,
    thresholds: ArrayLike = 0.5,
    share_random: float = SHARE_RANDOM,
    shares: ArrayLike | None = None,
    vectors: ArrayLike | None = None,
) -> tuple[Ints, Floats]:
    """Choose texts whose answers the metamodel is least sure of, instruction by instruction, mixed with random ones.

    The nearer its log-odds are to the threshold's, the less sure it is. Chances and weights as in `choose_balanced`.

    scores (ArrayLike): The metamodel's scores, 0 to 1, shape (n_texts, K), of the texts not answered yet; for
        passages, that of the best one, even below the threshold. NaN, for what was not asked, ranks last.
    thresholds (ArrayLike): One for all instructions, or one each, shape (K,).
    RETURNS (tuple[Ints, Floats]): Their places, ascending, and their weights: how many of these texts each stands
        for. `combine_rounds` turns them into weights for the corpus.
    """
    odds = log_odds(check_matrix(scores, "scores"))
    doubt = -numpy.abs(odds - log_odds(numpy.asarray(thresholds, dtype=float)))
    return choose_balanced(doubt, n, seed=seed, share_random=share_random, shares=shares, vectors=vectors)


def split_choice(n_instructions: int, shares: ArrayLike | None) -> Floats:
    """Return how much of the choice each instruction gets, shape (K,), with the sum 1."""
    if shares is None:
        return numpy.full(n_instructions, 1 / n_instructions)
    given = numpy.asarray(shares, dtype=float)
    if given.shape != (n_instructions,) or not ((given >= 0) & (given <= 1)).all():
        raise FalconerError(
            f"shares is {shares!r}; expected {n_instructions} numbers from 0 to 1, one per instruction. Correct it."
        )
    rarity = 1 / numpy.maximum(given, MIN_SHARE)
    return rarity / rarity.sum()


def rank_sizes(scores: Floats, quotas: Floats) -> Floats:
    """Return sizes that fall with the rank, by a factor of e over as many ranks as the instruction's quota of texts.

    RETURNS (Floats): Shape (n_texts, K), each column with the sum 1; equal scores have equal sizes.
    """
    ranks = numpy.stack([rank(column) for column in scores.T], axis=1)
    sizes = numpy.exp(-ranks / numpy.maximum(quotas, 1))
    return sizes / sizes.sum(axis=0)


def rank(scores: Floats) -> Floats:
    """Return the ranks of scores: the best is 0, equal ones share their mean rank, and NaN ranks last."""
    lowered = -numpy.where(numpy.isnan(scores), -numpy.inf, scores)
    _, places, counts = numpy.unique(lowered, return_inverse=True, return_counts=True)
    return (numpy.cumsum(counts) - (counts + 1) / 2)[places]


def log_odds(scores: Floats) -> Floats:
    inside = numpy.clip(scores, MIN_ODDS, 1 - MIN_ODDS)
    return numpy.log(inside) - numpy.log1p(-inside)


def check_matrix(values: ArrayLike, name: str) -> Floats:
    """RAISES (FalconerError): The values are not one row of numbers per text."""
    matrix = numpy.asarray(values)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise FalconerError(
            f"{name} has the shape {matrix.shape}; expected one row of numbers per text, (n_texts, width)."
        )
    return matrix if matrix.dtype == numpy.float32 else matrix.astype(float)


def check_rows(vectors: ArrayLike, n_texts: int) -> Floats:
    matrix = check_matrix(vectors, "vectors")
    if len(matrix) != n_texts:
        raise FalconerError(
            f"There are {len(matrix)} vectors and scores of {n_texts} texts; expected one of each per text."
        )
    return matrix
