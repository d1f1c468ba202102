"""What a person is asked of a text: the steps that the plan comes to there, and that no person has answered yet."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

from spacy_falconer.grounding import find_quotes
from spacy_falconer.llm.store import HUMAN, AnswerStore, Value
from spacy_falconer.plan import Plan, Step
from spacy_falconer.workflow.scoring.said import FIRST, Said, answers_reached, list_reached


@dataclass(frozen=True)
class Questions:
    """What a person is asked of a text.

    answers: What was answered before to these steps, by their ids. settled: What people have answered to others.
    """

    steps: tuple[Step, ...]
    answers: Mapping[str, Value] = field(default_factory=dict)
    settled: Mapping[str, Value] = field(default_factory=dict)

    @property
    def keys(self) -> set[str]:
        return {step.id for step in self.steps}


def find_questions(
    plan: Plan, found: Said, text: str, store: AnswerStore | None, *, model: str | None = None
) -> Questions:
    """The steps to ask a person about.

    A step is left out where its `when` is false both by what the pipeline says and by what was answered. What people
    have answered counts in both, and is not asked again, unless a label of its `one_of` is open: a choice is made among all.
    found: What the pipeline says.
    model (str): Whose answers, beside people's; by default anyone's.
    """
    people = find_answers(text, plan, store, model=HUMAN)
    answers = {**find_answers(text, plan, store, model=model), **people}
    sides = [correct(found, text, said) for said in (people, answers)]
    reached = {step.id for side in sides for step in list_reached(plan, side)}
    steps = list_open([step for step in plan.text_steps() if step.id in reached], people)
    keys = {step.id for step in steps}
    return Questions(
        steps,
        {key: value for key, value in answers.items() if key in keys},
        {key: value for key, value in people.items() if key not in keys},
    )


def list_open(steps: Sequence[Step], answered: Container[str]) -> tuple[Step, ...]:
    """The steps that are not answered, and all labels of a group of which one is not."""
    groups = {step.one_of for step in steps if step.one_of and step.id not in answered}
    return tuple(step for step in steps if step.id not in answered or step.one_of in groups)


def find_answers(text: str, plan: Plan, store: AnswerStore | None, *, model: str | None = None) -> dict[str, Value]:
    """What the store says of a text, by the steps' ids."""
    steps = plan.text_steps() if store is not None else ()
    found = {step.id: store.find(text, step.op, step.instruction, model=model) for step in steps}
    return {key: value for key, value in found.items() if value is not None}


def is_reviewed(text: str, plan: Plan, store: AnswerStore) -> bool:
    """Whether people have answered all that the plan comes to by their answers."""
    return answers_reached(plan, correct(Said(), text, find_answers(text, plan, store, model=HUMAN)))


def correct(said: Said, text: str, answers: Mapping[str, Value]) -> Said:
    """What was said, with answers in its place where there are any."""
    labels = {key: value for key, value in answers.items() if isinstance(value, bool)}
    spans = {
        key: frozenset(
            (FIRST, number) if place is None else (place.start, place.end)
            for number, place in enumerate(find_quotes(text, quotes))
        )
        for key, quotes in answers.items()
        if not isinstance(quotes, bool)
    }
    scores = {key: score for key, score in said.scores.items() if key not in labels}
    return Said({**said.labels, **labels}, {**said.spans, **spans}, scores)
