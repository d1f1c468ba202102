"""What choices in fine-tuning are worth: the shipped pipeline, a few answers, one choice changed at a time.

    python -m benchmarks.metamodel.tuning --answers answers/bio --answers answers/reviews --n 64 --output runs

answers/bio names two files: bio-plan.json and bio-train.jsonl, as benchmarks.convert writes them. A seed draws --n of
the answers to learn from, and is scored on 300 others: the test answers are not looked at. Prints macro F1 over
instructions, mean and standard deviation over seeds, the mean over the corpora. Results are kept in
OUTPUT/tuning.jsonl; what is there is not run again. --table only prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any
from unittest.mock import patch

import spacy
import typer
from wasabi import table

from benchmarks.metamodel.results import add_result, read_results, spread
from benchmarks.page import on_page
from spacy_falconer.metamodel import loss
from spacy_falconer.metamodel.architectures import HeadShim
from spacy_falconer.pipeline.components import find_components
from spacy_falconer.pipeline.source import find_base
from spacy_falconer.plan import Plan, read_plan
from spacy_falconer.workflow import train as training
from spacy_falconer.workflow.answers import read_answers
from spacy_falconer.workflow.evaluate import evaluate
from spacy_falconer.workflow.train import train

N_TEST = 300
RATE = "training.optimizer.learn_rate.initial_rate"


@dataclass(frozen=True)
class Choice:
    """One choice that differs from what ships.

    overrides: Config values. constants: Of workflow.train. change: A context in which training runs. op: The only
    primitive whose instructions are learned.
    """

    overrides: dict[str, Any] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    change: Callable[[], Any] = nullcontext
    op: str | None = None
    plain: bool = False


@contextmanager
def frozen_vectors() -> Iterator[None]:
    """The instructions keep the vectors that the encoder gave them at first."""
    finish = HeadShim.finish_update

    def finish_others(shim, optimizer):
        shim._model.instructions.grad = None
        finish(shim, optimizer)

    with patch.object(HeadShim, "finish_update", finish_others):
        yield


@contextmanager
def equal_answers() -> Iterator[None]:
    """A rare yes counts no more than a no."""
    with patch.object(loss, "_weigh_positives", lambda wanted, asked: 1.0):
        yield


CHOICES: dict[str, Choice] = {
    "ours": Choice(),
    "without pre-training": Choice(plain=True),
    "instruction vectors frozen": Choice(change=frozen_vectors),
    "a yes counts as a no": Choice(change=equal_answers),
    "learn rate halved": Choice({RATE: 0.75e-4}),
    "learn rate doubled": Choice({RATE: 3e-4}),
    "half the reads": Choice(constants={"MIN_READS": 600, "MEMBER_READS": 250, "N_EPOCHS": 3, "MEMBER_EPOCHS": 2}),
    "twice the reads": Choice(constants={"MIN_READS": 2400, "MEMBER_READS": 1000, "N_EPOCHS": 10, "MEMBER_EPOCHS": 6}),
    "one training of few answers": Choice(constants={"FEW_ANSWERS": 0}),
    "label instructions only": Choice(op="get_label"),
    "span instructions only": Choice(op="get_span"),
}  # fmt: skip


def main(
    # fmt: off
    answers: list[str] = typer.Option(..., help="Where a corpus's files begin, such as answers/bio"),
    output: Path = typer.Option(..., help="Folder for the results"),
    n: int = typer.Option(64, help="How many answers to learn from"),
    seeds: str = typer.Option("0", help="Comma-separated"),
    only: list[str] = typer.Option([], help="Run these choices alone"),
    show: bool = typer.Option(False, "--table", help="Print the table of what there is"),
    # fmt: on
):
    output.mkdir(parents=True, exist_ok=True)
    results = output / "tuning.jsonl"
    for seed in () if show else [int(seed) for seed in seeds.split(",")]:
        for name in only or CHOICES:
            for prefix in answers:
                known = {(line["choice"], line["seed"], line["corpus"], line["n"]) for line in read_results(results)}
                if (name, seed, Path(prefix).name, n) not in known:
                    line = run(name, prefix, n, seed)
                    add_result(results, line)
    print(make_table(read_results(results)))


def run(name: str, prefix: str, n: int, seed: int) -> dict[str, Any]:
    choice = CHOICES[name]
    plan = keep(read_plan(Path(f"{prefix}-plan.json")), choice.op)
    docs, _ = read_answers(Path(f"{prefix}-train.jsonl"), plan, spacy.blank("en"))
    mixed = Random(seed).sample(docs, len(docs))
    with ExitStack() as stack:
        stack.enter_context(choice.change())
        for key, value in choice.constants.items():
            stack.enter_context(patch.object(training, key, value))
        source = None if choice.plain else find_base()
        begun = time.process_time()
        nlp, _ = train(plan, mixed[:n], source=source, overrides=choice.overrides, seed=seed, quiet=True)
        seconds = time.process_time() - begun
    for pipe in find_components(nlp, "falconer_plan"):
        nlp.remove_pipe(pipe.name)
    scores = evaluate(nlp, mixed[n : n + N_TEST])
    macro = {kind: scores[kind]["macro_f"] for kind in ("labels", "spans")}
    return {"choice": name, "corpus": Path(prefix).name, "n": n, "seed": seed, "seconds": round(seconds), **macro}


def keep(plan: Plan, op: str | None) -> Plan:
    return Plan(instruction=plan.instruction, steps=tuple(step for step in plan.steps if op in (None, step.op)))


def make_table(lines: list[dict[str, Any]]) -> str:
    rows = []
    for n in sorted({line["n"] for line in lines}):
        for name in CHOICES:
            found = [line for line in lines if line["choice"] == name and line["n"] == n]
            if found:
                columns = [[line[kind] for line in found if line[kind] is not None] for kind in ("labels", "spans")]
                seeds = len({line["seed"] for line in found})
                rows.append((n, name, seeds, *map(spread, columns), round(mean(line["seconds"] for line in found))))
    header = ["answers", "choice", "seeds", "label F1", "span F1", "seconds"]
    return table(rows, header=header, divider=True)


if __name__ == "__main__":
    with on_page():
        typer.run(main)
