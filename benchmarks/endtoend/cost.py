"""Dollars and seconds: a language model that reads every text, and our way. Nothing is measured here."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spacy_falconer.llm.estimate import estimate
from spacy_falconer.llm.exchange import read_exchange
from spacy_falconer.llm.planner import plan_messages
from spacy_falconer.llm.prices import Price
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.llm.tokens import count_message_tokens, count_tokens
from spacy_falconer.plan import Plan

HOUR_S = 3600.0


@dataclass(frozen=True)
class Asking:
    """What asking a language model takes: of one text, and of the plan.

    n_requests, n_input, n_output: Of one text; the last two in tokens. latency_s: Of one request.
    """

    n_requests: float
    n_input: float
    n_output: float
    text_usd: float
    plan_usd: float
    latency_s: float

    def usd(self, n_texts: float) -> float:
        """Of all texts by the language model alone. Its plan is its own matter."""
        return n_texts * self.text_usd

    def seconds(self, n_texts: float, n_in_flight: int) -> float:
        return n_texts * self.n_requests * self.latency_s / n_in_flight


@dataclass(frozen=True)
class Ours:
    """Our way: a plan, a sample that the language model answers, a training, and then a core or several that read.

    train_s: Seconds of one core. texts_per_s: Of all cores. core_usd: Of an hour of one.
    """

    asking: Asking
    n_answers: int
    train_s: float
    texts_per_s: float
    core_usd: float
    n_cores: int = 1

    def usd(self, n_texts: float) -> float:
        return self.first_usd + n_texts * self.reading_usd

    @property
    def first_usd(self) -> float:
        """Before the first text is read."""
        return self.asking.plan_usd + self.asking.usd(self.n_answers) + self.train_s * self.core_usd / HOUR_S

    @property
    def reading_usd(self) -> float:
        """Of one text."""
        return self.n_cores * self.core_usd / HOUR_S / self.texts_per_s

    def seconds(self, n_texts: float, n_in_flight: int) -> float:
        """From the sentence to the rows. The plan is one request."""
        asked = self.asking.latency_s + self.asking.seconds(self.n_answers, n_in_flight)
        return asked + self.train_s + n_texts / self.texts_per_s

    def break_even(self) -> float:
        """The least number of texts from which on our way is not dearer; infinite where there is none."""
        saved = self.asking.text_usd - self.reading_usd
        return math.ceil(self.first_usd / saved) if saved > 0 else math.inf

    def times_as_fast(self, n_in_flight: int) -> float:
        """Texts that the cores read while the language model answers one, with so many requests in flight."""
        return self.texts_per_s * self.asking.seconds(1, n_in_flight)


def count_asking(
    plan: Plan, texts: Sequence[str], answers: Path, *, model: str, price: Price, latency_s: float
) -> Asking:
    """Counted as `falconer estimate` does: the requests as they would be sent, replies as long as recorded ones."""
    with tempfile.TemporaryDirectory() as folder, AnswerStore(Path(folder) / "answers.db") as store:
        store.put_many(read_exchange(answers))
        found = estimate(texts, plan, model=model, store=store)
    totals = (found.n_requests, found.n_input_tokens, found.n_output_tokens)
    n_requests, n_input, n_output = (one.expected / found.n_texts for one in totals)
    reply = json.dumps(plan.model_dump(mode="json", exclude_none=True))
    asked = count_message_tokens(plan_messages(plan.instruction, texts)), count_tokens(reply)
    return Asking(
        n_requests, n_input, n_output, price.cost_usd(n_input, n_output), price.cost_usd(*asked), latency_s
    )  # fmt: skip
