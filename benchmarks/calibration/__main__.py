"""Do scores mean what they say? Calibration error on the shared test answers, before and after calibration.

    python -m benchmarks.calibration SHARED --pipelines DIR --json calibration.json

Trains one pipeline a corpus on SHARED's training answers (or takes the one that an earlier run left in DIR), and prints,
for labels and for spans, the expected calibration error over ten bins of equal mass with its 95% interval (resampled
texts): of every instruction, of each corpus and of all together. "before" are the scores of the heads, "after" those that
the pipeline writes, with the calibrations that its training fitted. A span is right where it is exactly one of the
answers. "candidates" are all passages that the component considers; "written" are those that it writes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import zip_longest
from pathlib import Path
from random import Random

import numpy
import spacy
import srsly
import typer
from spacy.language import Language
from spacy.tokens import Doc
from wasabi import table

from benchmarks.convert import main as convert
from benchmarks.page import on_page
from spacy_falconer.metamodel.reliability import Measured, ReliabilityBin, measure_ece, measure_reliability
from spacy_falconer.metamodel.threshold import Candidates, pool
from spacy_falconer.pipeline.source import find_base
from spacy_falconer.plan import read_plan
from spacy_falconer.workflow.answers import read_answers
from spacy_falconer.workflow.thresholds import calibrate_all, read_candidates
from spacy_falconer.workflow.train import train

Sets = dict[str, dict[str, tuple[Candidates, Candidates]]]  # kind -> instruction -> before, after


def main(
    # fmt: off
    shared: Path = typer.Argument(..., help="Folder with answers/ and corpora/", exists=True),
    corpus: list[str] = typer.Option(["bio", "reviews"], help="Whose answers"),
    n: int = typer.Option(10_000, help="Learn from so many answers at most"),
    seed: int = typer.Option(0, help="Seed of the answers and of the training"),
    pipelines: Path = typer.Option(None, help="Keep the trained pipelines here, and take those that are here"),
    json_file: Path = typer.Option(None, "--json", help="Write all numbers to this file"),
    # fmt: on
):
    found: dict[str, Sets] = {}
    with tempfile.TemporaryDirectory() as name:
        for one in corpus:
            found[one] = measure_corpus(one, shared, pipelines or Path(name), n, seed)
    rows = [
        {"kind": kind, "of": label, "before": make_row(before), "after": make_row(after)}
        for kind in ("labels", "spans: candidates", "spans: written")
        for label, before, after in list_parts({name: sets[kind] for name, sets in found.items()})
    ]
    print(format_errors(rows))
    for row in rows:
        if row["of"] == "all":
            print(f"\n{row['kind']}, all instructions: what scores say, and what is right")
            print(format_curves(row["before"]["bins"], row["after"]["bins"]))
    if json_file is not None:
        srsly.write_json(json_file, rows)


def measure_corpus(name: str, shared: Path, folder: Path, n: int, seed: int) -> Sets:
    """Candidates of the test answers with the scores of before and after."""
    with tempfile.TemporaryDirectory() as converted:
        convert(shared, name, Path(converted))
        plan = read_plan(Path(converted) / f"{name}-plan.json")
        docs, tests = (
            read_answers(Path(converted) / f"{name}-{part}.jsonl", plan, spacy.blank("en"))[0]
            for part in ("train", "test")
        )
    chosen = Random(seed).sample(docs, min(n, len(docs)))
    path = folder / f"{name}-{len(chosen)}-{seed}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        train(plan, chosen, source=find_base(), seed=seed, quiet=True)[0].to_disk(path)
    print(f"{name}: {len(chosen)} answered texts to learn from, {len(tests)} to test on, seed {seed}", flush=True)
    return read_sets(spacy.load(path), tests)


def read_sets(nlp: Language, tests: list[Doc]) -> Sets:
    (label, labels), (span, spans) = read_candidates(nlp, tests)
    pairs = [{key: (before[key], after[key]) for key in before} for before, after in (
        (labels, calibrate_all(label, labels)), (spans, calibrate_all(span, spans))
    )]  # fmt: skip
    written = {
        key: tuple(keep(side, after.scores >= span.threshold_of(key)) for side in (before, after))
        for key, (before, after) in pairs[1].items()
    }
    return {"labels": pairs[0], "spans: candidates": pairs[1], "spans: written": written}


def keep(part: Candidates, rows: numpy.ndarray) -> Candidates:
    names = ("scores", "hits", "weights", "texts")
    return replace(part, **{name: getattr(part, name)[rows] for name in names})


def list_parts(
    found: dict[str, dict[str, tuple[Candidates, Candidates]]],
) -> Iterator[tuple[str, Candidates, Candidates]]:
    """Every instruction's candidates, each corpus's together, and all together."""
    for name, parts in found.items():
        for key, (before, after) in parts.items():
            yield f"{name} {key}", before, after
        yield (f"{name}, together", *(pool(side) for side in zip(*parts.values(), strict=True)))
    sides = zip(*(both for parts in number_apart(found).values() for both in parts.values()), strict=True)
    yield ("all", *(pool(side) for side in sides))


def number_apart(found: dict) -> dict:
    """The texts of each corpus get numbers of their own."""
    return {
        name: {
            key: tuple(replace(part, texts=part.texts + 1_000_000 * i) for part in both) for key, both in parts.items()
        }
        for i, (name, parts) in enumerate(found.items())
    }


def make_row(part: Candidates) -> dict:
    error = measure_ece(part.scores, part.hits, texts=part.texts)
    bins = measure_reliability(part.scores, part.hits)
    return {"n": len(part.scores), "ece": error and asdict(error), "bins": [asdict(one) for one in bins]}


def format_errors(rows: list[dict]) -> str:
    body = [
        [row["kind"], row["of"], *(cell for side in ("before", "after") for cell in format_side(row[side]))]
        for row in rows
    ]
    header = ["", "of", "n", "ECE before", "n", "ECE after"]
    return table(body, header=header, divider=True)


def format_side(side: dict) -> tuple[str, str]:
    error = Measured(**side["ece"]) if side["ece"] else None
    return str(side["n"]), f"{error.value:.3f} ({error.low:.3f} to {error.high:.3f})" if error else ""


def format_curves(before: list[dict], after: list[dict]) -> str:
    """Both reliability curves, bin by bin."""
    sides = [[format_bin(ReliabilityBin(**one)) for one in bins] for bins in (before, after)]
    body = [[cell for one in both for cell in one] for both in zip_longest(*sides, fillvalue=("", ""))]
    header = ["score before", "right", "score after", "right"]
    return table(body, header=header, divider=True)


def format_bin(one: ReliabilityBin) -> tuple[str, str]:
    return f"{one.score:.2f}", f"{one.right:.2f} ({one.low:.2f} to {one.high:.2f}), n {one.n}"


if __name__ == "__main__":
    with on_page():
        typer.run(main)
