"""What a training config calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spacy.language import Language

from spacy_falconer.pipeline.instructed import InstructedPipe
from spacy_falconer.plan import Plan, read_plan

FACTORIES = ("falconer_label", "falconer_span")


def make_add_instructions(plan: Path | None) -> Callable[[Language], None]:
    """For `[initialize.after_init]`: add a plan's instructions to the components, sourced ones included.

    plan (Path): The plan's file. A trained pipeline's config names none any more.
    """

    def add_plan_instructions(nlp: Language) -> None:
        if plan is not None:
            add_instructions(nlp, read_plan(plan))

    return add_plan_instructions


def add_instructions(nlp: Language, plan: Plan) -> None:
    """Let the pipeline read those of the plan's instructions that it does not hold. A step's id is its key.

    A step that runs for each passage is read when it runs, with the passage filled in.
    """
    for factory, op in (("falconer_label", "get_label"), ("falconer_span", "get_span")):
        pipe = find_component(nlp, factory)
        for step in plan.text_steps(op) if pipe is not None else ():
            if pipe.cfg["instructions"].get(step.id) != step.instruction:
                pipe.add_instruction(step.id, step.instruction, nlp=nlp)


def find_instructed(nlp: Language) -> list[InstructedPipe]:
    """The pipeline's components that answer instructions, those for labels first."""
    return [pipe for factory in FACTORIES for pipe in find_components(nlp, factory)]


def find_components(nlp: Language, factory: str) -> list[InstructedPipe]:
    """The pipeline's components of one factory, whatever their names."""
    return [nlp.get_pipe(name) for name in nlp.component_names if nlp.get_pipe_meta(name).factory == factory]


def find_component(nlp: Language, factory: str) -> InstructedPipe | None:
    """The one that is meant where nothing else is said: the first."""
    return next(iter(find_components(nlp, factory)), None)
