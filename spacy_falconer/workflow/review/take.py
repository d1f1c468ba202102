"""Take people's corrections into the store, where they take precedence over the language model's answers."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import spacy

from spacy_falconer.corpus.docbin import LANGUAGE
from spacy_falconer.errors import AnswerError
from spacy_falconer.grounding import find_quotes
from spacy_falconer.llm.store import HUMAN, AnswerStore, Value
from spacy_falconer.plan import Plan
from spacy_falconer.types import FIELDS, Answer, CharSpan
from spacy_falconer.workflow.files import whole
from spacy_falconer.workflow.review.decide import Decision, decide, find_usual, keep_last, settle
from spacy_falconer.workflow.review.files import Found, Reject, read_works
from spacy_falconer.workflow.review.work import ANSWERED, Asked


@dataclass(frozen=True)
class Taken:
    """What people's work led to.

    outcomes: How many records were answered, rejected, skipped, or are still open.
    n_changed: Answers that differ from what the store said before.
    n_superseded: Answers that the same person replaced by a later one.
    n_new_texts: Texts to which the store held no answer.
    n_misaligned: Passages that begin or end within a token: they are kept, but a model can never find them.
    foreign: Instructions that the plan does not have, with the number of answers to them. They are kept, too.
    rejects: What was not taken, with the reasons.
    answers: What was taken.
    """

    n_texts: int
    n_answers: int
    n_changed: int
    n_superseded: int
    n_new_texts: int
    n_misaligned: int
    outcomes: Counter[str] = field(default_factory=Counter)
    foreign: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


def take_reviews(plan: Plan, paths: Sequence[Path], store: AnswerStore) -> Taken:
    """Read what people decided and keep it in the store as theirs, all of it or none. Later decisions replace earlier ones.

    A record that `review export` wrote says itself what it asked; in others, the keys are the plan's step ids.
    RAISES (AnswerError): A file cannot be read, or none of the records.
    """
    found, rejects = split_rejects(read_works(paths))
    usual = find_usual([one.work for one in found if one.work.outcome == ANSWERED], plan)
    return take_works(found, rejects, plan, store, usual=usual)


def take_works(
    found: Sequence[Found], rejects: list[Reject], plan: Plan, store: AnswerStore, *, usual: Asked, model: str = HUMAN
) -> Taken:
    """Keep in the store what people's work says, all of it or none. It replaces what they said before.

    rejects: What could not be read.
    usual: What was asked if a record does not say so itself.
    model (str): Whose answers they are.
    RAISES (AnswerError): None of the records could be read.
    """
    decisions, wrong = decide_all([one for one in found if one.work.outcome == ANSWERED], plan, usual)
    last, n_superseded = keep_last(decisions)
    settled, undecided = settle(last)
    answers = [replace(answer, model=model) for answer in settled]
    rejects = [*rejects, *wrong, *undecided]
    if rejects and not found:
        raise AnswerError(f"None of the {len(rejects)} records could be read. {rejects[0].where}: {rejects[0].reason}")
    before = [count_before(answer, store) for answer in answers]
    store.put_many(answers, replace=True)
    return Taken(
        n_texts=len(answers),
        n_answers=sum(len(answer.labels) + len(answer.spans) for answer in answers),
        n_changed=sum(n_changed for n_changed, _ in before),
        n_superseded=n_superseded,
        n_new_texts=sum(not was_known for _, was_known in before),
        n_misaligned=count_misaligned(answers),
        outcomes=Counter(one.work.outcome for one in found),
        foreign=count_foreign(answers, plan),
        rejects=rejects,
        answers=answers,
    )


def split_rejects(found: Iterable[Found | Reject]) -> tuple[list[Found], list[Reject]]:
    both = list(found)
    return [one for one in both if isinstance(one, Found)], [one for one in both if isinstance(one, Reject)]


def decide_all(found: Iterable[Found], plan: Plan, usual: Asked) -> tuple[list[Decision], list[Reject]]:
    decisions, rejects = [], []
    for one in found:
        try:
            decisions.append(decide(one, plan, usual))
        except AnswerError as error:
            rejects.append(Reject(one.where, str(error), one.record))
    return decisions, rejects


def list_said(answer: Answer) -> list[tuple[str, str, Value]]:
    """Return an answer's primitives, instructions and values."""
    return [(op, words, value) for op in FIELDS for words, value in answer.said(op).items()]


def count_before(answer: Answer, store: AnswerStore) -> tuple[int, bool]:
    """Return how many of the answers differ from those in the store, and whether it has any of them."""
    before = [(value, store.find(answer.text, op, words)) for op, words, value in list_said(answer)]
    known = [(now, then) for now, then in before if then is not None]
    return sum(places(answer.text, now) != places(answer.text, then) for now, then in known), bool(known)


def places(text: str, value: Value) -> bool | set[CharSpan | None]:
    return value if isinstance(value, bool) else set(find_quotes(text, value))


def count_misaligned(answers: Iterable[Answer]) -> int:
    nlp, n_misaligned = spacy.blank(LANGUAGE), 0
    for answer in answers:
        quotes = [quote for said in answer.spans.values() for quote in said]
        doc = nlp.make_doc(answer.text) if quotes else None
        n_misaligned += sum(doc.char_span(one.start, one.start + len(one.quote)) is None for one in quotes)
    return n_misaligned


def count_foreign(answers: Iterable[Answer], plan: Plan) -> Counter[str]:
    own = {(step.op, step.instruction) for step in plan.steps}
    return Counter(words for answer in answers for op, words, _ in list_said(answer) if (op, words) not in own)


def write_rejects(rejects: Sequence[Reject], path: Path, *, store: Path) -> Path | None:
    """Write what was not taken, one per line with its reason, beside the file, or beside the store if the file's folder is
    read-only. It replaces an earlier list.

    RETURNS (Path | None): The list's file; None if everything was taken.
    """
    name = path.stem + ".rejects.jsonl"
    file = path.with_name(name) if os.access(path.parent, os.W_OK) else store.with_name(name)
    if not rejects:
        file.unlink(missing_ok=True)
        return None
    with whole(file) as part:
        part.write_text("".join(json.dumps(vars(one)) + "\n" for one in rejects), encoding="utf8")
    return file
