"""How well sentences are planned: each plan is run over recorded answers beside a gold plan.

    python benchmarks/planning/run.py --items dev.jsonl --answers ANSWERS --corpora CORPORA

The planner's replies and the judgements of what its steps mean are read from replies.jsonl and judgements.jsonl beside
this file. With --model, and OPENAI_BASE_URL and OPENAI_API_KEY set, those that are missing are asked for and kept.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ask import Endpoint, Recorder
from jinja2 import Environment
from score import OPS, Meaning, make_gold, run_plan, score_tables

from spacy_falconer.errors import PlanError, UnsupportedPlanError
from spacy_falconer.llm.planner import make_plan
from spacy_falconer.plan import Plan, Step, format_tree

HERE = Path(__file__).resolve().parent
N_TEXTS = 5
# Source: the paper's own sentence, arXiv 2510.01427. It has no gold plan: it is shown, not scored.
PAPER = {"id": "paper", "corpus": "reviews", "pattern": "paper",
         "instruction": "Extract all laptop prices from positive Amazon reviews"}  # fmt: skip
JUDGE = Environment(trim_blocks=True).from_string((HERE / "judge.jinja").read_text(encoding="utf8"))


@dataclass(frozen=True)
class Outcome:
    """What became of one sentence. `plan` is None where the reply was refused, or says that it is unsupported."""

    item: Mapping[str, Any]
    plan: Plan | None
    is_valid: bool
    note: str = ""
    meanings: Mapping[str, Meaning | None] | None = None
    f1: float = 0.0


@dataclass(frozen=True)
class Benchmark:
    """Everything that is read: sentences with gold plans, instructions of the primitives, answers, some texts."""

    items: list[dict[str, Any]]
    primitives: Mapping[str, Mapping[str, Mapping[str, str]]]  # corpus, "labels" or "spans", primitive: instruction
    answers: Mapping[str, list[dict[str, Any]]]
    texts: Mapping[str, list[str]]


def read_benchmark(items: Path, answers: Path, corpora: Path) -> Benchmark:
    primitives = json.loads((answers / "primitives.json").read_text(encoding="utf8"))
    rows = {name: [row for path in sorted(answers.glob(f"{name}-*.jsonl")) for row in read_rows(path)]
            for name in primitives}  # fmt: skip
    texts = {
        name: [row["text"] for row in islice(read_rows(corpora / f"{name}.jsonl"), N_TEXTS)] for name in primitives
    }
    return Benchmark(list(read_rows(items)), primitives, rows, texts)


def read_rows(path: Path) -> Iterable[dict[str, Any]]:
    with path.open(encoding="utf8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


async def plan_item(item: Mapping[str, Any], benchmark: Benchmark, replies: Recorder) -> Outcome:
    try:
        plan = await make_plan(item["instruction"], benchmark.texts[item["corpus"]], replies.about(item["id"]))
        return Outcome(item, plan, is_valid=True)
    except UnsupportedPlanError as error:
        return Outcome(item, None, is_valid=True, note=f"unsupported: {error}")
    except PlanError as error:
        return Outcome(item, None, is_valid=False, note=f"refused: {error}")


async def find_meaning(step: Step, primitives: Mapping[str, str], judge: Recorder) -> Meaning | None:
    """The first primitive that the judge finds the step to mean. It sees the two instructions, and nothing else."""
    if step.for_each is not None:  # the recorded answers are about whole texts
        return None
    verdicts = await asyncio.gather(*(ask_judge(step, gold, judge) for gold in primitives.values()))
    for name, verdict in zip(primitives, verdicts, strict=True):
        if verdict in ("same", "opposite"):
            return Meaning(name, is_opposite=verdict == "opposite")
    return None


async def ask_judge(step: Step, gold: str, judge: Recorder) -> str:
    choices = ["same", "opposite", "different"] if step.op == "get_label" else ["same", "different"]
    schema = {"type": "object", "properties": {"verdict": {"type": "string", "enum": choices}},
              "required": ["verdict"], "additionalProperties": False}  # fmt: skip
    content = JUDGE.render(op=step.op, ours=step.instruction, gold=gold).strip()
    chat = judge.about(f"{step.instruction} | {gold}")
    reply = await chat.ask([{"role": "user", "content": content}], schema=schema, step="judge")
    return json.loads(reply.content)["verdict"]


async def judge_outcome(outcome: Outcome, benchmark: Benchmark, judge: Recorder) -> Outcome:
    """The outcome with its score. A plan one of whose steps means no primitive scores 0."""
    item, plan = outcome.item, outcome.plan
    gold_is_unsupported = bool(item["gold"].get("unsupported"))
    if plan is None or gold_is_unsupported:
        agree = outcome.is_valid and plan is None and gold_is_unsupported
        return Outcome(item, plan, outcome.is_valid, outcome.note, f1=float(agree))
    primitives = benchmark.primitives[item["corpus"]]
    found = await asyncio.gather(*(find_meaning(step, primitives[OPS[step.op]], judge) for step in plan.steps))
    meanings = dict(zip(plan.steps_by_id, found, strict=True))
    if None in found:
        strange = [step.instruction for step in plan.steps if meanings[step.id] is None]
        return Outcome(item, plan, True, f"means no primitive: {strange}", meanings)
    gold, gold_meanings = make_gold(item, {**primitives["labels"], **primitives["spans"]})
    texts = benchmark.answers[item["corpus"]]
    f1 = score_tables(run_plan(plan, meanings, texts), run_plan(gold, gold_meanings, texts))
    return Outcome(item, plan, True, outcome.note, meanings, f1)


async def run(benchmark: Benchmark, replies: Recorder, judge: Recorder) -> tuple[list[Outcome], Outcome]:
    """The scored outcomes, and the paper's sentence."""
    planned = await asyncio.gather(*(plan_item(item, benchmark, replies) for item in [*benchmark.items, PAPER]))
    scored = await asyncio.gather(*(judge_outcome(outcome, benchmark, judge) for outcome in planned[:-1]))
    return list(scored), planned[-1]


