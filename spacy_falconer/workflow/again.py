"""A second reading: ask a language model the same about the same texts, to see how far it agrees with itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from spacy_falconer.corpus.choose import choose_random
from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.annotate import partial_answers
from spacy_falconer.llm.batch import OpenBatch
from spacy_falconer.llm.redact import Redactor
from spacy_falconer.llm.store import HUMAN, AnswerStore
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.annotate import Annotated, check_some, ground
from spacy_falconer.workflow.ask import Asker
from spacy_falconer.workflow.choose import RANDOM, Chosen, Sampling
from spacy_falconer.workflow.endpoint import Endpoint
from spacy_falconer.workflow.files import digest
from spacy_falconer.workflow.memory import Memory
from spacy_falconer.workflow.plan import dump_questions


def annotate_again(
    plan: Plan,
    docs: Sequence[Doc],
    store: AnswerStore,
    *,
    sampling: Sampling,
    endpoint: Endpoint | None = None,
    redact: Redactor | None = None,
    memory: Path | None = None,
    tick: Callable[[int], Any] = lambda n_texts: None,
    watch: Callable[[list[OpenBatch]], Any] = lambda batches: None,
) -> Annotated:
    """Ask a language model again about texts that were answered before. Other arguments are as in `annotate`.

    docs: The first reading; if it has more texts than are wanted, a random sample is read.
    store: A separate one, as a store answers each question once. Answers from an earlier, stopped run of this are used.
    endpoint: By default the model is the one that the first reading is by.
    memory (Path): The file that notes that this reading was begun, so that it can go on after a stop.
    RAISES (AnswerError): There is nothing to read again, or the store answers some of it already.
    RAISES (ServerError): There is no answer at all, and none could be had.
    """
    chosen = [choose_same(doc) for doc in choose_random(docs, sampling.n_texts, seed=sampling.seed)]
    texts = [one.text for one in chosen]
    if not texts:
        raise AnswerError("There are no answers to the plan's instructions to read again. Name a file that has some.")
    endpoint = endpoint or Endpoint()
    endpoint = replace(endpoint, model=endpoint.model or find_reader(docs))
    begun = Memory(
        memory, digest("again", endpoint.model_name, str(store.path.resolve()), dump_questions(plan), *texts)
    )
    begun.recall("begun", lambda: check_unanswered(texts, plan, store, endpoint))
    asker = Asker(plan, store, endpoint, redact, sampling.n_shots, tick, watch)
    answers, failed = asker.ask(texts), asker.find_failed(texts)
    check_some(answers, failed, asker.stopped)
    return ground(answers, plan, chosen, failed=failed, stopped=asker.stopped)


def choose_same(doc: Doc) -> Chosen:
    """Return a text as chosen in the first reading, with the same strategy and weight."""
    return Chosen(doc.text, str(doc.user_data.get("chosen", RANDOM)), doc.user_data.get("weight"))


def find_reader(docs: Sequence[Doc]) -> str | None:
    """Return the language model that gave most of the answers; None if all are people's, or no model is noted."""
    models = Counter(str(doc.user_data.get("model") or HUMAN) for doc in docs)
    return next((model for model, _ in models.most_common() if model != HUMAN), None)


def check_unanswered(texts: Sequence[str], plan: Plan, store: AnswerStore, endpoint: Endpoint) -> bool:
    """RAISES (AnswerError): The store answers some of the texts already, so that no one would be asked about them."""
    if n_answered := sum(1 for _ in partial_answers(texts, plan, store, model=endpoint.model)):
        raise AnswerError(
            f"The store {str(store.path)!r} answers {n_answered} of the {len(texts)} texts already, and what it answers is "
            "not asked again. A second reading needs a store of its own: name one that does not exist yet by --store."
        )
    return True
