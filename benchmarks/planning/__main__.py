"""How well sentences are planned: each plan is run over recorded answers beside a gold plan.

    python -m benchmarks.planning                                                   the table, offline
    python -m benchmarks.planning plan --model MODEL --base-url URL                 ask the planner for what is missing
    python -m benchmarks.planning judge --model MODEL --base-url URL                ask the judge for what is missing

The planner's replies are kept in replies.jsonl, and the judgements of what its steps mean in judgements.jsonl, both beside
this file; each with its model and date. `--shared FOLDER` adds the earlier sentences: FOLDER has planning/dev.jsonl, answers/
and corpora/. `--split dev` leaves out the sentences that were held out, and `--show heldout` shows their failures, too.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace
from pathlib import Path

from benchmarks.page import on_page
from benchmarks.planning.ask import Endpoint, Recorder
from benchmarks.planning.corpora import Benchmark, read_benchmark
from benchmarks.planning.report import SPLITS, print_failures, print_sources, print_table, write_predictions
from benchmarks.planning.run import PAPER, judge_outcomes, plan_items
from spacy_falconer.plan import format_tree

HERE = Path(__file__).resolve().parent


def main() -> None:
    args = make_parser().parse_args()
    if (args.command == "table") == bool(args.model):
        raise SystemExit("--model goes with plan and judge, which need it; the table is printed offline.")
    benchmark = read_benchmark(args.shared)
    chosen = [item for item in benchmark.items if args.split in (None, item["split"])]
    asyncio.run(run(args, replace(benchmark, items=chosen)))


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=["table", "plan", "judge"], default="table")
    parser.add_argument("--model", help="the model's name, which is kept beside its replies")
    parser.add_argument("--base-url", help="of an OpenAI-compatible server, such as http://127.0.0.1:8765/v1")
    parser.add_argument("--split", choices=SPLITS, help="only these sentences (default: all)")
    parser.add_argument("--show", nargs="*", choices=SPLITS, default=["earlier", "dev"], help="failures to print")
    parser.add_argument("--shared", type=Path, help="folder with planning/dev.jsonl, answers/ and corpora/")
    parser.add_argument("--predictions", type=Path, help="also write the plans to this file")
    parser.add_argument("--records", type=Path, default=HERE, help="folder of replies.jsonl and judgements.jsonl")
    return parser


async def run(args: argparse.Namespace, benchmark: Benchmark) -> None:
    model = Endpoint(args.model, args.base_url) if args.model else None
    replies = Recorder(args.records / "replies.jsonl", model if args.command == "plan" else None)
    judge = Recorder(args.records / "judgements.jsonl", model if args.command == "judge" else None)
    planned = await plan_items(benchmark.items, benchmark, replies)
    paper = await plan_items([PAPER] if args.shared else [], benchmark, replies)
    if args.command == "plan":
        n_valid = sum(outcome.is_valid for outcome in planned)
        print(f"{len(planned)} sentences: {n_valid} replies are plans that can be run, or refusals.")
        return
    outcomes = await judge_outcomes(planned, benchmark, judge)
    print_table(outcomes)
    print_failures(outcomes, args.show)
    for outcome in paper:
        shown = format_tree(outcome.plan) if outcome.plan else outcome.note
        print(f"\nThe paper's sentence (no gold plan, not scored):\n{shown}")
    print_sources(outcomes, [replies, judge])
    if args.predictions:
        write_predictions(outcomes, args.predictions)


if __name__ == "__main__":
    with on_page():
        main()
