"""What is certain of an output, from what was read and the bounds on what was not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from spacy_falconer.workflow.guarantee.lanes import Lane
from spacy_falconer.workflow.guarantee.promise import Promise
from spacy_falconer.workflow.guarantee.questions import FALSE, MISSED, WRONG, Known, Question


def certify(question: Question, known: Known, number: int, lanes: Sequence[Lane], promise: Promise) -> dict[str, float]:
    """The least precision, recall or accuracy of a question's output, by the target's name.

    All of them hold together, for all questions of a cascade, with a chance of at least 1 - delta. They mean something
    once every text that its orders do not trust the metamodel with is read.
    """
    answered = known.is_read & ~known.is_failed
    wanted = question.n_said - known.false[number] + known.missed[number]  # What a text that was read is said to have.
    n_true = int(wanted[answered].sum())
    n_kept = int(question.n_said[~answered].sum())
    n_unknown = int(question.n_said[known.is_failed].sum())
    rates: dict[str, float] = {}
    n_false = _add_up(lanes, FALSE, known, number)
    if promise.precision is not None:
        rates["precision"] = _share(n_true + n_kept - n_unknown - n_false, n_true + n_kept)
    if promise.recall is not None:
        strict = promise.precision is not None
        n_found = n_true + (n_kept - n_unknown - n_false if strict else count_on(question, known, number, lanes))
        rates["recall"] = _share(n_found, n_found + _add_up(lanes, MISSED, known, number))
    if promise.accuracy is not None:
        n_texts = len(known.is_read)
        n_wrong = _add_up(lanes, WRONG, known, number) + int(known.is_failed.sum())
        rates["accuracy"] = _share(n_texts - n_wrong, n_texts)
    return rates


def _add_up(lanes: Sequence[Lane], kind: str, known: Known, number: int) -> float:
    return sum(float(lane.bound(kind, known, number)[-1]) for lane in lanes if kind in lane.deltas)


def count_on(question: Question, known: Known, number: int, lanes: Sequence[Lane]) -> float:
    """True things, at least, among what the metamodel says of texts that were not read."""
    total = 0.0
    for lane in (lane for lane in lanes if FALSE in lane.deltas):
        order = lane.order[: lane.end]
        said = numpy.where(known.is_read[order], 0, question.n_said[order])
        sums = numpy.concatenate([[0], numpy.cumsum(said)])
        total += float((sums - lane.bound(FALSE, known, number)).max(initial=0.0))
    return total


def _share(part: float, whole: float) -> float:
    """A share of things; 1 where there are none."""
    return 1.0 if whole <= 0 else max(0.0, part) / whole