def print_report(outcomes: list[Outcome], paper: Outcome, recorders: Iterable[Recorder]) -> None:
    print(f"{'pattern':<24}{'n':>4}{'valid':>7}{'exact':>7}{'mean F1':>9}")
    for pattern in sorted({outcome.item["pattern"] for outcome in outcomes}):
        print_line(pattern, [outcome for outcome in outcomes if outcome.item["pattern"] == pattern])
    print_line("all", outcomes)
    for outcome in outcomes:
        if outcome.f1 < 1:
            print(f"\n{outcome.item['id']}  F1 {outcome.f1:.3f}  {outcome.note}")
    print(
        f"\nThe paper's sentence (no gold plan, not scored):\n{format_tree(paper.plan) if paper.plan else paper.note}"
    )
    for recorder in recorders:
        sources = sorted({f"{row['model']}, {row['date']}" for row in recorder.rows})
        print(f"\n{recorder.path.name}: {len(recorder.rows)} by {'; '.join(sources)}")
        if recorder.n_stale:
            print(f"{recorder.n_stale} of them were given to an earlier prompt. Name a --model to ask again.")


def print_line(name: str, outcomes: list[Outcome]) -> None:
    """Exact: the plan's result is the gold plan's, cell by cell."""
    n_valid, n_exact = sum(o.is_valid for o in outcomes), sum(o.f1 == 1 for o in outcomes)
    mean = sum(o.f1 for o in outcomes) / len(outcomes)
    print(f"{name:<24}{len(outcomes):>4}{n_valid:>7}{n_exact:>7}{mean:>9.3f}")


def write_predictions(outcomes: Iterable[Outcome], path: Path) -> None:
    """The plans with the primitives that their steps mean, for another executor."""
    lines = [json.dumps({"id": outcome.item["id"], "plan": dump_plan(outcome)}) for outcome in outcomes]
    path.write_text("\n".join(lines) + "\n", encoding="utf8")


def dump_plan(outcome: Outcome) -> dict[str, Any]:
    if outcome.plan is None:
        return {"unsupported": True} if outcome.is_valid else {}
    fields = outcome.plan.model_dump(mode="json", exclude_none=True)
    for step in fields["steps"]:
        meaning = (outcome.meanings or {}).get(step["id"]) or Meaning("none")  # else its id would be taken for it
        step.update(primitive=meaning.primitive, negate=meaning.is_opposite)
    return fields


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=Path, required=True, help="sentences with gold plans, .jsonl")
    parser.add_argument("--answers", type=Path, required=True, help="folder of recorded answers and primitives.json")
    parser.add_argument("--corpora", type=Path, required=True, help="folder of the corpora, .jsonl")
    parser.add_argument("--model", help="asked for what is not recorded")
    parser.add_argument("--predictions", type=Path, help="also write the plans to this file")
    args = parser.parse_args()
    chat = Endpoint(args.model) if args.model else None
    replies, judge = (Recorder(HERE / f"{name}.jsonl", chat) for name in ("replies", "judgements"))
    outcomes, paper = asyncio.run(run(read_benchmark(args.items, args.answers, args.corpora), replies, judge))
    print_report(outcomes, paper, [replies, judge])
    if args.predictions:
        write_predictions(outcomes, args.predictions)


if __name__ == "__main__":
    main()
