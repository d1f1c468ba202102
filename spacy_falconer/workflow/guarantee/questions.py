"""What the metamodel says to an instruction, the language model's judgement of it, and the expected errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy
from numpy.typing import NDArray

from spacy_falconer.workflow.guarantee.promise import Promise
from spacy_falconer.workflow.guarantee.schedule import rescale

Ints = NDArray[numpy.int64]
Floats = NDArray[numpy.float64]
Bools = NDArray[numpy.bool_]


@dataclass(frozen=True)
class Kind:
    """What counts as a text's errors: its false and missed things, weighed; or, with `is_text`, the text if it has any."""

    false: float
    missed: float
    is_text: bool = False

    @property
    def is_whole(self) -> bool:
        return float(self.false).is_integer()

    def weigh(self, false: Any, missed: Any) -> Floats:
        """Return the errors of texts that have this many false and missed things."""
        errors = self.false * numpy.asarray(false) + self.missed * numpy.asarray(missed)
        return numpy.minimum(errors, 1.0) if self.is_text else errors

    def expect(self, false: Floats, missed: Floats) -> Floats:
        """Return the expected errors of texts of which this many false and missed things are expected."""
        errors = self.false * false + self.missed * missed
        return 1.0 - numpy.exp(-errors) if self.is_text else errors


FALSE, MISSED, WRONG = Kind(1.0, 0.0), Kind(0.0, 1.0), Kind(1.0, 1.0, is_text=True)
GRADE = 0.7  # How much less often a text is drawn that can hide fewer errors: 0 for no less, 1 for in proportion.
MIN_BOUND = 1e-9
MAX_QUANTILE = 0.98  # Of the numbers of passages in texts with any; texts with more are left to the language model.


def list_kinds(promise: Promise) -> dict[str, Kind]:
    """Return the kind of error that each target limits.

    Recall is reached if recall * missed + (1 - recall) * false things are at most (1 - recall) times all that is said. So
    one bound on the weighed sum of both suffices. If precision is promised, false things have a bound already.
    """
    recall = promise.recall or 1.0
    kinds = {
        "precision": FALSE,
        "recall": Kind((1.0 - recall) / recall, 1.0) if promise.precision is None else MISSED,
        "accuracy": WRONG,
    }
    return {name: kinds[name] for name in promise.targets}


@dataclass(frozen=True)
class Question:
    """One instruction.

    n_said: Things that the metamodel says of each text: 1 or 0 for a label, or the number of passages; shape (n_texts,).
    risk_false, risk_missed: How many of them it expects to be false, and how many to be missing, shape (n_texts,).
    """

    n_said: Ints
    risk_false: Floats
    risk_missed: Floats
    is_span: bool = False

    @cached_property
    def most_said(self) -> int:
        """The most things that may be said of a text for the metamodel to be trusted with it."""
        some = self.n_said[self.n_said > 0]
        return int(numpy.quantile(some, MAX_QUANTILE)) if self.is_span and len(some) else 1


@dataclass
class Known:
    """The language model's judgement of what the metamodel says: errors by question and text, shape (Q, n_texts).

    is_read: Texts whose answers are known, shape (n_texts,).
    is_failed: Read texts that the language model has no answer to. All that the metamodel says of them counts as false.
    """

    false: Ints
    missed: Ints
    is_read: Bools
    is_failed: Bools

    @classmethod
    def none(cls, n_questions: int, n_texts: int) -> Known:
        counts = numpy.zeros((2, n_questions, n_texts), dtype="int64")
        flags = numpy.zeros((2, n_texts), dtype=bool)
        return cls(counts[0], counts[1], flags[0], flags[1])

    def update(self, texts: Ints, found: Known) -> None:
        """Copy what was `found` about `texts`, in their order."""
        self.false[:, texts], self.missed[:, texts] = found.false, found.missed
        self.is_read[texts], self.is_failed[texts] = True, found.is_failed

    def errors(self, kind: Kind, number: int) -> Floats:
        return kind.weigh(self.false[number], self.missed[number])


