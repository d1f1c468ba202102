"""Read texts by a pipeline, with little padding, in constant memory, and perhaps in several processes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, get_context, parent_process
from tempfile import TemporaryDirectory
from typing import Any

import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.corpus.cut import make_sentence
from spacy_falconer.corpus.language import make_detector
from spacy_falconer.errors import FalconerError, ModelError
from spacy_falconer.metamodel.device import on_gpu
from spacy_falconer.metamodel.read import texts_of
from spacy_falconer.workflow.mining.mined import Row, find_mined, reads_sentences

CHUNK_TEXTS = 512  # After this many texts, the strings that they added to the vocabulary are forgotten.
CHUNK_CHARACTERS = 2**20
# With several processes, each gets this many chunks, or chunks of at least this many characters.
CHUNKS_EACH, MIN_CHARACTERS = 8, 2**13
KEPT_WORDS = 20_000  # Strings that stay, so that most need not be made again for each chunk.
EXACT = "fp32"  # The precision that `nlp.pipe` reads in.
BATCH_CHARACTERS = 2**18  # The most at once, so that fewer long texts are read together.
TIMES_ON_GPU = 2  # How many times as many texts a batch has on a GPU.

Detector = Callable[[str], "str | None"]


@dataclass(frozen=True)
class Reading:
    """What a pipeline says of one text.

    rows: What is mined from it, without the id.
    n_unread_tokens (int): Tokens that the encoder has no piece for.
    language (str): The language that it seems to be in, if that is not the pipeline's.
    failure (str): Why the pipeline could not read it.
    """

    rows: tuple[Row, ...] = ()
    n_unread_tokens: int = 0
    language: str | None = None
    failure: str | None = None


Describe = Callable[[Doc], Reading]
ReadChunks = Callable[[Sequence[Sequence[str]]], Iterable[list[Reading]]]


@contextmanager
def open_reader(nlp: Language, *, n_process: int, batch_size: int, precision: str = EXACT) -> Iterator[ReadChunks]:
    """Make a function that reads chunks of texts, in this process or in several.

    batch_size (int): Texts that are read at once; fewer if they are long, and `TIMES_ON_GPU` times as many on a GPU.
    precision (str): As in `accelerate`.
    RAISES (ModelError): A process ended before it had read its texts, or several processes were to read on a GPU.
    """
    check_processes(n_process)
    if n_process == 1:
        with read_in(nlp, precision):
            yield partial(map, partial(read_chunk, nlp, make_describe(nlp), batch_size=batch_size))
        return
    n_threads = max(1, torch.get_num_threads() // n_process)
    with TemporaryDirectory() as folder:
        nlp.to_disk(folder)
        # Spawned, not forked: torch hangs in a process that was forked after its threads were started.
        pool = ProcessPoolExecutor(
            n_process,
            get_context("spawn"),
            initializer=_start,
            initargs=(folder, nlp.max_length, n_threads, batch_size, precision),
        )
        try:
            yield partial(_read_among, pool, n_process)
        except BrokenProcessPool as error:
            raise ModelError(
                f"One of {n_process} processes ended while it read texts: it ran out of memory, or a script called it without "
                "the guard `if __name__ == '__main__':`. Run it again to go on, with fewer processes or with the guard."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def read_in(nlp: Language, precision: str) -> Iterator[None]:
    """Inside the block, read in this precision, and on a GPU in large batches. Pipelines without an encoder of ours can only
    read in `EXACT`.
    """
    from spacy_falconer.metamodel.accelerate import accelerate, large_batches

    with large_batches(nlp) if precision == EXACT else accelerate(nlp, precision):
        yield


def check_processes(n_process: int) -> None:
    """RAISES (ModelError): Several processes were to read on a GPU."""
    if n_process > 1 and on_gpu():
        raise ModelError(
            f"{n_process} processes were to read on a GPU, which one process keeps busy; the others would read on the CPU. "
            "Leave --n-process out, or --gpu-id. Several GPUs: --engine ray --worker-gpus 1."
        )


def read_texts(texts: Sequence[str], read_chunks: ReadChunks, *, tick: Callable[[float], Any]) -> list[Reading]:
    """Return each text's reading, in order. Texts of similar length are read together, the longest first.

    tick: Called with the share of the work, 0 to 1, that was done since the last call.
    """
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
    chunks = list(cut_chunks(order, texts, most=CHUNK_CHARACTERS))
    readings: dict[int, Reading] = {}
    n_characters = sum(map(len, texts)) + len(texts)
    found = read_chunks([[texts[i] for i in chunk] for chunk in chunks])
    for chunk, said in zip(chunks, found, strict=True):
        readings.update(zip(chunk, said, strict=True))
        tick(sum(len(texts[i]) + 1 for i in chunk) / n_characters)
    give_back_memory()
    return [readings[i] for i in range(len(texts))]


def give_back_memory() -> None:
    """Return freed memory to the system: glibc keeps it in pieces, and more and more of them are too small for a batch."""
    if sys.platform == "linux":  # Other C libraries have no such function.
        getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: None)(0)


def cut_chunks(order: Sequence[int], texts: Sequence[str], *, most: int) -> Iterator[list[int]]:
    """Yield chunks of up to `CHUNK_TEXTS` texts and up to `most` characters, so that they cost about the same."""
    chunk: list[int] = []
    n_characters = 0
    for i in order:
        if chunk and (len(chunk) == CHUNK_TEXTS or n_characters + len(texts[i]) > most):
            yield chunk
            chunk, n_characters = [], 0
        chunk.append(i)
        n_characters += len(texts[i])
    if chunk:
        yield chunk


def read_chunk(nlp: Language, describe: Describe, texts: Sequence[str], *, batch_size: int) -> list[Reading]:
    """Return each text's reading. If the pipeline fails on a text, its reading says so, and the others are read.

    describe: Makes the reading of a doc that the pipeline has read, and keeps nothing of the doc.
    RAISES (Exception): The pipeline's own, if it fails on each of several texts: then the texts are not to blame.
    """
    try:
        return _pipe(nlp, describe, texts, batch_size=count_at_once(batch_size, len(texts[0])))
    except FalconerError:
        raise
    except Exception as error:
        if len(texts) == 1:
            return [Reading(failure=f"the pipeline fails on it: {type(error).__name__}: {str(error)[:200]}")]
        readings = [read_chunk(nlp, describe, [text], batch_size=1)[0] for text in texts]
        if all(reading.failure for reading in readings):
            raise
        return readings


def count_at_once(batch_size: int, n_characters: int) -> int:
    """Return how many texts are read at once if the longest of them has `n_characters` characters."""
    most = batch_size * TIMES_ON_GPU if on_gpu() else batch_size
    return max(1, min(most, BATCH_CHARACTERS // (n_characters + 1)))


def make_describe(nlp: Language) -> Describe:
    """Make the function that describes docs on which the plan was run."""
    return partial(read_doc, detect=make_detector(nlp.lang))


def read_doc(doc: Doc, detect: Detector) -> Reading:
    """Return what was mined from a doc, its number of unread tokens, and its language if that is not the pipeline's."""
    return Reading(tuple(find_mined(doc)), doc.user_data.get("n_unread_tokens", 0), detect(*texts_of([doc])))


