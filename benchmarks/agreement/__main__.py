"""Agreement with a language model's held-out answers: ours beside two baselines, trained on the same answers.

    python -m benchmarks.agreement --train TRAIN.jsonl --test TEST.jsonl --plan PLAN.json --json scores.json

TRAIN and TEST are recorded answers in the exchange format, PLAN holds their instructions. Prints label and span F1
per instruction. The baselines get the same care as ours: class weights, and a threshold for every instruction, fitted
by cross-validation (regression) or on the same held-out fifth as ours (spaCy's own components).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import spacy
import srsly
import typer
from wasabi import table

from benchmarks.agreement.regression import score_regression
from benchmarks.agreement.spacys_own import score_spacys_own
from benchmarks.page import on_page
from spacy_falconer.plan import read_plan
from spacy_falconer.workflow.answers import read_answers
from spacy_falconer.workflow.evaluate import evaluate
from spacy_falconer.workflow.train import train

SYSTEMS = ("ours", "regression", "spacy")


def main(
    # fmt: off
    train_file: Path = typer.Option(..., "--train", help="Recorded answers to learn from", exists=True),
    test_file: Path = typer.Option(..., "--test", help="Recorded answers to test on", exists=True),
    plan: Path = typer.Option(..., help="The plan that holds the instructions", exists=True),
    seed: int = typer.Option(0, help="Seed of every system"),
    json_file: Path = typer.Option(None, "--json", help="Write the scores to this file"),
    only: str = typer.Option("", help="Run one system: ours, regression or spacy"),
    # fmt: on
):
    checked, blank = read_plan(plan), spacy.blank("en")
    docs, tests = (read_answers(path, checked, blank)[0] for path in (train_file, test_file))
    runs = {
        "ours": lambda: evaluate(train(checked, docs, seed=seed, quiet=True)[0], tests),
        "regression": lambda: score_regression(checked, docs, tests, seed=seed),
        "spacy": lambda: score_spacys_own(checked, docs, tests, seed=seed),
    }
    scores = {}
    for name in (only,) if only else SYSTEMS:
        start = time.perf_counter()
        scores[name] = runs[name]()
        scores[name]["seconds"] = round(time.perf_counter() - start, 1)
        print(f"{name}: {scores[name]['seconds']} s", file=sys.stderr, flush=True)
        if json_file is not None:
            srsly.write_json(json_file, scores)
    print(f"{len(docs)} answered texts to learn from, {len(tests)} to test on, seed {seed}")
    print(format_table(scores))


def format_table(scores: dict[str, dict]) -> str:
    """F1 per instruction, a column a system."""
    body = []
    for kind in ("labels", "spans"):
        keys = dict.fromkeys(key for one in scores.values() for key in one[kind]["per_instruction"])
        for key in keys:
            found = [one[kind]["per_instruction"].get(key) for one in scores.values()]
            body.append([kind, key, *(f"{row['f']:.3f}" if row else "" for row in found)])
        macros = [one[kind]["macro_f"] for one in scores.values()]
        body.append([kind, "macro", *("" if macro is None else f"{macro:.3f}" for macro in macros)])
    return table(body, header=["", "instruction", *scores], divider=True)


if __name__ == "__main__":
    with on_page():
        typer.run(main)
