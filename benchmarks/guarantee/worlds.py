"""Corpora that are drawn by chance, with a language model's answers and a metamodel of known strength."""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from numpy.random import Generator
from numpy.typing import NDArray

from spacy_falconer.workflow.guarantee.questions import Known, Question

STRENGTHS = {"weak": 1.5, "strong": 4.0}  # Standard deviations between texts that it is true of, and others.
OVERCONFIDENCE = 1.2  # The metamodel's logits are so many times what they should be.


@dataclass(frozen=True)
class World:
    """What the metamodel says of texts, and all that the language model would: answers are taken from `truth`.

    scores: The metamodel's, of labels, shape (n_texts,); of passages None.
    """

    question: Question
    truth: Known
    scores: NDArray[numpy.float64] | None

    @property
    def n_wanted(self) -> int:
        return int((self.question.n_said - self.truth.false[0] + self.truth.missed[0]).sum())


def make_label_world(rng: Generator, *, n_texts: int, share: float, strength: str, shift: float = 0.0) -> World:
    """Scores of texts that an instruction is true of, and of others, lie about two centres.

    shift (float): How much nearer the two centres are than the metamodel takes them to be: drift.
    """
    distance = STRENGTHS[strength]
    is_true = rng.random(n_texts) < share
    values = rng.normal(numpy.where(is_true, distance - shift, 0.0), 1.0)
    logits = OVERCONFIDENCE * (distance * values - distance**2 / 2.0 + numpy.log(share / (1.0 - share)))
    return judge_label(1.0 / (1.0 + numpy.exp(-logits)), is_true)


def judge_label(scores: NDArray[numpy.float64], is_true: NDArray[numpy.bool_], *, threshold: float = 0.5) -> World:
    said = scores >= threshold
    question = Question(said.astype("int64"), numpy.where(said, 1.0 - scores, 0.0), numpy.where(said, 0.0, scores))
    return World(question, _judge(said & ~is_true, ~said & is_true), scores)


def make_span_world(rng: Generator, *, n_texts: int, share: float, strength: str) -> World:
    """A share of the texts has passages, two on average; the metamodel says some of them, and others.

    Hard texts have more errors of both kinds.
    """
    n_wanted = (rng.random(n_texts) < share) * (1 + rng.poisson(1.0, n_texts))
    hardness = rng.beta(0.4, 4.0 if strength == "weak" else 16.0, n_texts)
    missed = rng.binomial(n_wanted, hardness)
    false = rng.poisson(hardness * (0.2 + 0.8 * n_wanted))
    guess = numpy.clip(hardness * numpy.exp(rng.normal(0.0, 0.5, n_texts)), 0.0, 1.0)
    n_said = n_wanted - missed + false
    question = Question(n_said, guess * n_said, guess * (0.2 + 0.8 * n_said), is_span=True)
    return World(question, _judge(false, missed), None)


def _judge(false: NDArray, missed: NDArray) -> Known:
    truth = Known.none(1, len(false))
    truth.update(numpy.arange(len(false)), Known(false[None], missed[None], *numpy.zeros((2, len(false)), dtype=bool)))
    return truth
