"""A task with a new metamodel, or with the metamodel of the task before.

    python -m benchmarks.paper consecutive --shared SHARED --work DIR --pair bio:reviews

SHARED has answers/ and corpora/ of the corpora "bio" and "reviews". Of a pair the first task is learned from --n recorded answers, then
the second from as many: by a new metamodel (the shipped pipeline), or by that of the first task, "labelled", with the answers to
the first task learned again, or "unlabelled", where these are not at hand and what the first pipeline finds in the new texts stands in their
place. In a pair such as bio:bio the instructions are halved into two tasks over the same texts.

Macro F1 over all instructions of a task against the language model's answers to texts that were not learned from: mean and
standard deviation over the seeds. "gained": on the second task, over a new metamodel; "lost": on the first task, by learning
the second; both with the 95% interval of the paired difference. What learning naively loses: benchmarks.metamodel.consecutive.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
import typer
from wasabi import table

from benchmarks.convert import main as convert
from benchmarks.metamodel.consecutive import Task, halve, interval, read_task, run
from benchmarks.metamodel.results import spread
from benchmarks.paper.kept import Json, keep, open_work, shorten
from benchmarks.paper.number import OWN
from spacy_falconer.workflow.files import digest, digest_file

NEW = "afresh"
WAYS = {NEW: "new", "replay": "of the task before, labelled", "own findings": "of the task before, unlabelled"}
PARTS = ("plan.json", "train.jsonl", "test.jsonl")


def main(
    # fmt: off
    work: Path = typer.Option(..., help="Folder for the scores"),
    shared: Path = typer.Option(None, help="Folder with answers/ and corpora/", exists=True),
    own: Path = typer.Option(OWN, help="Folder with our own corpora", exists=True),
    pair: list[str] = typer.Option(["bio:reviews", "reviews:bio", "bio:bio"], help="First and second corpus"),
    n: int = typer.Option(64, help="Answers to each task"),
    n_seeds: int = typer.Option(3, help="How many seeds"),
    steps: int = typer.Option(None, hidden=True),
    # fmt: on
):
    torch.set_num_threads(1)
    folder, body = open_work(work, steps) / "consecutive", []
    for one in pair:
        first, _, second = one.partition(":")
        prefixes = [find_prefix(name, shared, own, work) for name in (first, second)]
        tasks = halve(prefixes[0]) if first == second else (read_task(prefixes[0]), read_task(prefixes[1]))
        body += format_rows(one, keep_runs(folder, one, prefixes, tasks, n, n_seeds, shorten(steps)))
    print(format_table(body))


def find_prefix(name: str, shared: Path | None, own: Path, work: Path) -> str:
    """Where the files of a corpus begin: our own, or those of the shared folder in the exchange format."""
    if (own / f"{name}-plan.json").exists() or shared is None:
        return str(own / name)
    convert(shared, name, work / "answers")
    return str(work / "answers" / name)


def keep_runs(
    folder: Path, pair: str, prefixes: Sequence[str], tasks: tuple[Task, Task], n: int, n_seeds: int, overrides: Json
) -> list[Json]:
    mark = digest(*(digest_file(Path(f"{prefix}-{part}")) for prefix in prefixes for part in PARTS))[:8]
    make = partial(run, tasks, n, ways=list(WAYS), overrides=overrides)
    name = f"{pair.replace(':', '-')}-{mark}-{n}"
    return [keep(folder / f"{name}-seed{seed}.json", partial(make, seed)) for seed in range(n_seeds)]


def format_rows(pair: str, runs: Sequence[Json]) -> list[list[str]]:
    """The first task alone, then a row for each way to learn the second."""
    before = [one["scores"]["before"][0] for one in runs]
    rows = [[pair, "first task alone", "", "", spread(before), ""]]
    for way, name in WAYS.items():
        old, new = ([one["scores"][way][place] for one in runs] for place in (0, 1))
        cells = [pair, name, spread(new)]
        if way == NEW:
            rows.append([*cells, "", "", ""])
            continue
        gained = [one - one_run["scores"][NEW][1] for one, one_run in zip(new, runs, strict=True)]
        lost = [first - one for first, one in zip(before, old, strict=True)]
        rows.append([*cells, interval(gained), spread(old), interval(lost)])
    return rows


def format_table(body: Sequence[Sequence[str]]) -> str:
    header = ["pair", "metamodel", "second task F1", "gained", "first task F1", "lost"]
    return table(body, header=header, divider=True, aligns=["l", "l", *"r" * 4])
