"""Texts in the order in which the metamodel is trusted with them, and bounds on the errors that stay unread."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy

from spacy_falconer.workflow.guarantee.betting import bound_unseen, find_prices
from spacy_falconer.workflow.guarantee.promise import Promise
from spacy_falconer.workflow.guarantee.questions import (
    FALSE,
    MISSED,
    Bools,
    Floats,
    Ints,
    Kind,
    Known,
    Outlook,
    Question,
    find_limit,
    find_shares,
    list_kinds,
)  # fmt: skip
from spacy_falconer.workflow.guarantee.schedule import Hazard, find_rates, make_schedule

SLACK, FAR = 0.95, 1.2  # Shares of the allowed errors that are planned with: at first, and at most.
# Shares of delta that the bound on false things may get; 0 means that every text of which anything is said is read.
FALSE_SHARES = (0.5, 0.05, 0.2, 0.8, 0.95, 0.0)
MIN_SHARE = 1e-9
ROUNDING = 1e-9


@dataclass
class Lane:
    """An order of texts, and how far the metamodel is trusted along it. All texts beyond that are read.

    order: Numbers of the texts, those with the fewest expected errors first.
    coins: A random number for each text, uniform in 0 to 1, shape (n,). A text is drawn if it is below the text's rate.
    rates: Each text's probability of being drawn; it is fixed for the texts before `end`, shape (n,).
    tilts, deltas: By the kinds of errors that are bounded: the tilt, and the probability that the bound is wrong.
    most: The most errors that each text counts for, by kind, shape (n,).
    shares: As in `find_shares`, shape (n,).
    end, far (int): The metamodel is trusted with the texts before `end`. `end` never exceeds `far`.
    n_expected (float): How many texts are expected to stay unread.
    """

    order: Ints
    coins: Floats
    rates: Floats
    tilts: dict[Kind, float]
    deltas: dict[Kind, float]
    most: dict[Kind, Floats]
    shares: Floats
    far: int
    n_expected: float
    end: int = 0

    def forecast(self) -> Floats:
        """Return how likely each text of the order is to be read, by what is expected now."""
        is_trusted = numpy.cumsum(1.0 - self.rates) <= self.n_expected
        return numpy.where(is_trusted, self.rates, 1.0)

    def find_drawn(self, start: int, end: int) -> Ints:
        return self.order[start:end][self.coins[start:end] < self.rates[start:end]]

    def bound(self, kind: Kind, known: Known, number: int, *, is_read: Bools | None = None) -> Floats:
        """Return a bound on the errors in texts that were not read, for every prefix up to `end`, shape (end + 1,).

        is_read: Which texts' answers are used, shape (n_texts,); by default all that are known.
        """
        is_read = known.is_read if is_read is None else is_read
        order, rates, most = self.order[: self.end], self.rates[: self.end], self.most[kind][: self.end]
        errors = numpy.minimum(known.errors(kind, number)[order], most)
        drawn = self.coins[: self.end] < rates
        bounds = bound_unseen(errors, drawn, rate=rates, tilt=self.tilts[kind], delta=self.deltas[kind])
        if kind.is_whole:
            bounds = numpy.floor(bounds + ROUNDING)
        corrected = numpy.where(is_read[order] & ~drawn, errors, 0.0)
        possible = numpy.where(is_read[order], 0.0, most)
        return numpy.clip(bounds - _sum_before(corrected), 0.0, _sum_before(possible))

    def grow(self, known: Known, number: int, outlook: Outlook, allowed: dict[Kind, float], *, least: int) -> int:
        """Set the rates of the next texts. RETURNS (int): How many texts to draw from next; 0 if the order is to stop."""
        if self.end >= self.far:
            return 0
        schedule = make_schedule(self._list_hazards(known, number, outlook, allowed), self.shares[self.end :])
        n_texts = min(max(int(schedule.ends.min()) // 2, least), self.far - self.end)
        some = slice(self.end, self.end + n_texts)
        self.rates[some] = find_rates(schedule.rate, self.shares[some])
        return n_texts if schedule.n_saved > 0.0 else 0

    def _list_hazards(
        self, known: Known, number: int, outlook: Outlook, allowed: dict[Kind, float]
    ) -> dict[Kind, Hazard]:
        order, rates, hazards = self.order[: self.end], self.rates[: self.end], {}
        for kind, delta in self.deltas.items():
            errors = numpy.minimum(known.errors(kind, number)[order], self.most[kind][: self.end])
            found = numpy.where(self.coins[: self.end] < rates, errors, 0.0)
            paid = find_prices(found, rate=rates, tilt=self.tilts[kind]).sum()
            stake = float(numpy.log(1.0 / delta) + paid)
            rest = outlook.risks[kind][:, self.order[self.end :]]
            limit = find_limit(self.most[kind])
            hazards[kind] = Hazard(rest, allowed[kind], limit, outlook.sizes[kind], stake, self.tilts[kind])
        return hazards


def make_lanes(
    question: Question, known: Known, outlook: Outlook, promise: Promise, coins: Floats, *, n_questions: int
) -> list[Lane]:
    """Make the orders of a question's unread texts. `coins`: A random number for each text, uniform in 0 to 1.

    Delta is shared among the bounds in the way that is expected to save the most.
    """
    kinds = list_kinds(promise).values()
    shares = FALSE_SHARES if FALSE in kinds and len(kinds) > 1 else FALSE_SHARES[:1]
    make = partial(_make_lanes, question, known, outlook, promise, coins)
    choices = [make(share_delta(promise, n_questions, share), share == 0.0) for share in shares]
    return max(choices, key=lambda lanes: sum(lane.n_expected for lane in lanes))


def _make_lanes(
    question: Question,
    known: Known,
    outlook: Outlook,
    promise: Promise,
    coins: Floats,
    deltas: dict[Kind, float],
    is_exact: bool,
) -> list[Lane]:
    """Make the orders for one way to share delta.

    is_exact (bool): Every text of which anything is said will be read, so that nothing false stays.
    """
    unread, said = ~known.is_read, question.n_said > 0
    allowed = outlook.allow(promise, hidden=0.0 if is_exact else None)
    make = partial(_make_lane, outlook=outlook, allowed=allowed, coins=coins)
    if question.is_span or not set(deltas) <= {FALSE, MISSED}:
        asked = unread & (said if set(deltas) == {FALSE} else True)
        is_usual = question.n_said <= question.most_said
        trusted = (is_usual if any(kind.false for kind in deltas) else numpy.ones_like(said)) & ~(said & is_exact)
        borne = {kind: delta for kind, delta in deltas.items() if not (kind == FALSE and is_exact)}
        return [make(asked & trusted, borne), make(asked & ~trusted, borne, is_trusted=False)]
    sides = {FALSE: unread & said, MISSED: unread & ~said}
    return [
        make(sides[kind], {kind: delta}, is_trusted=not (kind == FALSE and is_exact)) for kind, delta in deltas.items()
    ]


def share_delta(promise: Promise, n_questions: int, false_share: float = 0.5) -> dict[Kind, float]:
    """Share the promise's delta among all bounds that are used.

    false_share (float): The share for the bound on false things, if there are others.
    """
    kinds = list(list_kinds(promise).values())
    n_others = len(kinds) - (FALSE in kinds)
    share = (max(false_share, MIN_SHARE) if n_others else 1.0) if FALSE in kinds else 0.0
    delta = promise.delta / n_questions
    return {kind: delta * (share if kind == FALSE else (1.0 - share) / n_others) for kind in kinds}


def _make_lane(
    texts: Bools,
    deltas: dict[Kind, float],
    *,
    outlook: Outlook,
    allowed: dict[Kind, float],
    coins: Floats,
    is_trusted: bool = True,
) -> Lane:
    some = numpy.flatnonzero(texts)
    key = sum(outlook.risks[kind][0, some] / max(allowed[kind], 1.0) for kind in deltas)
    order = some[numpy.argsort(key, kind="stable")]
    most = {kind: outlook.most[kind][order].astype("float64") for kind in deltas}
    shares = find_shares(list(most.values())) if most else numpy.zeros(len(order))
    first = make_schedule(_first_hazards(order, deltas, outlook, most, allowed, SLACK), shares)
    last = make_schedule(_first_hazards(order, deltas, outlook, most, allowed, FAR, first.tilts), shares)
    far = max(first.far, last.far) if is_trusted else 0
    n_expected = first.n_saved if is_trusted else 0.0
    return Lane(order, coins[order], find_rates(first.rate, shares), first.tilts, deltas, most, shares, far, n_expected)


def _first_hazards(
    order: Ints,
    deltas: dict[Kind, float],
    outlook: Outlook,
    most: dict[Kind, Floats],
    allowed: dict[Kind, float],
    slack: float,
    tilts: dict[Kind, float] = {},  # noqa: B006
) -> dict[Kind, Hazard]:
    return {
        kind: Hazard(
            outlook.risks[kind][:, order], slack * allowed[kind], find_limit(most[kind]), outlook.sizes[kind],
            float(numpy.log(1.0 / delta)), tilts.get(kind),
        )
        for kind, delta in deltas.items()
    }  # fmt: skip


def _sum_before(values: Floats) -> Floats:
    """Return the sums over all prefixes, shape (n + 1,)."""
    return numpy.concatenate([[0.0], numpy.cumsum(values)])
