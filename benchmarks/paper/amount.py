"""How many answers are learned from: 64 and 512, or all that there are.

    python -m benchmarks.paper amount --shared SHARED --work DIR

SHARED has answers/ and corpora/ of the corpora "bio" and "reviews". One pipeline learns all instructions of a corpus, from as many recorded
answers as is said, drawn by a seed. F1 against the language model's answers to texts that were not learned from; mean and
standard deviation over the seeds. Labels and spans: macro over the instructions; "of LLM's": their share of the language
model's agreement with itself on a second reading, where that is stated with the answers. Rows: mean over the sentences of
benchmarks.endtoend; "kept", which texts are in the result, "values", which passages stand in the rows, "whole", which
rows are the same in all their columns. "training s": of the processor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import torch
import typer
from wasabi import table

from benchmarks.endtoend.corpora import read_corpora
from benchmarks.metamodel.results import spread
from benchmarks.paper.kept import Json, open_work, shorten
from benchmarks.paper.learned import KINDS, join, learn_part
from benchmarks.paper.number import OWN

MEASURES = ("kept", "values", "whole")


def main(
    # fmt: off
    work: Path = typer.Option(..., help="Folder for the scores"),
    shared: Path = typer.Option(None, help="Folder with answers/ and corpora/", exists=True),
    own: Path = typer.Option(OWN, help="Folder with our own corpora, and all plans", exists=True),
    corpus: list[str] = typer.Option(["bio", "reviews"], help="Which corpora"),
    n: list[int] = typer.Option([64, 512], help="Answers to learn from"),
    n_seeds: int = typer.Option(3, help="How many seeds"),
    steps: int = typer.Option(None, hidden=True),
    # fmt: on
):
    torch.set_num_threads(1)
    folder, body = open_work(work, steps), []
    for one in read_corpora(shared, own, work, corpus):
        keys = list(one.whole.steps_by_id)
        for n_answers in sorted({min(wanted, len(one.train)) for wanted in n}):
            made = [
                learn_part(one, keys, n=n_answers, seed=seed, work=folder, overrides=shorten(steps))
                for seed in range(n_seeds)
            ]
            body.append(format_row(one.name, n_answers, made, one.stated))
    print(format_table(body))


def format_row(corpus: str, n: int, made: Sequence[Json], stated: Mapping[str, float]) -> list[str]:
    cells = [corpus, str(n)]
    for kind in KINDS:
        values = [f1 for one in made if (f1 := join([one])[kind]) is not None]
        share = f"{mean(values) / stated[kind]:.0%}" if values and kind in stated else ""
        cells += [spread(values), share]
    for measure in MEASURES:
        cells.append(spread([mean(one["rows"][measure].values()) for one in made if measure in one.get("rows", {})]))
    return [*cells, f"{mean(one['seconds'] for one in made):.0f}"]


def format_table(body: Sequence[Sequence[str]]) -> str:
    shares = [name for kind in KINDS for name in (f"{kind} F1", "of LLM's")]
    header = ["corpus", "answers", *shares, *(f"rows: {name}" for name in MEASURES), "training s"]
    return table(body, header=header, divider=True, aligns=["l", *"r" * 8])
