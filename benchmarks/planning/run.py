"""From a sentence to its score: planned, judged, run beside the gold plan."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.planning.ask import MissingReply, Recorder
from benchmarks.planning.corpora import Benchmark, Corpus, Item
from benchmarks.planning.judge import find_meanings
from benchmarks.planning.score import Meaning, list_choices, make_gold, run_plan, score_tables
from spacy_falconer.errors import PlanError, UnsupportedPlanError
from spacy_falconer.llm.planner import make_plan
from spacy_falconer.plan import Plan

# Source: the paper's own sentence, arXiv 2510.01427. It has no gold plan: it is shown, not scored.
PAPER = {"id": "paper", "corpus": "reviews", "pattern": "paper", "split": "earlier",
         "instruction": "Extract all laptop prices from positive Amazon reviews"}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of one sentence. `plan` is None where the reply was refused, or says that it is unsupported.

    f1: None where a reply or a verdict is not recorded yet.
    """

    item: Item
    plan: Plan | None
    is_valid: bool = True
    note: str = ""
    meanings: Mapping[str, Meaning | None] | None = None
    f1: float | None = None


async def plan_items(items: Sequence[Item], benchmark: Benchmark, replies: Recorder) -> list[Outcome]:
    """The plans. All sentences are sent at once."""
    return await asyncio.gather(*(plan_item(item, benchmark.corpora[item["corpus"]], replies) for item in items))


async def plan_item(item: Item, corpus: Corpus, replies: Recorder) -> Outcome:
    try:
        plan = await make_plan(item["instruction"], corpus.texts, replies.about(item["id"]))
        return Outcome(item, plan)
    except MissingReply:
        return Outcome(item, None, is_valid=False, note="not planned yet")
    except UnsupportedPlanError as error:
        return Outcome(item, None, note=f"unsupported: {error}")
    except PlanError as error:
        return Outcome(item, None, is_valid=False, note=f"refused: {error}")


async def judge_outcomes(outcomes: Sequence[Outcome], benchmark: Benchmark, judge: Recorder) -> list[Outcome]:
    """The outcomes with their scores."""
    scored = (judge_outcome(outcome, benchmark.corpora[outcome.item["corpus"]], judge) for outcome in outcomes)
    return await asyncio.gather(*scored)


async def judge_outcome(outcome: Outcome, corpus: Corpus, judge: Recorder) -> Outcome:
    """A plan one of whose steps means no primitive scores 0."""
    gold_is_unsupported = bool(outcome.item["gold"].get("unsupported"))
    if outcome.note == "not planned yet":
        return outcome
    if outcome.plan is None or gold_is_unsupported:
        agree = outcome.is_valid and outcome.plan is None and gold_is_unsupported
        return replace(outcome, f1=float(agree))
    if outcome.plan.unit == "sentence" and not corpus.sentences:
        return replace(outcome, f1=0.0, note="takes sentences for texts, of which nothing is recorded")
    wanted = [step["id"] for step in outcome.item["gold"]["steps"]]
    try:
        meanings = await find_meanings(outcome.plan, corpus, wanted, judge)
    except MissingReply:
        return replace(outcome, note="not judged yet")
    return score_outcome(replace(outcome, meanings=meanings), corpus)


def score_outcome(outcome: Outcome, corpus: Corpus) -> Outcome:
    """The outcome with its score, the steps' meanings known."""
    assert outcome.plan is not None and outcome.meanings is not None
    meanings = {key: meaning for key, meaning in outcome.meanings.items() if meaning is not None}
    strange = [step.instruction for step in outcome.plan.steps if step.id not in meanings]
    if strange:
        return replace(outcome, f1=0.0, note=f"means no primitive: {strange}")
    gold, gold_meanings = make_gold(outcome.item, corpus.primitives)
    tables = run_plan(outcome.plan, meanings, corpus), run_plan(gold, gold_meanings, corpus)
    return replace(outcome, f1=score_tables(*tables, list_choices(gold, gold_meanings)))
