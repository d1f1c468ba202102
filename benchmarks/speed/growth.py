"""How time and peak memory grow: each figure is of a process of its own."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks.speed.readers import make_nlp
from spacy_falconer.workflow.mine import BATCH_SIZE
from spacy_falconer.workflow.mining.reading import open_reader, read_texts

N_CHARACTERS = 100_000  # In all, where the length of a text is what grows.
PART_SIZE = 10_000  # As in `mine`.
INSTRUCTIONS, LENGTHS = (1, 4, 16, 50), (100, 1_000, 10_000, 50_000)


def print_growth(pipeline: Path, texts: Sequence[str], counts: Sequence[int], precision: str) -> None:
    joined = " ".join(texts)
    print_rows("instructions", INSTRUCTIONS, lambda n: run(pipeline, precision, n, list(texts), len(texts)))
    print_rows("characters", LENGTHS, lambda n: run(pipeline, precision, 4, cut(joined, n), max(1, N_CHARACTERS // n)))
    short = sorted(texts, key=len)[: max(1, len(texts) // 10)]
    print_rows("texts", counts, lambda n: run(pipeline, precision, 4, short, n), per_text=True)


def print_rows(name: str, values: Sequence[int], take: Callable, *, per_text: bool = False) -> None:
    print(f"{name:>14}{'processor s':>13}{'ratio':>8}{'peak MB':>9}{'ratio':>8}")
    first = None
    for value in values:
        seconds, peak = take(value)
        first = first or (seconds / (value if per_text else 1), peak)
        ratio = seconds / (value if per_text else 1) / first[0]
        print(f"{value:>14,}{seconds:>13.2f}{ratio:>8.3f}{peak:>9.0f}{peak / first[1]:>8.3f}", flush=True)


def cut(text: str, n: int) -> list[str]:
    n_texts = max(1, N_CHARACTERS // n)
    text = text * (1 + N_CHARACTERS // max(1, len(text)))
    return [text[i * n : (i + 1) * n] for i in range(n_texts)]


def run(*arguments) -> tuple[float, float]:
    """The processor's seconds and the peak of memory, in MB, of a process that reads."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measure, torch.get_num_threads(), *arguments).result()


def measure(
    n_threads: int, pipeline: Path, precision: str, n_instructions: int, texts: list[str], n_texts: int
) -> tuple[float, float]:
    torch.set_num_threads(n_threads)
    nlp = make_nlp(pipeline, n_instructions=n_instructions)
    nlp("A text to warm up with.")
    with open_reader(nlp, n_process=1, batch_size=BATCH_SIZE, precision=precision) as read:
        start = time.process_time()
        for part in parts(texts, n_texts):
            read_texts(part, read, tick=lambda share: None)
        seconds = time.process_time() - start
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB.


def parts(texts: Sequence[str], n_texts: int) -> Iterator[list[str]]:
    """So many texts, again and again the same ones."""
    endless = islice(cycle(texts), n_texts)
    while part := list(islice(endless, PART_SIZE)):
        yield part
