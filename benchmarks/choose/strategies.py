"""The strategies as they are used: at once by cosines, and in rounds by what was learned from the earlier ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy

from benchmarks.choose.known import Known
from benchmarks.choose.regression import learn
from spacy_falconer.corpus.choose import (
    choose_balanced,
    choose_diverse,
    choose_random,
    choose_uncertain,
    combine_rounds,
    estimate_share,
)

N_ROUNDS = 3
Choice = tuple[numpy.ndarray, numpy.ndarray]
Strategy = Callable[[Known, int, int], Choice]


def by_chance(pool: Known, n: int, seed: int) -> Choice:
    return numpy.array(choose_random(range(len(pool.truth)), n, seed=seed)), numpy.ones(n)


def diverse(pool: Known, n: int, seed: int) -> Choice:
    return choose_diverse(pool.vectors, n, seed=seed), numpy.ones(n)


def balanced(pool: Known, n: int, seed: int) -> Choice:
    return choose_balanced(pool.cosines, n, seed=seed, vectors=pool.vectors)


def balanced_by_shares(pool: Known, n: int, seed: int) -> Choice:
    """As if the shares were known beforehand."""
    return choose_balanced(pool.cosines, n, seed=seed, vectors=pool.vectors, shares=pool.truth.mean(axis=0))


def balanced_in_rounds(pool: Known, n: int, seed: int) -> Choice:
    return in_rounds(pool, n, seed, again=choose_likely)


def uncertain_in_rounds(pool: Known, n: int, seed: int) -> Choice:
    return in_rounds(pool, n, seed, again=choose_unsure)


def choose_likely(scores: numpy.ndarray, cosines: numpy.ndarray, n: int, **options) -> Choice:
    """By what was learned and by the cosines alike: little was learned so far."""
    ranks = sum(column.argsort(axis=0).argsort(axis=0) for column in (scores, cosines))
    return choose_balanced(ranks, n, **options)


def choose_unsure(scores: numpy.ndarray, cosines: numpy.ndarray, n: int, **options) -> Choice:
    return choose_uncertain(scores, n, **options)


def in_rounds(pool: Known, n: int, seed: int, *, again: Callable[..., Choice]) -> Choice:
    """The first round by cosines, the others by what all earlier answers taught, which also tell the shares."""
    places, weights = balanced(pool, n // N_ROUNDS, seed)
    rounds = [weights]
    for i in range(1, N_ROUNDS):
        rest = numpy.setdiff1d(numpy.arange(len(pool.truth)), places)
        scores = learn(pool.vectors[places], pool.truth[places], pool.vectors[rest])
        counted = numpy.concatenate(combine_rounds(rounds))
        shares = [estimate_share(column, counted).share for column in pool.truth[places].T]
        size = n * (i + 1) // N_ROUNDS - len(places)
        options = {"seed": seed, "shares": shares, "vectors": pool.vectors[rest]}
        chosen, weights = again(scores, pool.cosines[rest], size, **options)
        places = numpy.concatenate([places, rest[chosen]])
        rounds.append(weights)
    return places, numpy.concatenate(combine_rounds(rounds))


STRATEGIES: dict[str, Strategy] = {
    "random": by_chance,
    "diverse": diverse,
    "balanced": balanced,
    "balanced, shares known": balanced_by_shares,
    f"balanced, {N_ROUNDS} rounds": balanced_in_rounds,
    f"uncertain, {N_ROUNDS} rounds": uncertain_in_rounds,
}
