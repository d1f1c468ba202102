"""One metamodel for all instructions, one for each primitive, or one for each instruction.

    python -m benchmarks.paper number --shared SHARED --work DIR --corpus bio

SHARED has answers/ and corpora/ of the corpora "bio" and "reviews". Every metamodel starts from the shipped pipeline and learns from the
same --n recorded answers of a seed, as long as any other does. F1, macro over the instructions, against the language model's answers
to texts that were not learned from; mean and standard deviation over the seeds.

"training s": of the processor, all metamodels together. "texts/s": texts that have all answers in a second of the processor, one
thread, all metamodels one after the other, the best of two passes, measured in one run with the shipped pipeline's weights. "MB of weights":
parameters of all metamodels, as they are in memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import spacy
import torch
import typer
from spacy.language import Language
from wasabi import table

from benchmarks.endtoend.corpora import Corpus, read_corpora
from benchmarks.metamodel.results import spread
from benchmarks.paper.kept import Json, keep, open_work, shorten
from benchmarks.paper.learned import KINDS, join, learn_part, take_steps
from spacy_falconer.pipeline.callbacks import add_instructions
from spacy_falconer.pipeline.source import find_base
from spacy_falconer.plan import Plan

OWN = Path(__file__).parents[1] / "endtoend" / "data"
SHARED, BY_PRIMITIVE, BY_INSTRUCTION = "one for all", "one for each primitive", "one for each instruction"
N_PASSES, N_WARM, MAX_TEXTS = 2, 8, 100


def main(
    # fmt: off
    work: Path = typer.Option(..., help="Folder for the scores"),
    shared: Path = typer.Option(None, help="Folder with answers/ and corpora/", exists=True),
    own: Path = typer.Option(OWN, help="Folder with our own corpora, and all plans", exists=True),
    corpus: list[str] = typer.Option(["bio", "reviews"], help="Which corpora"),
    n: int = typer.Option(64, help="Answers to learn from"),
    n_seeds: int = typer.Option(3, help="How many seeds"),
    steps: int = typer.Option(None, hidden=True),
    # fmt: on
):
    torch.set_num_threads(1)
    folder, body = open_work(work, steps), []
    for one in read_corpora(shared, own, work, corpus):
        speeds = keep(folder / "speed" / f"{one.name}-{one.digest[:8]}.json", lambda one=one: measure(one))
        for name, parts in part_instructions(one.whole).items():
            made = [
                join([learn_part(one, part, n=n, seed=seed, work=folder, overrides=shorten(steps)) for part in parts])
                for seed in range(n_seeds)
            ]
            body.append(format_row(one.name, name, len(parts), made, speeds[name]))
    print(format_table(body))


def part_instructions(plan: Plan) -> dict[str, list[list[str]]]:
    """The ids of the instructions that share a metamodel, for each way to part them."""
    primitives = [[step.id for step in plan.text_steps(op)] for op in ("get_label", "get_span")]
    every = [key for keys in primitives for key in keys]
    return {
        SHARED: [every],
        BY_PRIMITIVE: [keys for keys in primitives if keys],
        BY_INSTRUCTION: [[key] for key in every],
    }


def measure(corpus: Corpus) -> Json:
    """Texts a second and bytes of weights, for each way to part the instructions."""
    texts, found = corpus.texts[:MAX_TEXTS], {}
    for name, parts in part_instructions(corpus.whole).items():
        seconds, n_bytes = 0.0, 0
        for keys in parts:
            nlp = spacy.load(find_base())
            add_instructions(nlp, take_steps(corpus.whole, keys))
            seconds += time_reading(nlp, texts)
            n_bytes += count_bytes(nlp)
        found[name] = {"texts_per_s": len(texts) / seconds, "n_bytes": n_bytes}
    return found


def time_reading(nlp: Language, texts: Sequence[str]) -> float:
    """Seconds of the processor, the best of several passes."""
    for _ in nlp.pipe(texts[:N_WARM]):
        pass
    passes = []
    for _ in range(N_PASSES):
        start = time.process_time()
        for _ in nlp.pipe(texts):
            pass
        passes.append(time.process_time() - start)
    return min(passes)


def count_bytes(nlp: Language) -> int:
    """Bytes of all parameters, those of torch and those of thinc."""
    return sum(list_sizes(nlp))


def list_sizes(nlp: Language) -> Iterator[int]:
    models = [pipe.model for _, pipe in nlp.components if hasattr(pipe, "model")]
    for node in (node for model in models for node in model.walk()):
        yield from (node.get_param(name).nbytes for name in node.param_names if node.has_param(name))
        for shim in node.shims:
            yield from (one.numel() * one.element_size() for one in shim._model.parameters())


def format_row(corpus: str, name: str, n_models: int, made: Sequence[Json], speed: Json) -> list[str]:
    f1 = [spread([one[kind] for one in made if one[kind] is not None]) for kind in KINDS]
    seconds = f"{sum(one['seconds'] for one in made) / len(made):.0f}"
    return [corpus, name, str(n_models), *f1, seconds, f"{speed['texts_per_s']:.1f}", f"{speed['n_bytes'] / 2**20:.0f}"]


def format_table(body: Sequence[Sequence[str]]) -> str:
    header = ["corpus", "metamodels", "how many", "labels F1", "spans F1", "training s", "texts/s", "MB of weights"]
    return table(body, header=header, divider=True, aligns=["l", "l", *"r" * 6])
