"""Texts in the order in which the metamodel is trusted with them, and what is certain of the errors it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy

from spacy_falconer.workflow.guarantee.betting import bound_unseen, find_prices
from spacy_falconer.workflow.guarantee.promise import Promise
from spacy_falconer.workflow.guarantee.questions import (
    FALSE,
    MISSED,
    STRICT,
    WRONG,
    Bools,
    Floats,
    Ints,
    Known,
    Outlook,
    Question,
)  # fmt: skip
from spacy_falconer.workflow.guarantee.schedule import Hazard, make_schedule

SLACK, FAR = 0.95, 1.2  # Of what is allowed: reckoned with at first; reckoned with at most.
FALSE_SHARES = (
    0.5,
    0.05,
    0.2,
    0.8,
    0.95,
    0.0,
)  # Of the chance to err, for false things; 0 where all that is said is read.
LEAST_SHARE = 1e-9


@dataclass
class Lane:
    """An order of texts, and how far the metamodel is trusted along it.

    order: Texts, the surest first.
    coins: One a text, even in 0 to 1, shape (n,). A text is drawn where it is below the text's rate.
    rates: The chance of each text to be drawn; it is set for the texts before `end`, shape (n,).
    tilts, deltas: The kinds of errors that are bounded, each with its stake and the chance that its bound is wrong.
    most: Errors that a text counts for at most.
    end, far (int): The metamodel is trusted with the texts before `end`. It will be with none after `far`.
    n_expected (float): How many texts it is expected to leave unread.
    is_strict (bool): Texts that it is not trusted with are read. Else they are only not counted on.
    """

    order: Ints
    coins: Floats
    rates: Floats
    tilts: dict[str, float]
    deltas: dict[str, float]
    most: dict[str, int]
    far: int
    n_expected: float
    is_strict: bool
    end: int = 0

    def forecast(self) -> Floats:
        """How likely each text of the order is to be read, as is expected now."""
        n_trusted = self.n_expected / (1.0 - self.rates[0]) if len(self.rates) else 0.0
        beyond = 1.0 if self.is_strict else 0.0
        return numpy.where(numpy.arange(len(self.order)) < n_trusted, self.rates, beyond)

    def find_drawn(self, start: int, end: int) -> Ints:
        return self.order[start:end][self.coins[start:end] < self.rates[start:end]]

    def bound(self, kind: str, known: Known, number: int) -> Floats:
        """The most errors among the texts that were not read, for every prefix up to `end`, shape (end + 1,)."""
        order, rates = self.order[: self.end], self.rates[: self.end]
        errors = numpy.minimum(known.errors(kind, number)[order], self.most[kind])
        drawn = self.coins[: self.end] < rates
        bounds = bound_unseen(errors, drawn, rate=rates, tilt=self.tilts[kind], delta=self.deltas[kind])
        corrected = numpy.where(known.is_read[order] & ~drawn, errors, 0)
        possible = numpy.where(known.is_read[order], 0, self.most[kind])
        return numpy.minimum(bounds - _sum_before(corrected), _sum_before(possible))

    def grow(self, known: Known, number: int, outlook: Outlook, allowed: dict[str, float], *, least: int) -> int:
        """Set the rate of the next texts. RETURNS (int): How many of them are to be drawn from; 0 where none are."""
        if self.end >= self.far:
            return 0
        hazards = self._list_hazards(known, number, outlook, allowed)
        schedule = make_schedule(hazards)
        n_texts = min(max(int(schedule.ends.min()) // 2, least), self.far - self.end)
        self.rates[self.end : self.end + n_texts] = schedule.rate
        return n_texts if schedule.n_saved > 0.0 else 0

    def _list_hazards(
        self, known: Known, number: int, outlook: Outlook, allowed: dict[str, float]
    ) -> dict[str, Hazard]:
        order, hazards = self.order[: self.end], {}
        for kind, delta in self.deltas.items():
            errors = numpy.minimum(known.errors(kind, number)[order], self.most[kind])
            found = numpy.where(self.coins[: self.end] < self.rates[: self.end], errors, 0)
            paid = find_prices(found, rate=self.rates[: self.end], tilt=self.tilts[kind]).sum()
            stake = float(numpy.log(1.0 / delta) + paid)
            rest = outlook.risks[kind][:, self.order[self.end :]]
            hazards[kind] = Hazard(rest, allowed[kind], self.most[kind], outlook.sizes[kind], stake, self.tilts[kind])
        return hazards


def make_lanes(
    question: Question, known: Known, outlook: Outlook, promise: Promise, coins: Floats, *, n_questions: int
) -> list[Lane]:
    """The orders of a question's texts that are not known, drawn from by `coins`, one a text, each even in 0 to 1.

    The chance to err is shared as it is expected to save the most.
    """
    shares = FALSE_SHARES if len(share_delta(promise, n_questions)) > 1 else FALSE_SHARES[:1]
    make = partial(_make_lanes, question, known, outlook, promise, coins)
    choices = [make(share_delta(promise, n_questions, share), share == 0.0) for share in shares]
    return max(choices, key=lambda lanes: sum(lane.n_expected for lane in lanes))


def _make_lanes(
    question: Question,
    known: Known,
    outlook: Outlook,
    promise: Promise,
    coins: Floats,
    deltas: dict[str, float],
    is_exact: bool,
) -> list[Lane]:
    """is_exact (bool): All that is said is to be read, so that nothing of it is false."""
    unread, said = ~known.is_read, question.n_said > 0
    allowed = outlook.allow(promise, hidden=0.0 if is_exact else None)
    make = partial(_make_lane, outlook=outlook, allowed=allowed, promise=promise, coins=coins)
    if WRONG in deltas or question.is_span:
        asked = unread & (said if set(deltas) == {FALSE} else True)
        trusted = question.n_said <= question.most_said if FALSE in deltas else numpy.ones_like(said)
        trusted = trusted & ~(said & is_exact)
        borne = {kind: delta for kind, delta in deltas.items() if not (kind == FALSE and is_exact)}
        return [make(asked & trusted, borne), make(asked & ~trusted, borne, is_trusted=False)]
    sides = {FALSE: unread & said, MISSED: unread & ~said}
    return [
        make(sides[kind], {kind: delta}, is_trusted=not (kind == FALSE and is_exact)) for kind, delta in deltas.items()
    ]


def share_delta(promise: Promise, n_questions: int, false_share: float = 0.5) -> dict[str, float]:
    """The chance to err, shared among all bounds that are used. For recall, false things are bounded, too.

    false_share (float): What the bound on false things gets, where there are others.
    """
    kinds = [STRICT[name] for name in promise.targets]
    kinds += [FALSE] if MISSED in kinds and FALSE not in kinds else []
    n_others = len(kinds) - (FALSE in kinds)
    share = (max(false_share, LEAST_SHARE) if n_others else 1.0) if FALSE in kinds else 0.0
    delta = promise.delta / n_questions
    return {kind: delta * (share if kind == FALSE else (1.0 - share) / n_others) for kind in kinds}


def _make_lane(
    texts: Bools,
    deltas: dict[str, float],
    *,
    outlook: Outlook,
    allowed: dict[str, float],
    promise: Promise,
    coins: Floats,
    is_trusted: bool = True,
) -> Lane:
    strict = [STRICT[name] for name in promise.targets if STRICT[name] in deltas]
    some = numpy.flatnonzero(texts)
    key = sum(outlook.risks[kind][0, some] / max(allowed[kind], 1.0) for kind in strict or deltas)
    order = some[numpy.argsort(key, kind="stable")]
    first = make_schedule(_first_hazards(order, deltas, outlook, {kind: SLACK * n for kind, n in allowed.items()}))
    most = _first_hazards(order, deltas, outlook, {kind: FAR * n for kind, n in allowed.items()}, first.tilts)
    last = make_schedule(most)
    far = max(first.far, last.far) if is_trusted else 0
    rates = numpy.full(len(order), first.rate)
    is_strict = bool(strict) or not is_trusted
    n_expected = first.n_saved if is_strict else len(order) - first.rate * float(first.ends.mean())
    tilts, n_expected = first.tilts, n_expected if is_trusted else 0.0
    return Lane(order, coins[order], rates, tilts, deltas, outlook.most, far, n_expected, is_strict)


def _first_hazards(
    order: Ints,
    deltas: dict[str, float],
    outlook: Outlook,
    allowed: dict[str, float],
    tilts: dict[str, float] = {},  # noqa: B006
) -> dict[str, Hazard]:
    return {
        kind: Hazard(
            outlook.risks[kind][:, order], allowed[kind], outlook.most[kind], outlook.sizes[kind],
            float(numpy.log(1.0 / delta)), tilts.get(kind),
        )
        for kind, delta in deltas.items()
    }  # fmt: skip


def _sum_before(values: Ints) -> Ints:
    """Sums over all prefixes, shape (n + 1,)."""
    return numpy.concatenate([[0], numpy.cumsum(values)])