@dataclass(frozen=True)
class Outlook:
    """What is expected for one instruction, from what is known now. Errors are by the kinds that the promise limits.

    risks: Expected errors of each text in several scenarios, the likeliest first, shape (S, n_texts).
    most: The most errors that each text counts for, shape (n_texts,).
    sizes: About how many errors a text with any has, divided by its share.
    wanted (float): Things that the language model would say.
    """

    risks: dict[Kind, Floats]
    most: dict[Kind, Floats]
    sizes: dict[Kind, float]
    wanted: float

    def allow(self, promise: Promise, *, hidden: float | None = None) -> dict[Kind, float]:
        """Return how many errors of each kind may stay in the end.

        hidden (float): The most false things that stay in the output; by default as many as the promise allows.
        """
        kinds = list_kinds(promise)
        allowed = {}
        if promise.precision is not None:
            allowed[FALSE] = (1.0 - promise.precision) * self.wanted
        if promise.recall is not None:
            usual = allowed[FALSE] if promise.precision is not None else 0.0
            sure = self.wanted - (usual if hidden is None else hidden)
            allowed[kinds["recall"]] = (1.0 - promise.recall) / promise.recall * sure
        if promise.accuracy is not None:
            allowed[WRONG] = (1.0 - promise.accuracy) * self.risks[WRONG].shape[1]
        return allowed


def look_ahead(question: Question, known: Known, number: int, seen: Bools, promise: Promise) -> Outlook:
    """Correct the metamodel's own risks by those read texts that are `seen`."""
    is_known = seen & ~known.is_failed
    seen_false, seen_missed = (errors[number].astype("float64") for errors in (known.false, known.missed))
    most_missed = _find_most_missed(seen_missed[is_known], question)
    false = rescale(question.risk_false, is_known, seen_false, most=question.n_said.astype("float64"))
    missed = rescale(question.risk_missed, is_known, seen_missed, most=None if question.is_span else 1.0)
    kinds = list_kinds(promise).values()
    most = {kind: kind.weigh(numpy.minimum(question.n_said, question.most_said), most_missed) for kind in kinds}
    shares = find_shares(list(most.values()))
    seen_errors = {kind: numpy.minimum(known.errors(kind, number), most[kind])[is_known] for kind in kinds}
    sizes = {kind: _find_size(seen_errors[kind], shares[is_known]) if question.is_span else 1.0 for kind in kinds}
    expected = numpy.where(seen, seen_missed - seen_false, missed[0] - false[0])
    wanted = float((question.n_said + expected)[~seen | is_known].sum())
    return Outlook({kind: kind.expect(false, missed) for kind in kinds}, most, sizes, wanted)


def _find_most_missed(seen: Floats, question: Question) -> Ints:
    """Return the most missed things that each text counts for: for passages, at least twice as many as were seen in any."""
    most = max(2, 2 * int(seen.max(initial=0.0)))
    return numpy.full(len(question.n_said), most) if question.is_span else 1 - question.n_said


def find_shares(most: Sequence[Floats]) -> Floats:
    """Return each text's share of the highest rate, by the errors of each kind that it can hide, shape (n,).

    Texts that can hide less may be drawn less often; not quite in proportion, as an error found there costs more. A share
    is never below the text's part of the most that any of *these* texts can hide: so a tilt that is fair for that one is
    fair for all.
    """
    return numpy.max([one / find_limit(one) for one in most], axis=0) ** GRADE


def find_limit(most: Floats) -> float:
    """Return the most errors that any of these texts can hide; never quite 0, so that it can be divided by."""
    return max(float(most.max(initial=0.0)), MIN_BOUND)


def _find_size(seen: Floats, shares: Floats) -> float:
    """Return the errors of a text with any, divided by its share, larger ones counting more; 1.5 until more is seen."""
    some = shares > 0
    return float(((seen[some] ** 2 / shares[some]).sum() + 7.5) / (seen.sum() + 5.0))
