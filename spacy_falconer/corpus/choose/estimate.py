"""Estimate figures of the whole corpus from the answers about chosen texts and the weights of these.

Only the ratios of the weights matter: those of a random sample may all be 1. Source: Hájek 1971.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy
from numpy.typing import ArrayLike

from spacy_falconer.corpus.choose.sample import Floats
from spacy_falconer.errors import FalconerError


class Share(NamedTuple):
    """A share of the corpus's texts, 0 to 1, and its standard error."""

    share: float
    error: float


def estimate_share(hits: ArrayLike, weights: ArrayLike) -> Share:
    """Estimate of what share of the corpus's texts an instruction is true.

    The standard error assumes that texts were drawn with replacement. With few hits it is rough.

    hits (ArrayLike): Whether it is true of each text asked about, shape (n_asked,).
    weights (ArrayLike): Of the same texts.
    RAISES (FalconerError): No text was asked about, or there is not one weight above 0 per text.
    """
    true, counted = check_weights(hits, weights)
    share = float(counted @ true / counted.sum())
    n_asked = len(true)
    spread = numpy.square(counted * (true - share)).sum() * n_asked / max(1, n_asked - 1)
    return Share(share, float(numpy.sqrt(spread) / counted.sum()))


def estimate_f(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, weights: ArrayLike) -> float:
    """Estimate F1 over the corpus from what was right, wrong and missed in each text asked about; 0 if there is nothing.

    tp, fp, fn (ArrayLike): Counts, shape (n_asked,) each.
    weights (ArrayLike): Of the same texts.
    RAISES (FalconerError): No text was asked about, or there is not one weight above 0 per text.
    """
    right, counted = check_weights(tp, weights)
    wrong = numpy.asarray(fp, dtype=float) + numpy.asarray(fn, dtype=float)
    of_both = counted @ (2 * right + wrong)
    return float(counted @ (2 * right) / of_both) if of_both else 0.0


def check_weights(values: ArrayLike, weights: ArrayLike) -> tuple[Floats, Floats]:
    numbers, counted = numpy.asarray(values, dtype=float), numpy.asarray(weights, dtype=float)
    if not len(numbers) or numbers.shape != counted.shape or not (counted > 0).all():
        raise FalconerError(
            f"There are {numbers.size} answers and {counted.size} weights, {int((counted > 0).sum())} of them above 0; "
            "expected at least one answer, and a weight above 0 for each."
        )
    return numbers, counted
