"""Decide which texts the metamodel may answer, and which the language model must, so that a promise holds.

Pure: answers come from a function, random numbers from a generator. The argument is in docs/guarantees.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy
from numpy.random import Generator
from numpy.typing import NDArray

from spacy_falconer.workflow.guarantee.certify import certify
from spacy_falconer.workflow.guarantee.lanes import Lane, make_lanes
from spacy_falconer.workflow.guarantee.promise import Promise
from spacy_falconer.workflow.guarantee.questions import FALSE, MISSED, Known, Outlook, Question, list_kinds, look_ahead

Ints = NDArray[numpy.int64]
Bools = NDArray[numpy.bool_]
Ask = Callable[[Ints], Known]

MAX_PILOT, MIN_PILOT, PILOT_SHARE = 200, 20, 0.03
EVEN = 0.3  # The share of the pilot that is drawn uniformly.
N_BLOCKS, MIN_BLOCK = 60, 20  # How many blocks an order grows or shrinks by, and the fewest texts in one.


@dataclass
class Outcome:
    """Which texts the language model read, and what is certain.

    read: Which texts have the language model's answers, shape (n_texts,).
    n_asked (int): Texts that it was asked about in this run.
    certified: The guaranteed precision, recall or accuracy of each question, by the targets' names.
    """

    read: Bools
    n_asked: int
    certified: list[dict[str, float]]


class OverBudget(Exception):
    """More answers are needed than the budget allows. `n_needed` is about how many."""

    def __init__(self, n_needed: int):
        super().__init__(n_needed)
        self.n_needed = n_needed


@dataclass
class Cascade:
    """One run over the texts of a corpus. "Read" texts are those with answers of the language model.

    questions: What the metamodel says to each instruction.
    ask: Returns the language model's judgement of texts. It is called with texts that are not known yet.
    known: The language model's judgement so far; it is updated during the run.
    """

    questions: Sequence[Question]
    promise: Promise
    ask: Ask
    known: Known
    rng: Generator
    n_asked: int = 0
    seen: Bools = field(init=False)  # By question and text: what rates may depend on (see docs/guarantees.md).
    lanes: list[list[Lane]] = field(default_factory=list)

    def run(self) -> Outcome:
        """Ask until the promise holds.

        RAISES (OverBudget): More texts would have to be asked about than the promise's budget allows.
        """
        if self.known.is_read.all():
            self.lanes = [[] for _ in self.questions]
        else:
            self._read_until_it_holds()
        return Outcome(self.known.is_read.copy(), self.n_asked, self._certify())

    def _read_until_it_holds(self) -> None:
        coins = self.rng.random(len(self.known.is_read))
        self._read(self._choose_pilot())
        self.seen[:] = self.known.is_read
        self.lanes = self.plan(coins)
        self._check_budget()
        self._read_far()
        self.seen[:] = self.known.is_read
        self._grow()
        self._read_rest()
        while short := self._find_short():
            self._shrink(short)

    def __post_init__(self) -> None:
        self.seen = numpy.tile(self.known.is_read, (len(self.questions), 1))

    def plan(self, coins: NDArray[numpy.float64]) -> list[list[Lane]]:
        """Make the orders of each question's texts, and choose how they are drawn from."""
        return [
            make_lanes(
                question, self.known, self._look_ahead(number), self.promise, coins,
                n_questions=len(self.questions),
            )
            for number, question in enumerate(self.questions)
        ]  # fmt: skip

    def forecast(self) -> int:
        """Return about how many texts will be asked about, from what is known now."""
        lanes = self.lanes or self.plan(numpy.ones(len(self.known.is_read)))
        chance = numpy.zeros(len(self.known.is_read))
        for lane in (lane for some in lanes for lane in some):
            numpy.maximum.at(chance, lane.order, lane.forecast())
        return self.n_asked + round(float(chance[~self.known.is_read].sum()))

    def _choose_pilot(self) -> Ints:
        """Choose texts to learn the metamodel's errors from, mostly those where errors are likely."""
        unread = numpy.flatnonzero(~self.known.is_read)
        n_texts = min(len(unread), int(numpy.clip(PILOT_SHARE * len(unread), MIN_PILOT, MAX_PILOT)))
        weights = sum(numpy.sqrt(numpy.minimum(one.risk_false + one.risk_missed, 1.0)) for one in self.questions)[
            unread
        ]
        chances = EVEN / len(unread) + (1.0 - EVEN) * (weights + 1e-9) / (weights + 1e-9).sum()
        return self.rng.choice(unread, n_texts, replace=False, p=chances)

    def _read(self, texts: Ints) -> None:
        """Ask about those texts that have no answers yet."""
        texts = numpy.unique(texts)
        texts = texts[~self.known.is_read[texts]]
        budget = self.promise.label_budget
        if budget is not None and self.n_asked + len(texts) > budget:
            raise OverBudget(max(self.n_asked + len(texts), self.forecast() if self.lanes else 0))
        if len(texts):
            self.n_asked += len(texts)
            self.known.update(texts, self.ask(texts))

    def _check_budget(self) -> None:
        budget = self.promise.label_budget
        if budget is not None and (n_needed := self.forecast()) > budget:
            raise OverBudget(n_needed)

    def _look_ahead(self, number: int) -> Outlook:
        return look_ahead(self.questions[number], self.known, number, self.seen[number], self.promise)

    def _all_lanes(self) -> list[tuple[int, Lane]]:
        return [(number, lane) for number, lanes in enumerate(self.lanes) for lane in lanes]

    def _read_far(self) -> None:
        """Read the texts that will be left to the language model in any case."""
        self._read_all([lane.order[lane.far :] for _, lane in self._all_lanes()])

    def _read_rest(self) -> None:
        """Read the texts that the metamodel is not trusted with."""
        self._read_all([lane.order[lane.end :] for _, lane in self._all_lanes()])

    def _read_all(self, parts: Sequence[Ints]) -> None:
        self._read(numpy.concatenate([numpy.zeros(0, dtype="int64"), *parts]))

    def _grow(self) -> None:
        """Trust the metamodel with more of each order, as long as the errors that are found allow it."""
        lanes = self._all_lanes()
        for first in (True, False):  # False things come first: how many may be missing depends on them.
            growing = [(n, lane) for n, lane in lanes if (set(lane.deltas) == {FALSE}) == first]
            while growing:
                growing = self._grow_once(growing)

    def _grow_once(self, growing: Sequence[tuple[int, Lane]]) -> list[tuple[int, Lane]]:
        """Draw from the next texts of each order. RETURNS: The orders that may grow further."""
        outlooks = {n: self._look_ahead(n) for n, _ in growing}
        allowed = [outlooks[n].allow(self.promise, hidden=self._find_hidden(n, lane)) for n, lane in growing]
        steps = [
            lane.grow(self.known, n, outlooks[n], most, least=self._block(lane))
            for (n, lane), most in zip(growing, allowed, strict=True)
        ]
        drawn = [lane.find_drawn(lane.end, lane.end + step) for (_, lane), step in zip(growing, steps, strict=True)]
        self._read_all(drawn)
        for (number, lane), step, texts in zip(growing, steps, drawn, strict=True):
            self.seen[number, texts] = True
            lane.end += step
        grown = zip(growing, steps, allowed, strict=True)
        return [(n, lane) for (n, lane), step, most in grown if step and self._is_within(n, lane, step, most)]

    def _find_hidden(self, number: int, lane: Lane) -> float | None:
        """Return how many false things may stay in what the metamodel says, if that is settled before an order grows, else
        None. It uses only the texts seen for this question: rates may depend on nothing else.
        """
        if FALSE in lane.deltas or MISSED not in lane.deltas:
            return None
        settled = [one for one in self.lanes[number] if FALSE in one.deltas]
        return sum(float(one.bound(FALSE, self.known, number, is_read=self.seen[number])[-1]) for one in settled)

    def _block(self, lane: Lane) -> int:
        """Return the least texts that an order grows or shrinks by. Fewer would mean asking the language model more often."""
        return max(MIN_BLOCK, len(lane.order) // N_BLOCKS)

    def _is_within(self, number: int, lane: Lane, step: int, allowed: dict[str, float]) -> bool:
        """Return whether an order that has grown by `step` hides no more errors than allowed; if not, undo the step."""
        if all(lane.bound(kind, self.known, number)[-1] <= allowed[kind] for kind in lane.deltas):
            return True
        lane.end -= step
        return False

    def _find_short(self) -> list[Lane]:
        """Return the orders that hide more errors than a target allows."""
        short, kinds = [], list_kinds(self.promise)
        for lanes, rates in zip(self.lanes, self._certify(), strict=True):
            missing = {kinds[name] for name, target in self.promise.targets.items() if rates[name] < target - 1e-12}
            bearing = [lane for lane in lanes if lane.end]
            short += [lane for lane in bearing if missing & set(lane.deltas)] or (bearing if missing else [])
        return short

    def _shrink(self, lanes: Sequence[Lane]) -> None:
        """Trust the metamodel with less of each order."""
        for lane in lanes:
            lane.end = max(0, lane.end - self._block(lane))
        self._read_rest()

    def _certify(self) -> list[dict[str, float]]:
        return [
            certify(question, self.known, number, lanes, self.promise)
            for number, (question, lanes) in enumerate(zip(self.questions, self.lanes, strict=True))
        ]
