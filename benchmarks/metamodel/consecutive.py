"""Whether a pipeline that learns a second task forgets its first.

    python -m benchmarks.metamodel.consecutive --first ANSWERS/bio --second ANSWERS/reviews --n-seeds 5

ANSWERS/bio names three files: bio-plan.json, bio-train.jsonl and bio-test.jsonl, as benchmarks.convert writes them.
Without --second, the first plan's instructions are halved into two tasks over the same texts. Each seed trains the first
task, then the second in four ways: with a replay of the first task's answers, with what the first pipeline finds in the
new texts (no old answers at hand), naively, and afresh from the shipped pipeline. Prints macro F1 over all instructions
of each task, and what the first task lost: the mean over seeds with its paired 95% interval.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import mean, stdev
from typing import Any
from unittest.mock import patch

import spacy
import srsly
import typer
from scipy.stats import t as student
from spacy.language import Language
from spacy.tokens import Doc
from wasabi import table

from benchmarks.metamodel.results import spread
from benchmarks.page import on_page
from spacy_falconer.pipeline.components import find_components
from spacy_falconer.pipeline.source import find_base
from spacy_falconer.plan import Plan, read_plan
from spacy_falconer.workflow.answers import read_answers
from spacy_falconer.workflow.evaluate import evaluate
from spacy_falconer.workflow.train import train

WAYS = ("replay", "own findings", "naive", "afresh")


@dataclass(frozen=True)
class Task:
    plan: Plan
    train: Sequence[Doc]
    test: Sequence[Doc]


def main(
    # fmt: off
    first: str = typer.Option(..., help="Where the first task's files begin, such as answers/bio"),
    second: str = typer.Option(None, help="Where the second task's files begin; by default half of the first plan"),
    n: int = typer.Option(64, help="Answers to each task"),
    n_seeds: int = typer.Option(5, help="How many seeds"),
    json_file: Path = typer.Option(None, "--json", help="Write all scores to this file"),
    # fmt: on
):
    tasks = (read_task(first), read_task(second)) if second else halve(first)
    runs = []
    for seed in range(n_seeds):
        runs.append(run(tasks, n, seed))
        print(srsly.json_dumps(runs[-1]), file=sys.stderr, flush=True)
        if json_file is not None:
            srsly.write_json(json_file, runs)
    print(format_runs(runs))


def read_task(prefix: str, keep: Callable[[int], bool] = lambda place: True) -> Task:
    plan = read_plan(Path(f"{prefix}-plan.json"))
    plan = Plan(instruction=plan.instruction, steps=tuple(step for place, step in enumerate(plan.steps) if keep(place)))
    docs = [read_answers(Path(f"{prefix}-{part}.jsonl"), plan, spacy.blank("en"))[0] for part in ("train", "test")]
    return Task(plan, *docs)


def halve(prefix: str) -> tuple[Task, Task]:
    """The same texts, every other instruction."""
    return read_task(prefix, lambda place: place % 2 == 0), read_task(prefix, lambda place: place % 2 == 1)


def run(
    tasks: tuple[Task, Task], n: int, seed: int, *, ways: Sequence[str] = WAYS, overrides: dict[str, Any] | None = None
) -> dict:
    """Scores on both tasks: of the first pipeline, and after the second task, by the way in which it was learned."""
    first, second = tasks
    docs = [
        Random(f"{seed} {place}").sample(list(task.train), min(n, len(task.train))) for place, task in enumerate(tasks)
    ]
    with tempfile.TemporaryDirectory() as folder:
        before, _ = train(first.plan, docs[0], source=find_base(), overrides=overrides, seed=seed, quiet=True)
        scores = {"before": [score(before, first), None]}
        before.to_disk(folder)
        for way in ways:
            with forgetful() if way == "naive" else nullcontext():
                source = find_base() if way == "afresh" else Path(folder)
                replay = docs[0] if way == "replay" else []
                after, _ = train(
                    second.plan, docs[1], source=source, replay=replay, overrides=overrides, seed=seed, quiet=True
                )
            scores[way] = [None if way == "afresh" else score(after, first), score(after, second)]
    return {"seed": seed, "scores": scores}


@contextmanager
def forgetful() -> Iterator[None]:
    """Learn from the new answers alone."""
    with patch("spacy_falconer.workflow.train.remember", lambda source, plan, docs, *others, **settings: list(docs)):
        yield


def score(nlp: Language, task: Task) -> float:
    """Macro F1 over all instructions of the task, labels and spans alike; no plan decides what is asked."""
    for pipe in find_components(nlp, "falconer_plan"):
        nlp.remove_pipe(pipe.name)
    scores, wanted = evaluate(nlp, task.test), {step.id for step in task.plan.steps}
    rows = [
        row for kind in ("labels", "spans") for key, row in scores[kind]["per_instruction"].items() if key in wanted
    ]
    return mean(row["f"] for row in rows)


def format_runs(runs: Sequence[dict]) -> str:
    rows = [("first task alone", spread([run["scores"]["before"][0] for run in runs]), "", "")]
    for way in WAYS:
        columns = [[run["scores"][way][place] for run in runs] for place in (0, 1)]
        lost = "" if way == "afresh" else interval([run["scores"]["before"][0] - run["scores"][way][0] for run in runs])
        rows.append(
            (f"then the second, {way}", "" if way == "afresh" else spread(columns[0]), lost, spread(columns[1]))
        )
    return table(rows, header=["", "first task F1", "lost, 95% interval", "second task F1"], divider=True)


def interval(values: Sequence[float]) -> str:
    """The mean and Student's interval of it."""
    if len(values) < 2:
        return f"{mean(values):+.3f}"
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):+.3f} ({mean(values) - half:+.3f} to {mean(values) + half:+.3f})"


if __name__ == "__main__":
    with on_page():
        typer.run(main)
