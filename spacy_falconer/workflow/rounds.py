"""Annotate in rounds: each one asks about the texts that the model of the round before is least sure about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean

import numpy
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.corpus.choose import choose_random, choose_uncertain, has_stopped_growing
from spacy_falconer.corpus.docbin import make_docs
from spacy_falconer.errors import CorpusError
from spacy_falconer.plan import Plan
from spacy_falconer.types import Answer
from spacy_falconer.workflow.ask import Asker
from spacy_falconer.workflow.choose import UNCERTAIN, Chosen, Sampling, pick, pick_random, recall_chosen, without
from spacy_falconer.workflow.evaluate import evaluate
from spacy_falconer.workflow.memory import Memory
from spacy_falconer.workflow.scores import read_scores
from spacy_falconer.workflow.train import MIN_ANSWERS, train

DEV_SHARE = 0.2  # The share of texts that are chosen first, at random, to measure the agreement on.
N_READ = 2000  # Texts that a round's model reads, to find those that it is least sure about.


def annotate_in_rounds(
    texts: Sequence[str], n: int, plan: Plan, sampling: Sampling, memory: Memory, asker: Asker
) -> list[list[Chosen]]:
    """Choose and ask, until `n` texts are chosen or the agreement no longer grows.

    RETURNS (list[list[Chosen]]): The texts by round; those of the last one have not been asked about yet. If the asker
        has to stop, no further round begins.
    RAISES (CorpusError): A round would be too small to learn from.
    """
    n_dev = round(DEV_SHARE * n)
    sizes = [len(part) for part in numpy.array_split(numpy.arange(n - n_dev), sampling.n_rounds)]
    check_sizes(sizes, sampling)
    dev = pick_random(texts, n_dev, seed=sampling.seed + 2)
    rest = without(texts, dev)
    rounds = [dev, recall_chosen(memory, "round 1", rest, lambda: pick(rest, sizes[0], plan, sampling))]
    agreements: list[float] = []
    for number, size in enumerate(sizes[1:], start=2):
        answers = asker.ask([one.text for part in rounds for one in part])
        if asker.stopped is not None:
            break
        learned = Learned(plan, answers, frozenset(one.text for one in dev), sampling)
        agreements.append(memory.recall(f"agreement {number - 1}", learned.measure))
        if has_stopped_growing(agreements):
            break
        rounds.append(_choose_next(f"round {number}", without(texts, sum(rounds, [])), size, learned, memory))
    return rounds


def check_sizes(sizes: Sequence[int], sampling: Sampling) -> None:
    if min(sizes) < MIN_ANSWERS:
        raise CorpusError(
            f"The {sampling.n_rounds} rounds of --sample {sampling.n_texts} have as few as {min(sizes)} texts; expected "
            f"at least {MIN_ANSWERS} to learn from. Take fewer rounds or more texts."
        )


@dataclass(frozen=True)
class Learned:
    """What can be learned from the answers of some rounds. It is only trained when it is needed."""

    plan: Plan
    answers: Sequence[Answer]
    dev_texts: frozenset[str]
    sampling: Sampling

    @cached_property
    def nlp(self) -> Language:
        docs = self._make_docs(answer for answer in self.answers if answer.text not in self.dev_texts)
        return train(
            self.plan,
            docs,
            source=self.sampling.source,
            config=self.sampling.config,
            seed=self.sampling.seed,
            quiet=True,
        )[0]

    def measure(self) -> float:
        """Return the agreement on the texts that were not learned from: mean F1 of both primitives, 0 to 1."""
        scores = evaluate(self.nlp, self._make_docs(answer for answer in self.answers if answer.text in self.dev_texts))
        found = [scores[kind]["macro_f"] for kind in ("labels", "spans")]
        return mean([score for score in found if score is not None] or [0.0])

    def pick_uncertain(self, texts: Sequence[str], n: int) -> list[Chosen]:
        """Choose at most `n` of the texts, more of those that are near an instruction's threshold."""
        read = choose_random(texts, max(n, N_READ), seed=self.sampling.seed)
        scores, thresholds = read_scores(self.nlp, read, self.plan)
        places, weights = choose_uncertain(scores, n, seed=self.sampling.seed, thresholds=thresholds)
        share = len(texts) / max(1, len(read))
        return [Chosen(read[i], UNCERTAIN, float(weight) * share) for i, weight in zip(places, weights, strict=True)]

    def _make_docs(self, answers: Iterable[Answer]) -> list[Doc]:
        return make_docs(answers, self.plan, spacy.blank("en"))[0]


def _choose_next(name: str, texts: Sequence[str], size: int, learned: Learned, memory: Memory) -> list[Chosen]:
    return recall_chosen(memory, name, texts, lambda: learned.pick_uncertain(texts, size))
