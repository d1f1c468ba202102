"""One run of the cascade where the language model's answers are all known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from benchmarks.guarantee.worlds import World
from spacy_falconer.workflow.guarantee.cascade import Cascade
from spacy_falconer.workflow.guarantee.promise import Promise
from spacy_falconer.workflow.guarantee.questions import Known


@dataclass(frozen=True)
class Trial:
    """What came of a run: the share of texts that were asked about, and the rates that were really reached."""

    asked: float
    rates: dict[str, float]

    def misses(self, promise: Promise) -> bool:
        return any(self.rates[name] < target for name, target in promise.targets.items())


def run_trial(world: World, promise: Promise, *, seed: int) -> tuple[Trial, Cascade]:
    n_texts = len(world.question.n_said)
    cascade = Cascade(
        [world.question], promise, lambda texts: look_up(world, texts), Known.none(1, n_texts),
        numpy.random.default_rng([seed, 1]),
    )  # fmt: skip
    outcome = cascade.run()
    return Trial(outcome.n_asked / n_texts, measure(world, ~outcome.read)), cascade


def look_up(world: World, texts: numpy.ndarray) -> Known:
    flags = numpy.zeros((2, len(texts)), dtype=bool)
    return Known(world.truth.false[:, texts], world.truth.missed[:, texts], *flags)


def measure(world: World, is_trusted: numpy.ndarray) -> dict[str, float]:
    """The rates of an output that has the metamodel's answers where it is trusted, and the language model's elsewhere."""
    false, missed = (errors[0] * is_trusted for errors in (world.truth.false, world.truth.missed))
    n_true = world.n_wanted - missed.sum()
    return {
        "precision": n_true / (n_true + false.sum()) if n_true + false.sum() else 1.0,
        "recall": n_true / world.n_wanted if world.n_wanted else 1.0,
        "accuracy": 1.0 - float(((false + missed) > 0).mean()),
    }
