"""What is certain about an output, from the texts that were read and the bounds on the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from spacy_falconer.workflow.guarantee.lanes import ROUNDING, Lane
from spacy_falconer.workflow.guarantee.promise import Promise
from spacy_falconer.workflow.guarantee.questions import FALSE, MISSED, WRONG, Kind, Known, Question, list_kinds


def certify(question: Question, known: Known, number: int, lanes: Sequence[Lane], promise: Promise) -> dict[str, float]:
    """Return lower bounds on the precision, recall or accuracy of a question's output, by the target's name.

    They hold together, for all questions of a cascade, with a probability of at least 1 - delta. They are valid once every
    text that the metamodel is not trusted with has been read.
    """
    answered = known.is_read & ~known.is_failed
    wanted = question.n_said - known.false[number] + known.missed[number]  # What is true of a text that was read.
    n_true = int(wanted[answered].sum())
    n_kept = int(question.n_said[~answered].sum())
    n_failed = int(question.n_said[known.is_failed].sum())
    n_texts = len(known.is_read)
    hidden = {kind: _add_up(lanes, kind, known, number) for kind in list_kinds(promise).values()}
    n_said = n_true + n_kept - n_failed  # True, except for the hidden errors.
    rates: dict[str, float] = {}
    for name, kind in list_kinds(promise).items():
        if name == "precision":
            rates[name] = _share(n_said - hidden[FALSE], n_true + n_kept)
        elif name == "accuracy":
            rates[name] = _share(n_texts - hidden[WRONG] - int(known.is_failed.sum()), n_texts)
        elif kind == MISSED:
            rates[name] = _share(n_said - hidden[FALSE], n_said - hidden[FALSE] + hidden[MISSED])
        else:
            rates[name] = _find_least_recall(n_said, n_kept - n_failed, kind, hidden[kind])
    return rates


def _find_least_recall(n_said: int, most_false: float, kind: Kind, hidden: float) -> float:
    """Return the least recall for all whole numbers of false and missed things whose weighed sum is at most `hidden`."""
    n_false = numpy.arange(int(min(hidden / kind.false, most_false) + ROUNDING) + 1)
    n_missed = numpy.floor(hidden - kind.false * n_false + ROUNDING)
    n_true = numpy.maximum(n_said - n_false, 0)
    n_wanted = n_true + n_missed
    return float(numpy.divide(n_true, n_wanted, out=numpy.ones(len(n_wanted)), where=n_wanted > 0).min())


def _add_up(lanes: Sequence[Lane], kind: Kind, known: Known, number: int) -> float:
    return sum(float(lane.bound(kind, known, number)[-1]) for lane in lanes if kind in lane.deltas)


def _share(part: float, whole: float) -> float:
    """Return a share of things; 1 if there are none."""
    return 1.0 if whole <= 0 else max(0.0, part) / whole
