"""Two workers of a Ray cluster on this machine against one process with as many threads; and a worker that is killed.

    python -m benchmarks.ray --pipeline PIPELINE --texts TEXTS.jsonl --n-texts 6000

The corpus is that of `benchmarks.scale`: short texts, all different. Every run is a process of its own, the kinds by
turns, so that what else the machine does falls on all alike:

one        `mine`, one process with as many threads as there are workers
processes  `mine`, as many processes as there are workers, with one thread each
ray        `mine_on_ray`, so many workers with one thread each, on a cluster that is started for it
killed     the same, and one of its workers is killed with SIGKILL when a third of the parts is done

texts/s      while the middle half of the texts was read: nothing of starting and ending is in it
texts/CPU-s  the same, by the seconds that CPUs worked for it in all its processes, Ray's own too: what a text costs, also
             on a machine that does other things beside it
ratio        to `one` in the same turn: the median of the turns, the lowest and the highest
in all       seconds of the whole run, with the cluster's start and its workers' loading of the pipeline
same rows    all ids and all spans as of `one`, and scores within 1e-4
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from wasabi import table

from benchmarks.page import on_page
from benchmarks.scale.__main__ import write_corpus

KINDS = ("one", "processes", "ray", "killed")
Json = dict[str, Any]


def main(
    # fmt: off
    pipeline: Path = typer.Option(..., help="A pipeline with a plan", exists=True, file_okay=False),
    texts: Path = typer.Option(..., help="Texts to make the corpus of", exists=True),
    n_texts: int = typer.Option(6000, help="How many texts the corpus has"),
    part_size: int = typer.Option(250, help="As in `mine`"),
    workers: int = typer.Option(2, help="Workers, or processes, or threads of the one process"),
    turns: int = typer.Option(3, help="How often each kind is run"),
    kind: str = typer.Option("", hidden=True),
    folder: Path = typer.Option(None, hidden=True),
    # fmt: on
):
    if kind:
        print(json.dumps(run(kind, pipeline, folder, part_size, workers)))
        return
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    try:
        write_corpus(folder / "corpus.jsonl", texts, range(n_texts))
        options = ["--pipeline", pipeline, "--texts", texts, "--part-size", part_size, "--workers", workers]
        options += ["--folder", folder]
        found = [{kind: run_apart(kind, options, workers) for kind in KINDS} for _ in range(turns)]
        report(found, folder)
    finally:
        shutil.rmtree(folder)


def run_apart(kind: str, options: list[Any], n_workers: int) -> Json:
    """A run in a process of its own, with as many threads as it may have."""
    n_threads = 1 if kind != "one" else n_workers
    environment = {**os.environ, "OMP_NUM_THREADS": str(n_threads), "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-m", "benchmarks.ray", "--kind", kind, *map(str, options)]
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return {**json.loads(done.stdout.splitlines()[-1]), "seconds": time.perf_counter() - start}


def run(kind: str, pipeline: Path, folder: Path, part_size: int, n_workers: int) -> Json:
    """One run in this process. RETURNS (Json): As `Watch.describe`."""
    import spacy
    import torch

    from spacy_falconer.workflow.cluster.cluster import Cluster
    from spacy_falconer.workflow.cluster.mine import mine_on_ray
    from spacy_falconer.workflow.corpus_file import CorpusFile
    from spacy_falconer.workflow.mine import mine

    torch.set_num_threads(n_workers)  # Several processes divide them.
    nlp, corpus, output = spacy.load(pipeline), CorpusFile(folder / "corpus.jsonl"), folder / f"{kind}.jsonl"
    watch = Watch(sum(1 for _ in corpus), kill=kind == "killed")
    settings = {"part_size": part_size, "fresh": True, "tick": watch}
    if kind in ("one", "processes"):
        mine(nlp, corpus, output, n_process=n_workers if kind == "processes" else 1, **settings)
    else:
        mine_on_ray(nlp, corpus, output, cluster=Cluster("local", n_workers), **settings)
    return watch.describe()


@dataclass
class Moment:
    """So many texts were done, after so many seconds, and so many seconds of CPUs."""

    n_done: int
    seconds: float
    cpu_seconds: float


class Watch:
    """Notes when texts are done, and kills a worker on the way."""

    def __init__(self, n_texts: int, *, kill: bool):
        self.n_texts, self.n_done, self.n_to_kill, self.n_killed = n_texts, 0, int(kill), 0
        self.moments: list[Moment] = []
        self.cpu_seconds: dict[int, float] = {}

    def __call__(self, n_texts: int) -> None:
        self.n_done += n_texts
        processes = find_processes()
        self.cpu_seconds.update({pid: process.cpu_seconds for pid, process in processes.items()})
        self.moments.append(Moment(self.n_done, time.perf_counter(), sum(self.cpu_seconds.values())))
        if self.n_killed < self.n_to_kill and self.n_done >= self.n_texts / 3:
            os.kill(next(pid for pid, process in processes.items() if "ray::MapWorker" in process.name), signal.SIGKILL)
            self.n_killed += 1

    def describe(self) -> Json:
        """How fast the middle half was read."""
        start, end = (next(one for one in self.moments if one.n_done >= self.n_texts * part) for part in (0.25, 0.75))
        n_texts = end.n_done - start.n_done
        speeds = {"wall": n_texts / (end.seconds - start.seconds)}
        return {**speeds, "cpu": n_texts / (end.cpu_seconds - start.cpu_seconds), "n_killed": self.n_killed}


@dataclass
class Process:
    name: str
    parent: int
    cpu_seconds: float


def find_processes() -> dict[int, Process]:
    """This process and all under it, by their ids."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # It has ended.
            values = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            seconds = (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")
            found[int(folder.name)] = Process((folder / "cmdline").read_bytes().decode(), int(values[1]), seconds)
    return {pid: process for pid, process in found.items() if os.getpid() in (pid, *find_parents(pid, found))}


def find_parents(pid: int, processes: dict[int, Process]) -> Iterator[int]:
    while pid in processes:
        pid = processes[pid].parent
        yield pid


def report(turns: list[dict[str, Json]], folder: Path) -> None:
    rows = []
    for kind in KINDS:
        runs = [turn[kind] for turn in turns]
        cells = [f"{statistics.median(run[what] for run in runs):.1f}" for what in ("wall", "cpu", "seconds")]
        ratios = [describe_ratios([turn[kind][what] / turn["one"][what] for turn in turns]) for what in ("wall", "cpu")]
        same = is_same(folder / "one.jsonl", folder / f"{kind}.jsonl")
        rows.append(
            [kind, cells[0], ratios[0], cells[1], ratios[1], cells[2], sum(run["n_killed"] for run in runs), same]
        )
    header = ["run", "texts/s", "ratio", "texts/CPU-s", "ratio", "in all", "killed", "same rows"]
    print(table(rows, header=header, divider=True, aligns=["l", *"r" * 7]))
    print(
        f"{len(turns)} turns; {os.getloadavg()[2]:.1f} processes wanted to run, on {len(os.sched_getaffinity(0))} CPUs"
    )


def describe_ratios(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def is_same(one: Path, other: Path) -> bool:
    """Whether two files have the same rows in the same order, but for the last digits of their scores."""
    some, others = (list(map(json.loads, path.read_text(encoding="utf8").splitlines())) for path in (one, other))
    return len(some) == len(others) > 0 and all(map(is_near, some, others))


def is_near(one: Any, other: Any) -> bool:
    if isinstance(one, float):
        return math.isclose(one, other, abs_tol=1e-4)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_near(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(is_near, one, other))
    return one == other


if __name__ == "__main__":
    with on_page():
        typer.run(main)
