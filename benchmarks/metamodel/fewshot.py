"""How well a pipeline agrees with held-out answers after a few, several seeds each.

    python -m benchmarks.metamodel.fewshot --train TRAIN.jsonl --test TEST.jsonl --plan PLAN.json --n 64 --n 450

TRAIN and TEST are recorded answers in the exchange format, PLAN holds their instructions. Prints macro F1 over the
instructions (labels, exact spans), mean and spread over the seeds, with the seconds that one training took. A seed
draws the answers that are learned from, and everything random in the training.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

import spacy
import srsly
import typer
from spacy.language import Language
from spacy.tokens import Doc
from wasabi import table

from benchmarks.metamodel.results import spread
from benchmarks.page import on_page
from spacy_falconer.pipeline.source import find_base
from spacy_falconer.plan import Plan, read_plan
from spacy_falconer.workflow.answers import read_answers
from spacy_falconer.workflow.evaluate import evaluate
from spacy_falconer.workflow.train import train


def main(
    # fmt: off
    train_file: Path = typer.Option(..., "--train", help="Recorded answers to learn from", exists=True),
    test_file: Path = typer.Option(..., "--test", help="Recorded answers to test on", exists=True),
    plan: Path = typer.Option(..., help="The plan that holds the instructions", exists=True),
    n: list[int] = typer.Option([64], help="How many answers to learn from"),
    n_seeds: int = typer.Option(3, help="How many seeds"),
    source: Path = typer.Option(None, help="The pipeline to start from; by default the shipped one"),
    plain: bool = typer.Option(False, help="Start from the plain encoder with fresh heads"),
    json_file: Path = typer.Option(None, "--json", help="Write all scores to this file"),
    # fmt: on
):
    checked, blank = read_plan(plan), spacy.blank("en")
    docs, tests = (read_answers(path, checked, blank)[0] for path in (train_file, test_file))
    start = None if plain else source or find_base()
    runs = []
    for n_answers in n:
        for seed in range(n_seeds):
            begun = time.perf_counter()
            nlp, n_chosen = learn(checked, docs, n=n_answers, seed=seed, source=start)
            seconds = time.perf_counter() - begun
            scores = evaluate(nlp, tests)
            runs.append({"n": n_chosen, "seed": seed, "seconds": seconds, "scores": scores})
            said = f"{n_chosen} answers, seed {seed}: {seconds:.0f} s, {_summarize(scores)}"
            print(said, file=sys.stderr, flush=True)
            if json_file is not None:
                srsly.write_json(json_file, runs)
    print(format_runs(runs))


def learn(
    plan: Plan, docs: Sequence[Doc], *, n: int, seed: int, source: Path | None, overrides: dict[str, Any] | None = None
) -> tuple[Language, int]:
    """Learn from so many of the answers, or from all where there are fewer. RETURNS: The pipeline, and how many they were."""
    chosen = Random(seed).sample(list(docs), min(n, len(docs)))
    return train(plan, chosen, source=source, overrides=overrides, seed=seed, quiet=True)[0], len(chosen)


def _summarize(scores: dict) -> str:
    parts = []
    for kind in ("labels", "spans"):
        rows = " ".join(f"{key} {row['f']:.2f}" for key, row in scores[kind]["per_instruction"].items())
        parts.append(f"{kind} {scores[kind]['macro_f']:.3f} ({rows})")
    return ", ".join(parts)


def format_runs(runs: list[dict]) -> str:
    """A row for each number of answers: means and standard deviations over the seeds."""
    rows = []
    for n in sorted({run["n"] for run in runs}):
        same = [run for run in runs if run["n"] == n]
        columns = [[run["scores"][kind]["macro_f"] for run in same] for kind in ("labels", "spans")]
        rows.append([n, len(same), *map(spread, columns), f"{mean(run['seconds'] for run in same):.0f}"])
    header = ["answers", "seeds", "label F1", "span F1", "seconds"]
    return table(rows, header=header, divider=True, aligns=["r"] * 5)


if __name__ == "__main__":
    with on_page():
        typer.run(main)
