"""What the metamodel says to an instruction, what the language model says of that, and the errors to be expected."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy
from numpy.typing import NDArray

from spacy_falconer.workflow.guarantee.promise import Promise
from spacy_falconer.workflow.guarantee.schedule import rescale

Ints = NDArray[numpy.int64]
Floats = NDArray[numpy.float64]
Bools = NDArray[numpy.bool_]

FALSE, MISSED, WRONG = "false", "missed", "wrong"
STRICT = {"precision": FALSE, "recall": MISSED, "accuracy": WRONG}  # The kind of error that a target limits.
MOST_QUANTILE = 0.98  # Of texts with passages; those with more are left to the language model.


@dataclass(frozen=True)
class Question:
    """One instruction.

    n_said: Things that the metamodel says of each text: 1 or 0 for a label, the number of passages; shape (n_texts,).
    risk_false, risk_missed: How many of them it expects to be false, and how many to be missing, shape (n_texts,).
    """

    n_said: Ints
    risk_false: Floats
    risk_missed: Floats
    is_span: bool = False

    @cached_property
    def most_said(self) -> int:
        """The most things said of a text that the metamodel may be trusted with."""
        some = self.n_said[self.n_said > 0]
        return int(numpy.quantile(some, MOST_QUANTILE)) if self.is_span and len(some) else 1


@dataclass
class Known:
    """The language model's judgement of what the metamodel says: errors by question and text, shape (Q, n_texts).

    is_read: Texts whose answers are known, shape (n_texts,).
    is_failed: Of those, the ones that the language model has no answer to. All that the metamodel says of them is false.
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
        """Take over what was found about texts, in their order."""
        self.false[:, texts], self.missed[:, texts] = found.false, found.missed
        self.is_read[texts], self.is_failed[texts] = True, found.is_failed

    def errors(self, kind: str, number: int) -> Ints:
        if kind == WRONG:
            return (self.false[number] + self.missed[number] > 0).astype("int64")
        return (self.false if kind == FALSE else self.missed)[number]


@dataclass(frozen=True)
class Outlook:
    """What is expected of one instruction, by what is known now.

    risks: Errors of each text by their kind, in several ways that things may be, the likeliest first, shape (S, n_texts).
    wanted (float): Things that the language model would say.
    n_false (float): False things among what the metamodel says of texts that were not read.
    n_texts (int): Of the corpus.
    most: How many a text counts for at most.
    sizes: How many a text has that has any.
    """

    risks: dict[str, Floats]
    wanted: float
    n_false: float
    n_texts: int
    most: dict[str, int]
    sizes: dict[str, float]

    def allow(self, promise: Promise, *, hidden: float | None = None) -> dict[str, float]:
        """How many errors of each kind may stay in the end.

        hidden (float): The most false things that stay in the output; by default as many as the promise lets it.
        """
        allowed = {FALSE: 1.1 * self.n_false + 0.1 * self.wanted + 3.0}  # Where it is only to be known how many.
        if promise.precision is not None:
            allowed[FALSE] = (1.0 - promise.precision) * self.wanted
        if promise.recall is not None:
            usual = allowed[FALSE] if promise.precision is not None else 0.1 * self.wanted
            sure = self.wanted - (usual if hidden is None else hidden)
            allowed[MISSED] = (1.0 - promise.recall) / promise.recall * sure
        if promise.accuracy is not None:
            allowed[WRONG] = (1.0 - promise.accuracy) * self.n_texts
        return allowed


def look_ahead(question: Question, known: Known, number: int, seen: Bools) -> Outlook:
    """Put the metamodel's own risks right by the texts that are `seen`, of those that were read."""
    errors = {kind: known.errors(kind, number).astype("float64") for kind in (FALSE, MISSED)}
    is_known = seen & ~known.is_failed
    most = {FALSE: question.most_said, MISSED: _find_most(errors[MISSED][is_known], question), WRONG: 1}
    own = {FALSE: question.risk_false, MISSED: question.risk_missed}
    limits = {FALSE: question.n_said.astype("float64"), MISSED: None if question.is_span else 1.0}
    risks = {kind: rescale(own[kind], is_known, errors[kind], most=limits[kind]) for kind in own}
    risks[WRONG] = 1.0 - numpy.exp(-risks[FALSE] - risks[MISSED])
    sizes = {kind: _find_size(errors[kind][is_known], is_span=question.is_span) for kind in errors} | {WRONG: 1.0}
    expected = {kind: numpy.where(seen, errors[kind], risks[kind][0]) for kind in errors}
    wanted = float((question.n_said - expected[FALSE] + expected[MISSED])[~seen | is_known].sum())
    return Outlook(risks, wanted, float(risks[FALSE][0, ~seen].sum()), len(seen), most, sizes)


def _find_most(seen: Floats, question: Question) -> int:
    """Missed things that a text counts for at most: more than were seen in any."""
    return max(2, 2 * int(seen.max(initial=0.0))) if question.is_span else 1


def _find_size(seen: Floats, *, is_span: bool) -> float:
    """Errors of a text that has any, larger ones counting more; 1.5 before much is seen."""
    return float(((seen**2).sum() + 7.5) / (seen.sum() + 5.0)) if is_span else 1.0
