"""Callbacks for training configs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spacy.language import Language

from spacy_falconer.pipeline.components import FACTORIES, find_first
from spacy_falconer.plan import Plan, read_plan


def make_add_instructions(plan: Path | None) -> Callable[[Language], None]:
    """For `[initialize.after_init]`: add a plan's instructions to the components, sourced ones included.

    plan (Path): The plan's file. The config of a trained pipeline no longer names one.
    """

    def add_plan_instructions(nlp: Language) -> None:
        if plan is not None:
            add_instructions(nlp, read_plan(plan))

    return add_plan_instructions


def add_instructions(nlp: Language, plan: Plan) -> None:
    """Add those of the plan's instructions that the pipeline does not hold yet. A step's id is its instruction's key.

    The instruction of a step that runs for each passage is read when the step runs, with the passage filled in.
    """
    for op in FACTORIES:
        pipe = find_first(nlp, op)
        for step in plan.text_steps(op) if pipe is not None else ():
            if pipe.cfg["instructions"].get(step.id) != step.instruction:
                pipe.add_instruction(step.id, step.instruction, nlp=nlp)
