"""Bring labelled data into the store, as answers that no language model needs to be asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.annotate import partial_answers
from spacy_falconer.llm.store import HUMAN, AnswerStore
from spacy_falconer.plan import Plan
from spacy_falconer.plan.show import show_ids
from spacy_falconer.types import FIELDS
from spacy_falconer.workflow.annotate import ground
from spacy_falconer.workflow.choose import RANDOM, Chosen
from spacy_falconer.workflow.own.forms import choose_form, read_labelled
from spacy_falconer.workflow.own.names import Names, parse_renames
from spacy_falconer.workflow.review.decide import find_usual
from spacy_falconer.workflow.review.files import Found
from spacy_falconer.workflow.review.take import Taken, split_rejects, take_works
from spacy_falconer.workflow.review.work import ANSWERED, OPEN, Work
from spacy_falconer.workflow.written import write_annotated


@dataclass(frozen=True)
class Brought:
    """What was brought from a file.

    texts: The texts that are answered now.
    counts: By step, for how many texts it is answered, and for how many of them with true or a passage.
    unanswered: Steps that the file says nothing about.
    foreign: Labels that belong to no step, with how often they occur.
    missing: Labels that the user named but the file does not have.
    """

    form: str
    taken: Taken
    texts: list[str]
    counts: dict[str, tuple[int, int]]
    unanswered: list[str]
    foreign: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)


def bring_answers(
    path: Path,
    plan: Plan,
    store: AnswerStore,
    *,
    names: Iterable[str] = (),
    form: str | None = None,
    complete: bool | None = None,
    model: str = HUMAN,
    text_field: str = "text",
) -> Brought:
    """Keep a file's labels as answers to the plan's steps, all of them or none. They replace earlier answers by the same model.

    names: "LABEL=STEP", if the file's label is not the step's id except for case and signs.
    form (str): One of `FORMS`; by default the one that the file looks like.
    complete (bool): True: for each step that the file has a label of, what is not labelled is not there, in any text.
        False: a step is known only for texts where it is labelled. By default as such files are meant: see docs/own.md.
    model (str): Whose answers they are; people's take precedence over a language model's.
    text_field (str): The field of the text in Label Studio's tasks.
    RAISES (AnswerError): The file cannot be read, or says nothing about the plan's steps.
    """
    known = Names(plan, parse_renames(names, plan))
    form = choose_form(path, form, has_plan=True)
    read = read_labelled(path, form, known, complete=complete, text_field=text_field)
    found, rejects = split_rejects(read)
    done = [replace(one, work=limit(one.work, plan, complete)) for one in found]
    works = [one.work for one in done if one.work.outcome == ANSWERED]
    usual = {**find_usual(works, plan), **(known.usual if complete else {})}
    if not usual and (found or not rejects) and not any(one.work.note for one in found):
        raise explain_nothing(path, plan, known, found)
    taken = take_works(done, rejects, plan, store, usual=usual, model=model)
    counts = count_answers(taken, plan)
    unanswered = [step.id for step in plan.text_steps() if step.id not in counts]
    texts = [answer.text for answer in taken.answers]
    return Brought(form, taken, texts, counts, unanswered, known.foreign, known.missing)


def limit(work: Work, plan: Plan, complete: bool | None) -> Work:
    """Return a text's work with the steps that it is about set by `complete`, if that is given."""
    if complete is None or work.note is not None or work.outcome != ANSWERED:
        return work
    if complete:
        return replace(work, asked=(), offered=(), shown=tuple(FIELDS))
    stated = [step.id for step in plan.text_steps("get_label") if step.id in (*work.asked, *work.offered)]
    said = dict.fromkeys([*stated, *work.labels, *(mark.key for mark in work.marks)])
    return replace(work, asked=tuple(said), outcome=ANSWERED if said else OPEN)


def explain_nothing(path: Path, plan: Plan, names: Names, found: Sequence[Found]) -> AnswerError:
    labels = show_ids(names.foreign)
    steps = show_ids(f"{step.id} ({step.op})" for step in plan.text_steps())
    return AnswerError(
        f"{path} says nothing about the plan's steps: its {len(found)} texts have the labels {labels}, expected some of "
        f"the steps {steps}. Say which label is which step by --map LABEL=STEP."
    )


def count_answers(taken: Taken, plan: Plan) -> dict[str, tuple[int, int]]:
    counts = {}
    for step in plan.steps:
        answers = [answer.said(step.op).get(step.instruction) for answer in taken.answers]
        if any(answer is not None for answer in answers):
            counts[step.id] = (sum(answer is not None for answer in answers), sum(map(bool, answers)))
    return counts


def write_brought(
    texts: Sequence[str],
    plan: Plan,
    store: AnswerStore,
    output: Path,
    test_output: Path | None = None,
    *,
    seed: int = 0,
) -> tuple[int, int]:
    """Write all that the store answers about some texts: a part to learn from and, if wanted, a part to test on.

    RETURNS (tuple[int, int]): How many texts are in each part.
    """
    answers = list(partial_answers(texts, plan, store))
    annotated = ground(answers, plan, [Chosen(one.text, RANDOM) for one in answers], is_recorded=True)
    return write_annotated(annotated, plan, output, test_output, seed=seed)
