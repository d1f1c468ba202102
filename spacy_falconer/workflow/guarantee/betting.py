"""Bound the errors in texts that were not drawn. Pure arithmetic; the argument is in docs/guarantees.md.

Texts are in an order; each is drawn by a coin flip of its own, with a probability, its `rate`. Money is staked on every
text: it grows by a factor of exp(tilt) for each error that is not drawn, and shrinks if a drawn text has errors, so that
the bet is fair. In a fair bet, the money ever reaches 1 / delta with a probability of at most delta (Ville's inequality).
So the bounds hold for all prefixes of the order at once, however the prefix is chosen.
"""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[numpy.float64]


def find_most_tilt(rate: ArrayLike, most: float) -> Any:
    """Return the largest tilt that is fair if a text has up to `most` errors. With one error per text, and none found, the
    bound is the exact one: (1 - rate) ** errors = delta."""
    return -numpy.log1p(-numpy.asarray(rate)) / most


def find_prices(errors: ArrayLike, *, rate: ArrayLike, tilt: ArrayLike) -> Floats:
    """Return what drawn texts with this many errors cost, as logarithms; 0 if there are none."""
    counts = numpy.asarray(errors, dtype="float64")
    left = 1.0 - (1.0 - numpy.asarray(rate)) * numpy.exp(tilt * counts)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        return numpy.where(counts > 0, -numpy.log(numpy.maximum(left, 0.0) / rate), 0.0)


def bound_unseen(errors: ArrayLike, drawn: ArrayLike, *, rate: ArrayLike, tilt: float, delta: float) -> Floats:
    """Return an upper bound on the errors in the texts that were not drawn, for every prefix of the order.

    errors: The errors of each text in the order, shape (n,); only those of drawn texts are used.
    drawn: Which texts were drawn, shape (n,).
    rate: The probability of being drawn, one for all or shape (n,); it may depend only on earlier texts in the order.
    tilt (float): Chosen before anything was drawn; at most `find_most_tilt` of every rate.
    RETURNS: Shape (n + 1,), for prefixes of 0 to n texts. All hold together with a probability of at least 1 - delta. If
        errors are counted, not weighed, the bounds may be rounded down to whole numbers.
    """
    found = numpy.where(drawn, errors, 0)
    paid = numpy.concatenate([[0.0], numpy.cumsum(find_prices(found, rate=rate, tilt=tilt))])
    return (numpy.log(1.0 / delta) + paid) / tilt
