"""A corpus of many short texts, mined in a run that is killed twice: rows, memory and speed.

    python -m benchmarks.scale --pipeline PIPELINE --texts TEXTS.jsonl --n-texts 1000000

The corpus is made of the sentences of TEXTS, again and again, each with a number of its own, so that no text is read
for another. Three runs of `mine`, each a process of its own, with one process to read:

small     the first 10,000 texts, undisturbed
killed    all texts; killed with SIGKILL after a third of its parts and after two thirds, then run to the end
around    the texts of the parts in which it was killed, undisturbed

same rows     the rows of `killed` are, byte for byte, those of `small` and of `around` where they are of the same texts
once each     no id stands twice, and the manifest's parts follow one another from the first text to the last
peak          the most memory that any process of the run held; its ratio to that of `small`
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import typer
from wasabi import table

from benchmarks.page import on_page
from spacy_falconer.corpus.read import read_corpus, split_sentences

N_SMALL = 10_000
SHORTEST, LONGEST = 20, 200  # Characters of a sentence.


@dataclass
class Run:
    """A run of `mine` over some texts: its rows, and what it took, with all its interruptions."""

    output: Path
    n_texts: int
    seconds: float = 0.0
    peak_mb: float = 0.0
    killed_after: tuple[int, ...] = ()

    @property
    def lines(self) -> Iterator[bytes]:
        with self.output.open("rb") as lines:
            yield from lines


def main(
    # fmt: off
    pipeline: Path = typer.Option(..., help="A pipeline with a plan", exists=True, file_okay=False),
    texts: Path = typer.Option(..., help="Texts to make the corpus of", exists=True),
    n_texts: int = typer.Option(1_000_000, help="How many texts the corpus has"),
    part_size: int = typer.Option(10_000, help="As in `mine`"),
    precision: str = typer.Option("fp32", help="As in `mine`"),
    # fmt: on
):
    folder = Path(tempfile.mkdtemp(prefix="scale-"))
    command = [
        sys.executable,
        "-m",
        "spacy_falconer",
        "mine",
        pipeline,
        "--part-size",
        part_size,
        "--precision",
        precision,
    ]
    mine = partial(run_mine, list(map(str, command)))
    try:
        small = mine(write_corpus(folder / "small.jsonl", texts, range(min(N_SMALL, n_texts))))
        corpus = write_corpus(folder / "killed.jsonl", texts, range(n_texts))
        n_parts = -(-n_texts // part_size)
        killed = mine(corpus, kill_after=(n_parts // 3, 2 * n_parts // 3))
        numbers = [i for part in killed.killed_after for i in range(part * part_size, (part + 1) * part_size)]
        around = mine(write_corpus(folder / "around.jsonl", texts, numbers))
        report(small, killed, around)
    finally:
        shutil.rmtree(folder)


def report(small: Run, killed: Run, around: Run) -> None:
    header = ["run", "texts", "seconds", "texts/s", "peak MB", "ratio"]
    rows = [
        [name, run.n_texts, f"{run.seconds:.1f}", f"{run.n_texts / run.seconds:.1f}", f"{run.peak_mb:.0f}", f"{run.peak_mb / small.peak_mb:.3f}"]
        for name, run in (("small", small), ("killed", killed), ("around", around))
    ]  # fmt: skip
    print(table(rows, header=header, divider=True, aligns=["l", *"r" * 5]))
    print(f"killed while it mined the parts {killed.killed_after} (counted from 0)")
    print(
        f"same rows as small: {is_among(small.lines, killed.lines)}, as around: {is_among(around.lines, killed.lines)}"
    )
    print(f"once each: {is_once_each(killed)}")


def write_corpus(path: Path, texts: Path, numbers: Iterable[int]) -> Path:
    """The texts of these numbers. The same number is the same text in every corpus."""
    sentences = [one.text.strip() for one in split_sentences(read_corpus(texts))]
    short = [sentence for sentence in sentences if SHORTEST <= len(sentence) <= LONGEST]
    with path.open("w", encoding="utf8") as lines:
        for i in numbers:
            lines.write(json.dumps({"id": f"{i:09d}", "text": f"{short[i % len(short)]} Order {i}."}) + "\n")
    return path


def run_mine(command: list[str], corpus: Path, *, kill_after: tuple[int, ...] = ()) -> Run:
    """Mine until it is whole, and kill it on the way, each time it has done so many parts."""
    with corpus.open("rb") as lines:
        run = Run(corpus.with_suffix(".rows.jsonl"), sum(1 for _ in lines))
    for n_parts in (*kill_after, None):
        start = time.perf_counter()
        process = subprocess.Popen([*command, str(corpus), "--output", str(run.output), "--quiet"])
        if n_parts is not None:
            run.killed_after += (wait_and_kill(process, run.output, n_parts),)
        _, status, used = os.wait4(process.pid, 0)
        run.seconds += time.perf_counter() - start
        run.peak_mb = max(run.peak_mb, used.ru_maxrss / 1024)  # Linux counts in KiB.
        if n_parts is None and status:
            raise SystemExit(f"mine ended with status {status}")
    return run


def wait_and_kill(process: subprocess.Popen, output: Path, n_parts: int) -> int:
    """Kill it while it mines the part of that number. RETURNS (int): The part that it was at."""
    first = output.with_suffix(".parts") / f"part-{max(n_parts - 1, 0):05d}.jsonl"
    while not first.exists():
        if output.exists():
            raise SystemExit("It was done before it could be killed. Choose more texts, or a smaller part size.")
        time.sleep(0.01)
    time.sleep(0.5)  # Into the next part.
    process.kill()
    return len(list(first.parent.glob("part-*.jsonl")))


def is_among(lines: Iterable[bytes], others: Iterable[bytes]) -> bool:
    """Whether the lines stand among the others, in the same order, and no other line has one of their ids."""
    wanted = list(lines)
    ids = {json.loads(line)["id"] for line in wanted}
    return [line for line in others if json.loads(line)["id"] in ids] == wanted


def is_once_each(run: Run) -> bool:
    parts = json.loads(run.output.with_suffix(".manifest.json").read_text(encoding="utf8"))["parts"]
    bounds = [0, *(part["end"] for part in parts)]
    ids = [json.loads(line)["id"] for line in run.lines]
    follow = bounds[-1] == run.n_texts and [part["start"] for part in parts] == bounds[:-1]
    return follow and all(one < other for one, other in pairwise(ids))


if __name__ == "__main__":
    with on_page():
        typer.run(main)