def keep_words(nlp: Language, texts: Iterable[str]) -> None:
    """Add words to the vocabulary for good, up to `KEPT_WORDS`, so that they need not be made again for every chunk."""
    for text in texts:
        if len(nlp.vocab) >= KEPT_WORDS:
            return
        nlp.make_doc(text)


def _pipe(nlp: Language, describe: Describe, texts: Sequence[str], *, batch_size: int) -> list[Reading]:
    keep_words(nlp, texts)
    units = map(partial(make_sentence, nlp), texts) if reads_sentences(nlp) else texts
    with nlp.memory_zone():
        try:
            return [describe(doc) for doc in nlp.pipe(units, batch_size=batch_size)]
        except Exception as error:
            failure = error.with_traceback(None)  # The traceback holds docs, which do not outlive the zone.
    raise failure


_read_here: Callable[[Sequence[str]], list[Reading]]
_open = ExitStack()  # For as long as the process lives.


def _start(folder: str, max_length: int, n_threads: int, batch_size: int, precision: str) -> None:
    """Prepare a process that reads, and that ends when its parent process does, however that ends."""
    global _read_here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent gets the signal, too, and ends this process.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(n_threads)
    nlp = spacy.load(folder)
    nlp.max_length = max_length  # Which is not saved.
    _open.enter_context(read_in(nlp, precision))
    _read_here = partial(read_chunk, nlp, make_describe(nlp), batch_size=batch_size)


def _read_among(pool: ProcessPoolExecutor, n_process: int, chunks: Sequence[Sequence[str]]) -> Iterator[list[Reading]]:
    """Read chunks, cut finer if there are few: each process gets several, so that none waits long for the others at the end."""
    most = max(MIN_CHARACTERS, sum(len(text) for chunk in chunks for text in chunk) // (n_process * CHUNKS_EACH))
    pieces = [
        [[chunk[i] for i in some] for some in cut_chunks(range(len(chunk)), chunk, most=most)] for chunk in chunks
    ]
    said = pool.map(_read, [piece for some in pieces for piece in some])
    for some in pieces:
        yield [reading for _ in some for reading in next(said)]


def _read(texts: Sequence[str]) -> list[Reading]:
    return _read_here(texts)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
