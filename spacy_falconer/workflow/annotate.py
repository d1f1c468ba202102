"""Texts chosen, answered and grounded, ready to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import spacy
from spacy.tokens import Doc

from spacy_falconer.corpus.choose import choose_random
from spacy_falconer.corpus.docbin import GroundingReport, make_docs, split_docs
from spacy_falconer.corpus.read import read_units
from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.annotate import recorded_answers, require_answers
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import Plan
from spacy_falconer.types import Answer, Record
from spacy_falconer.workflow.answers import read_answers

LANGUAGE = "en"
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Annotated:
    """Answered texts as docs, how their quotes were placed, and who answered."""

    docs: list[Doc]
    report: GroundingReport
    models: list[str]


def annotate(
    plan: Plan,
    records: Iterable[Record],
    store: AnswerStore,
    *,
    n_sample: int,
    recorded_only: bool,
    model: str | None = None,
    seed: int = 0,
) -> Annotated:
    """Choose texts of the corpus, get their answers and place the quotes.

    n_sample (int): How many texts at most.
    recorded_only (bool): Choose among the texts that the store answers already, and ask nobody.
    RAISES (AnswerError): `recorded_only`, and the store answers the plan for none of the texts.
    RAISES (ServerError): An answer is missing and no endpoint is set.
    """
    records = read_units(records, plan.unit)
    if recorded_only:
        recorded = recorded_answers((record.text for record in records), plan, store, model=model)
        answers = choose_random(recorded, n_sample, seed=seed)
        check_any(answers, plan)
    else:
        chosen = choose_random(records, n_sample, seed=seed)
        answers = list(require_answers([record.text for record in chosen], plan, store, model=model))
    return ground(answers, plan)


def ground(answers: Sequence[Answer], plan: Plan) -> Annotated:
    """Place the answers' quotes in their texts."""
    docs, report = make_docs(answers, plan, spacy.blank(LANGUAGE))
    return Annotated(docs, report, sorted({answer.model for answer in answers}))


def check_any(answers: Sequence[Answer], plan: Plan) -> None:
    if not answers:
        asked = "; ".join(repr(step.instruction) for step in plan.steps)
        raise AnswerError(
            f"The store answers the plan's instructions for none of the corpus's texts. The instructions: {asked}. "
            "Import recorded answers with the same words (`answers import FILE --store ...`), or set OPENAI_BASE_URL "
            "and OPENAI_API_KEY and annotate without --recorded-only."
        )


def hold_out(docs: Sequence[Doc], plan: Plan, test_file: Path | None, *, seed: int) -> tuple[list[Doc], list[Doc]]:
    """Answers to learn from and answers to test on; no text is among both.

    test_file (Path): Recorded answers to test on. Where there are none to the plan's instructions, a fifth of `docs`.
    """
    tests = answered_docs(test_file, plan) if test_file is not None else []
    if not tests:
        return split_docs(docs, dev_share=TEST_SHARE, seed=seed + 1)
    tested = {doc.text for doc in tests}
    return [doc for doc in docs if doc.text not in tested], tests


def answered_docs(path: Path, plan: Plan) -> list[Doc]:
    """The texts of a file of answers of which the plan's instructions were asked."""
    docs, _ = read_answers(path, plan, spacy.blank(LANGUAGE))
    return [doc for doc in docs if doc.cats or doc.spans["sc"].attrs["asked"]]
