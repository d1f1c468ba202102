"""Read the answers to a plan's instructions from the store, without asking a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from spacy_falconer.llm.forms import prompt_version
from spacy_falconer.llm.store import AnswerStore, Question
from spacy_falconer.plan import Plan
from spacy_falconer.types import FIELDS, Answer

NOBODY = ""  # The name of no model, so that no model's failures count as settled.


def recorded_answers(
    texts: Iterable[str], plan: Plan, store: AnswerStore, *, model: str | None = None, version: str | None = None
) -> Iterator[Answer]:
    """Yield the answers about the texts that the store answers in full, each text once.

    model (str): Whose answers; by default anyone's.
    version (str): Of the prompt (`forms.prompt_version`). Answers to other versions are left out; by default, none are.
    """
    for text in dict.fromkeys(texts):
        answer = read_answer(text, plan, store, model=model, version=version)
        if answer is not None:
            yield answer


def read_answer(
    text: str, plan: Plan, store: AnswerStore, *, model: str | None, version: str | None = None
) -> Answer | None:
    """Return what the store holds about a text and its passages, or None if it lacks an answer that the plan asks for."""
    labels, spans = ([step.instruction for step in plan.text_steps(op)] for op in FIELDS)
    return store.read(text, labels=labels, spans=spans, model=model, version=version)


def partial_answers(
    texts: Iterable[str], plan: Plan, store: AnswerStore, *, model: str | None = None
) -> Iterator[Answer]:
    """Yield the answers about texts of which the store holds at least some, each text once. The rest counts as not asked.

    model (str): Whose answers; by default anyone's.
    """
    asked = [Question(step.op, step.instruction) for op in FIELDS for step in plan.text_steps(op)]
    for text in dict.fromkeys(texts):
        missing = set(store.open_questions(text, asked, model=NOBODY, accept=model))
        labels, spans = ([one.instruction for one in asked if one.op == op and one not in missing] for op in FIELDS)
        answer = store.read(text, labels=labels, spans=spans, model=model) if labels or spans else None
        if answer is not None:
            yield answer


def is_full(answer: Answer, plan: Plan) -> bool:
    """Return whether an answer covers all that the plan asks of a text."""
    return all(step.instruction in answer.said(step.op) for step in plan.text_steps())


def count_stale(texts: Iterable[str], plan: Plan, store: AnswerStore, *, model: str | None = None) -> int:
    """Count the answers to a plan's questions that would be asked for again because the prompts have changed."""
    questions = [(step.op, step.instruction) for step in plan.steps]
    return store.count_stale(questions, version=prompt_version(), model=model, texts=texts)
