"""What a person is asked about a text: the steps that the plan reaches there and that no person has answered yet."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

from spacy_falconer.grounding import find_quotes
from spacy_falconer.llm.store import HUMAN, AnswerStore, Value
from spacy_falconer.plan import Plan, Step
from spacy_falconer.workflow.scoring.said import FIRST, Said, answers_reached, list_reached


@dataclass(frozen=True)
class Questions:
    """What a person is asked about a text.

    answers: Earlier answers to these steps, by their ids. settled: People's answers to other steps.
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
    """Return the steps to ask a person about.

    A step is left out if its `when` is false both by what the pipeline says and by what was answered; people's answers
    count in both. What people have answered is not asked again, unless a label of the same `one_of` is open: the choice
    is among all of them.
    found: What the pipeline says.
    model (str): Whose answers to use besides people's; by default anyone's.
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
    """Return the steps that are not answered, and all labels of a group if one of them is not."""
    groups = {step.one_of for step in steps if step.one_of and step.id not in answered}
    return tuple(step for step in steps if step.id not in answered or step.one_of in groups)


def find_answers(text: str, plan: Plan, store: AnswerStore | None, *, model: str | None = None) -> dict[str, Value]:
    """Return the store's answers about a text, by the steps' ids."""
    steps = plan.text_steps() if store is not None else ()
    found = {step.id: store.find(text, step.op, step.instruction, model=model) for step in steps}
    return {key: value for key, value in found.items() if value is not None}


def is_reviewed(text: str, plan: Plan, store: AnswerStore) -> bool:
    """Return whether people have answered all steps that the plan reaches by their answers."""
    return answers_reached(plan, correct(Said(), text, find_answers(text, plan, store, model=HUMAN)))


def correct(said: Said, text: str, answers: Mapping[str, Value]) -> Said:
    """Return what was said, replaced by answers where there are any."""
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
