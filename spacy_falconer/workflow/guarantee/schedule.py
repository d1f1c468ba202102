"""Choose how many texts to draw, how to stake, and how far to trust the metamodel, to save as many answers as can be expected.

Everything here is a guess that may be wrong: a wrong one costs answers, but never the guarantee.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy
from numpy.typing import NDArray

from spacy_falconer.workflow.guarantee.betting import find_most_tilt, find_prices

if TYPE_CHECKING:
    from spacy_falconer.workflow.guarantee.questions import Kind

Floats = NDArray[numpy.float64]

RATES = numpy.concatenate([numpy.geomspace(0.002, 0.5, 32), [0.6, 0.7, 0.85, 0.95, 0.99]])
N_DEVIATIONS = 0.3  # How many standard deviations more errors than expected are planned for.
N_SPREAD = 0.5  # How many standard deviations the other scenarios are away from the likeliest one.
MIN_RISK, PRIOR = 1e-5, numpy.diag([1 / 1.0**2, 1 / 0.25**2])


@dataclass(frozen=True)
class Hazard:
    """One kind of error along an order of texts.

    risks: Expected errors of each text in several scenarios, shape (S, n).
    allowed (float): How many errors may stay unseen.
    most (float): The most errors that any text counts for.
    size (float): About how many errors a text with any has, up to `most`.
    stake (float): log(1 / delta) and what was paid for errors found. Divided by the tilt, it bounds the unseen errors.
    tilt (float): The tilt, if it is chosen already.
    """

    risks: Floats
    allowed: float
    most: float
    size: float
    stake: float
    tilt: float | None = None


@dataclass(frozen=True)
class Schedule:
    """The probability of drawing the next texts, the tilt for each kind of error, and how many texts to trust.

    rate: That of a text that can have the most errors, as in `find_rates`.
    ends: How many texts to trust in each scenario, shape (S,).
    far (int): The most texts to trust with any rate.
    n_saved (float): How many texts are expected to stay unread.
    """

    rate: float
    tilts: dict[Kind, float]
    ends: NDArray[numpy.int64]
    far: int
    n_saved: float


def find_rates(rate: float, shares: Floats) -> Floats:
    """Return texts' probabilities of being drawn, by their `shares` (see `find_shares`). One tilt is then fair for all."""
    return 1.0 - (1.0 - rate) ** shares


def make_schedule(hazards: Mapping[Kind, Hazard], shares: Floats) -> Schedule:
    """Return the schedule that is expected to leave the most texts unread: averaged over all scenarios or, once the tilts
    are chosen and only the next texts' rate is left to choose, in the likeliest one.

    shares: As in `find_rates`, shape (n,).
    """
    sums = {kind: numpy.cumsum(one.risks, axis=1) for kind, one in hazards.items()}
    tilts = {
        kind: _choose_tilt(one, sums[kind], shares) if one.tilt is None else one.tilt for kind, one in hazards.items()
    }
    reach = [_reach(one, sums[kind], tilts[kind]) for kind, one in hazards.items()]
    ends = numpy.stack(reach).min(axis=0)  # (rates, S)
    saved = _count_saved(ends, shares)
    is_under_way = all(one.tilt is not None for one in hazards.values())  # The rate can then still be changed later.
    best = int(numpy.argmax(saved[:, 0] if is_under_way else saved.mean(axis=1)))
    return Schedule(float(RATES[best]), tilts, ends[best], int(ends.max()), float(saved[best].mean()))


def _count_saved(ends: NDArray[numpy.int64], shares: Floats) -> Floats:
    """Return about how many texts stay unread with each rate in each scenario, shape (rates, S)."""
    mean_shares = numpy.concatenate([[1.0], numpy.cumsum(shares) / numpy.arange(1, len(shares) + 1)])
    return ends * (1.0 - RATES)[:, None] ** mean_shares[ends]


def _choose_tilt(hazard: Hazard, sums: Floats, shares: Floats) -> float:
    """Return the tilt that leaves the most texts unread if the rate is adapted to what is found on the way."""
    tilts = find_most_tilt(RATES, hazard.most)
    saved = [_count_saved(_reach(hazard, sums, float(tilt)), shares).max(axis=0).mean() for tilt in tilts]
    return float(tilts[int(numpy.argmax(saved))])


def _reach(hazard: Hazard, sums: Floats, tilt: float) -> NDArray[numpy.int64]:
    """Return how many texts can be trusted with each rate in each scenario, shape (rates, S)."""
    size = min(hazard.size, hazard.most)
    left = tilt * hazard.allowed - hazard.stake
    is_fair = tilt <= find_most_tilt(RATES, hazard.most) * (1.0 + 1e-9)
    payable = numpy.where(is_fair & (left >= 0.0), left / find_prices(size, rate=RATES, tilt=tilt), -1.0)
    most = _find_most_found(payable) * size / RATES
    return numpy.stack([numpy.searchsorted(one, most, side="right") for one in sums], axis=1)


def _find_most_found(payable: Floats) -> Floats:
    """Return how many drawn texts with errors may be expected, so that they can be paid for even if there are some more."""
    root = (-N_DEVIATIONS + numpy.sqrt(N_DEVIATIONS**2 + 4.0 * numpy.maximum(payable, 0.0))) / 2.0
    return numpy.where(payable < 0.0, -1.0, numpy.maximum(root**2, 1e-3))


def rescale(risks: Floats, known: NDArray[numpy.bool_], errors: Floats, *, most: float | None = None) -> Floats:
    """Correct risks by the errors that were seen: exp(a + b * log(risk)), close to a = 0 and b = 1 if little was seen.

    known: Which texts' errors are known, shape (n,), as `risks` and `errors`.
    most (float): The highest possible risk.
    RETURNS: The risks in several scenarios that fit what was seen, the likeliest first, shape (5, n_texts).
    """
    logs = numpy.log(numpy.maximum(risks, MIN_RISK))
    features = numpy.stack([numpy.ones(known.sum()), logs[known]], axis=1)
    weights, seen = numpy.array([0.0, 1.0]), errors[known]
    for _ in range(25):
        means = numpy.exp(numpy.clip(features @ weights, -20.0, 6.0))
        gradient = features.T @ (seen - means) - PRIOR @ (weights - [0.0, 1.0])
        curvature = features.T @ (features * means[:, None]) + PRIOR
        step = numpy.linalg.solve(curvature, gradient)
        weights = weights + step * min(1.0, 1.0 / max(numpy.abs(step).max(), 1e-9))
        if numpy.abs(step).max() < 1e-6:
            break
    values, axes = numpy.linalg.eigh(curvature)
    steps = N_SPREAD * (axes / numpy.sqrt(values)).T
    ways = [weights, *(weights - steps), *(weights + steps)]
    scaled = numpy.zeros((len(ways), len(risks)))
    some = risks > 0.0
    scaled[:, some] = numpy.exp(
        numpy.minimum(numpy.array(ways) @ numpy.stack([numpy.ones(some.sum()), logs[some]]), 6.0)
    )
    return numpy.minimum(scaled, numpy.inf if most is None else most)
