"""What the steps of a plan mean: a judge compares their instructions with those of the recorded primitives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jinja2 import Environment

from benchmarks.planning.ask import Recorder
from benchmarks.planning.corpora import Corpus, Primitive
from benchmarks.planning.score import Meaning
from spacy_falconer.plan import Plan, Step

JUDGE = Environment(trim_blocks=True).from_string(
    (Path(__file__).resolve().parent / "judge.jinja").read_text(encoding="utf8")
)


async def find_meanings(
    plan: Plan, corpus: Corpus, wanted: Sequence[str], judge: Recorder
) -> dict[str, Meaning | None]:
    """By step id the first primitive that the judge finds the step to mean; the `wanted` ones are tried first."""
    texts = plan.text_steps()
    found = await _find_all({step: _list_candidates(step, corpus, None) for step in texts}, plan, corpus, wanted, judge)
    candidates = {
        step: _list_candidates(step, corpus, source.primitive) if (source := found[step.for_each]) else []
        for step in plan.steps
        if step.for_each is not None
    }
    return found | await _find_all(candidates, plan, corpus, wanted, judge)


def name_unit(instruction: str, plan: Plan, corpus: Corpus) -> str:
    """A primitive's instruction in a plan over sentences: a statement about the passage becomes one about the sentence."""
    return instruction.replace(f"The {corpus.noun} ", "The sentence ") if plan.unit == "sentence" else instruction


def _list_candidates(step: Step, corpus: Corpus, source: str | None) -> list[Primitive]:
    return [primitive for primitive in corpus.primitives if (primitive.op, primitive.source) == (step.op, source)]


async def _find_all(
    candidates: Mapping[Step, Sequence[Primitive]], plan: Plan, corpus: Corpus, wanted: Sequence[str], judge: Recorder
) -> dict[str, Meaning | None]:
    async def find(step: Step) -> Meaning | None:
        likely = [primitive for primitive in candidates[step] if primitive.name in wanted]
        others = [primitive for primitive in candidates[step] if primitive.name not in wanted]
        return await _find_first(step, likely, plan, corpus, judge) or await _find_first(
            step, others, plan, corpus, judge
        )

    found = await asyncio.gather(*(find(step) for step in candidates))
    return {step.id: meaning for step, meaning in zip(candidates, found, strict=True)}


async def _find_first(
    step: Step, primitives: Iterable[Primitive], plan: Plan, corpus: Corpus, judge: Recorder
) -> Meaning | None:
    asked = [(primitive, name_unit(primitive.instruction, plan, corpus)) for primitive in primitives]
    verdicts = await asyncio.gather(*(ask_judge(step, gold, judge) for _, gold in asked))
    for (primitive, _), verdict in zip(asked, verdicts, strict=True):
        if verdict in ("same", "opposite"):
            return Meaning(primitive.name, is_opposite=verdict == "opposite")
    return None


async def ask_judge(step: Step, gold: str, judge: Recorder) -> str:
    """same, opposite or different. The judge sees the two instructions, and nothing else."""
    choices = ["same", "opposite", "different"] if step.op == "get_label" else ["same", "different"]
    schema = {"type": "object", "properties": {"verdict": {"type": "string", "enum": choices}},
              "required": ["verdict"], "additionalProperties": False}  # fmt: skip
    content = JUDGE.render(op=step.op, ours=step.instruction, gold=gold).strip()
    chat = judge.about(f"{step.instruction} | {gold}")
    reply = await chat.ask([{"role": "user", "content": content}], schema=schema, step="judge")
    return json.loads(reply.content)["verdict"]
