"""A probability sample: every text has a known chance of being chosen, and exactly `n` are.

A chosen text's weight is one over its chance: it stands for that many texts of the corpus. On average over draws,
weighted counts are then those of the corpus, whatever the chances were. Source: Horvitz & Thompson 1952.
"""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

Floats = NDArray[numpy.floating]
Ints = NDArray[numpy.integer]

CERTAIN = 1 - 1e-9


def make_chances(sizes: Floats, n: int) -> Floats:
    """Return chances proportional to `sizes` with the sum `n`. A chance above 1 becomes 1, and the others get more.

    sizes (Floats): Above 0, shape (n_texts,).
    n (int): How many texts to choose, at most `n_texts`.
    """
    certain = numpy.zeros(len(sizes), dtype=bool)
    while True:
        rest = numpy.where(certain, 0.0, sizes)
        chances = numpy.where(certain, 1.0, (n - certain.sum()) * rest / max(rest.sum(), numpy.finfo(float).tiny))
        over = ~certain & (chances > CERTAIN)
        if not over.any():
            return chances
        certain |= over


def draw(chances: Floats, order: Ints, rng: numpy.random.Generator) -> Ints:
    """Choose with exactly these chances, by equal steps from a random start along a row of texts.

    Each text takes up as much of the row as its chance, so that steps of length 1 hit it with that chance and never
    twice. Neighbours in the row are seldom chosen together. Source: Madow 1949.

    chances (Floats): Of every text, above 0 and at most 1; their sum is a whole number.
    order (Ints): The row, as places of texts.
    RETURNS (Ints): The chosen texts' places, ascending.
    """
    certain = numpy.flatnonzero(chances >= 1)
    row = order[chances[order] < 1]
    n_steps = round(float(chances[row].sum()))
    if n_steps == 0:
        return certain
    ends = numpy.cumsum(chances[row])
    steps = (rng.random() + numpy.arange(n_steps)) * (ends[-1] / n_steps)  # The sum is whole except for rounding.
    return numpy.sort(numpy.concatenate([certain, row[numpy.searchsorted(ends, steps, side="right")]]))
