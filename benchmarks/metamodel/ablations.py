"""What each choice in the metamodel and its pre-training is worth, after a few minutes of training.

    python -m benchmarks.metamodel.ablations --data DATA --corpora CORPORA --own pretraining/data --output runs

Every variant trains afresh on the same draws for the same number of steps (--steps) with one thread, at three times the
rate of a long run, then answers the held-out
development sets zero-shot: spans, strict micro F1 at the best of nine thresholds (after so few steps no score is near
0.5), mean over sets; labels, accuracy, mean over sets. Give --seeds 0,1,2 and --only NAME for those that decide. Results
are kept in OUTPUT/results.jsonl, and a variant that is there is not run again. --table only prints.
"""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import typer
from wasabi import table

from benchmarks.metamodel import variants
from benchmarks.metamodel.results import add_result, read_results, spread
from benchmarks.page import on_page
from spacy_falconer.metamodel.encoder import find_encoder
from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain.loop import LOG, pretrain
from spacy_falconer.metamodel.pretrain.settings import PretrainSettings

OPEN, TYPES, CORPORA, RECURRING = "open_instructions", "open_types", "corpora", "recurring"
BASE = "ours"
VARIANTS: dict[str, dict[str, Any]] = {
    BASE: {},
    "head: attending labels": {"head": "attending labels"},
    "head: cross-attention": {"head": "cross-attention"},
    "head: joint reading": {"head": "joint reading"},
    "spans: start and end": {"head": "start and end"},
    "labels only": {"span_weight": 0.0},
    "spans only": {"label_weight": 0.0},
    "label loss x 0.3": {"label_weight": 0.3},
    "label loss x 3": {"label_weight": 3.0},
    "vectors free to drift": {"drift_weight": 0.0},
    "vectors held thrice as much": {"drift_weight": 3.0},
    "word embeddings tuned": {"freeze_words": False},
    "mix: public labels and spans alone": {"leave_out": (OPEN, TYPES, CORPORA, "nlupp_instructions", *sets.QUESTIONS)},
    "mix: without open instructions": {"leave_out": (OPEN,)},
    "mix: without our own texts": {"leave_out": (TYPES, CORPORA)},
    "mix: without questions": {"leave_out": sets.QUESTIONS},
    "mix: recurring words too": {"recurring": 0.25},
    "mix: recurring words alone": {"recurring": 1.0, "leave_out": (
        OPEN, TYPES, CORPORA, *sets.SPANS, *sets.LABELS, *sets.QUESTIONS, "nlupp_instructions")},
    "texts up to 500 characters": {"max_characters": 500},
}  # fmt: skip


def main(
    # fmt: off
    data: Path = typer.Option(..., help="Folder of data sets", exists=True),
    corpora: Path = typer.Option(..., help="Folder of texts never to train on", exists=True),
    own: Path = typer.Option(..., help="Folder with types.jsonl.gz and corpora.jsonl.gz", exists=True),
    output: Path = typer.Option(..., help="Folder for the results"),
    steps: int = typer.Option(280, help="Steps of each run; 280 take five minutes on one core that is free"),
    seeds: str = typer.Option("0", help="Comma-separated"),
    only: list[str] = typer.Option([], help="Run these variants alone"),
    n_texts: int = typer.Option(200, help="Most texts of each held-out set"),
    show: bool = typer.Option(False, "--table", help="Print the table of what there is"),
    # fmt: on
):
    output.mkdir(parents=True, exist_ok=True)
    results = output / "results.jsonl"
    places = {"data": data, "corpora": corpora, "own": own, "encoder": str(find_encoder(ENCODER))}
    for seed in () if show else [int(seed) for seed in seeds.split(",")]:
        for name in only or VARIANTS:
            if (name, seed) not in {(line["variant"], line["seed"]) for line in read_results(results)}:
                line = run(name, seed, steps, n_texts, output / "run", places)
                add_result(results, line)
    print(make_table(read_results(results)))


ENCODER = "sentence-transformers/all-MiniLM-L6-v2"


def run(name: str, seed: int, steps: int, n_texts: int, folder: Path, places: Mapping[str, Any]) -> dict[str, Any]:
    """Train a variant afresh and score it. RETURNS: Its name and seed, seconds of training, scores by held-out set."""
    shutil.rmtree(folder, ignore_errors=True)
    options = dict(VARIANTS[name])
    build: Callable = partial(variants.build, options.pop("head", "light"))
    settings = PretrainSettings(
        output=folder, max_steps=steps, seed=seed, encoder_rate=3e-4, head_rate=2e-3, n_threads=1, n_score_texts=n_texts, minutes_per_checkpoint=1e6,
        minutes_per_score=1e6, **places, **options,
    )  # fmt: skip
    started = time.process_time()
    pretrain(settings, build=build, clock=time.process_time)
    lines = [json.loads(line) for line in (folder / LOG).open(encoding="utf8")]
    return {
        "variant": name, "seed": seed, "steps": steps, "seconds": round(time.process_time() - started),
        "training": round(60 * lines[-1]["minutes"]), "n_texts": lines[-1]["n_texts"],
        "scores": {key: value for key, value in lines[-1].items() if key.rpartition("_")[2] in ("f", "acc", "best")},
        "spans": statistics.mean(lines[-1][f"{held}_best"] for held in sets.HELD_OUT_SPANS),
        "labels": lines[-1]["labels"],
    }  # fmt: skip


def make_table(lines: list[dict[str, Any]]) -> str:
    rows = []
    for name in VARIANTS:
        found = [line for line in lines if line["variant"] == name]
        if found:
            columns = [[line[key] for line in found] for key in ("spans", "labels", "training")]
            rows.append((name, len(found), *(spread(column) for column in columns[:2]), f"{max(columns[2])}"))
    header = ["variant", "seeds", "spans F1", "labels accuracy", "seconds"]
    return table(rows, header=header, divider=True, max_col=max(map(len, VARIANTS)))


if __name__ == "__main__":
    with on_page():
        typer.run(main)
