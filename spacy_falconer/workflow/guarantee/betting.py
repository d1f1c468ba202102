"""How many errors the texts that were not drawn can hide. Pure arithmetic; the argument stands in docs/guarantees.md.

Texts stand in an order; each is drawn by a coin of its own, with a chance, its `rate`. Money is staked on every text:
it grows by exp(tilt) for each error that is not drawn, and shrinks where a drawn text has errors, so that the stake is
fair. A fair stake reaches 1 / delta anywhere on its way with a chance of at most delta (Ville's inequality). So the
bounds hold for every prefix of the order at once, however the prefix is chosen.
"""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[numpy.float64]


def find_most_tilt(rate: ArrayLike, most: float) -> Any:
    """The largest tilt that is fair where a text has up to `most` errors. With one error a text, and nothing found, the
    bound is the exact one: (1 - rate) ** errors = delta."""
    return -numpy.log1p(-numpy.asarray(rate)) / most


def find_prices(errors: ArrayLike, *, rate: ArrayLike, tilt: ArrayLike) -> Floats:
    """What drawn texts with so many errors cost, as logarithms: 0 where there are none."""
    counts = numpy.asarray(errors, dtype="float64")
    left = 1.0 - (1.0 - numpy.asarray(rate)) * numpy.exp(tilt * counts)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        return numpy.where(counts > 0, -numpy.log(numpy.maximum(left, 0.0) / rate), 0.0)


def bound_unseen(errors: ArrayLike, drawn: ArrayLike, *, rate: ArrayLike, tilt: float, delta: float) -> Floats:
    """The most errors that the texts not drawn have, for every prefix of the order.

    errors: Of each text in the order, shape (n,); only those of drawn texts are looked at.
    drawn: Which were drawn, shape (n,).
    rate: The chance of being drawn, one for all or shape (n,); chosen by what stands before the text in the order only.
    tilt (float): Chosen before anything was drawn; at most `find_most_tilt` of every rate.
    RETURNS: Shape (n + 1,), for prefixes of 0 to n texts. All hold together with a chance of at least 1 - delta. Where
        errors are counted, and not weighed, what is below a bound is below its whole number, too.
    """
    found = numpy.where(drawn, errors, 0)
    paid = numpy.concatenate([[0.0], numpy.cumsum(find_prices(found, rate=rate, tilt=tilt))])
    return (numpy.log(1.0 / delta) + paid) / tilt
