"""Get answers about texts: those in the store, and others from a language model or a user's own annotator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy_falconer.errors import AnswerError, ServerError
from spacy_falconer.llm.annotate import partial_answers, recorded_answers
from spacy_falconer.llm.ask import ask_answers
from spacy_falconer.llm.batch import OpenBatch, ask_in_batch, find_texts_under_way
from spacy_falconer.llm.redact import Redactor
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import Plan
from spacy_falconer.types import Answer
from spacy_falconer.workflow.endpoint import Endpoint, run_to_end
from spacy_falconer.workflow.own.annotator import Annotator, ask_annotator

N_EXAMPLES_FROM = 4  # Texts to answer first for each example that is to be shown.


@dataclass
class Asker:
    """Gets a plan's answers about texts, in any number of calls. What stops it is kept in `stopped`, not raised.

    n_shots: How many answers to show with each text, chosen from those about the texts that were asked first.
    tick: Called with the number of texts that were settled since the last call.
    watch: Called with the batches under way, if the endpoint asks in batches.
    annotator: Asked in place of the language model.
    stopped: Why nothing more is asked: the budget, or the endpoint. Answers from before are in the store.
    """

    plan: Plan
    store: AnswerStore
    endpoint: Endpoint
    redact: Redactor | None = None
    n_shots: int = 0
    tick: Callable[[int], Any] = lambda n_texts: None
    watch: Callable[[list[OpenBatch]], Any] = lambda batches: None
    annotator: Annotator | None = None
    stopped: ServerError | None = None
    _settled: set[str] = field(default_factory=set)
    _examples: list[Answer] = field(default_factory=list)

    def ask(self, texts: Sequence[str]) -> list[Answer]:
        """Return the answers to the texts, each text once, without those that failed or came after the stop."""
        left = [text for text in dict.fromkeys(texts) if text not in self._settled]
        if len(self._examples) < self.n_shots:
            first = left[: N_EXAMPLES_FROM * self.n_shots]
            self._settle(first)
            self._examples = choose_examples(self.read(first), self.n_shots)
            left = left[len(first) :]
        self._settle(left)
        return self.read(texts)

    def read(self, texts: Sequence[str]) -> list[Answer]:
        """Return the answers in the store, without asking. An annotator's may be incomplete."""
        read = recorded_answers if self.annotator is None else partial_answers
        return list(read(texts, self.plan, self.store, model=self.endpoint.model))

    def find_failed(self, texts: Sequence[str]) -> dict[str, str]:
        """Return the texts to which the model or annotator has no answers, with the reason."""
        answered = {answer.text for answer in self.read(texts)}
        unanswered = [text for text in dict.fromkeys(texts) if text not in answered]
        asked = self.endpoint.model_name if self.annotator is None else self.annotator.name
        return self.store.failures(unanswered, model=asked)

    def _settle(self, texts: Sequence[str]) -> None:
        if not texts or self.stopped is not None:
            return
        if self.annotator is not None:
            ask_annotator(texts, self.plan, self.annotator, self.store, tick=self.tick)
            self._settled.update(texts)
            return
        try:
            run_to_end(self._ask(texts))
        except ServerError as error:
            self.stopped = error
        self._settled.update(texts)

    async def _ask(self, texts: Sequence[str]) -> None:
        settings = {"tick": self.tick, "examples": self._examples, "accept": self.endpoint.model, "redact": self.redact}
        with AnswerStore(self.store.path) as own:  # A connection belongs to its thread.
            if self.endpoint.is_batch:
                name, ledger = self.endpoint.model_name, self.endpoint.ledger
                await ask_in_batch(texts, self.plan, name, own, ledger=ledger, watch=self.watch, **settings)
                return
            check_batches(own, texts, model=self.endpoint.model)
            async with self.endpoint.open_chat() as chat:
                await ask_answers(texts, self.plan, chat, own, **settings)


def check_batches(store: AnswerStore, texts: Sequence[str], *, model: str | None) -> None:
    """Check that no batches under way ask the same: it would be paid for twice.

    RAISES (AnswerError): Batches under way ask about some of the texts.
    """
    if n_texts := len(find_texts_under_way(store, model=model).intersection(texts)):
        raise AnswerError(
            f"Batches under way ask about {n_texts} of these texts already; they would be paid for twice. Go on with "
            f"them by --batch, or cancel them: `answers batches --store {store.path} --cancel`."
        )


def choose_examples(answers: Sequence[Answer], n: int) -> list[Answer]:
    """Choose the answers with the most labels that are true and passages that were found; the shortest texts if equal."""
    return sorted(answers, key=lambda answer: (-_count_hits(answer), len(answer.text)))[:n]


def _count_hits(answer: Answer) -> int:
    return sum(answer.labels.values()) + sum(bool(quotes) for quotes in answer.spans.values())
