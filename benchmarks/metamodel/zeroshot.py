"""How well a pipeline follows instructions of sets that it never saw, without any answers.

    python -m benchmarks.metamodel.zeroshot --data DATA --pipeline assets/en_falconer_sm

DATA is the folder of data sets. Instructions are the sets' label meanings. Spans: strict micro F1 of the best spans that
do not overlap, at the pipeline's default threshold. Labels: how often the label with the highest score is a right one,
beside the cosine of MiniLM's sentence vectors; and micro F1 at that threshold. --untouched takes the sets that nothing was chosen by.

ECE: the expected calibration error of the scores as they are, without any answers: how far they are from the share that is
right, over ten bins of equal mass, with its 95% interval over resampled texts. Of labels every pair of a text and a label has a score;
of spans every one found with a score of at least 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import ClassVar

import numpy
import spacy
import torch
import typer
from wasabi import table

from benchmarks.page import on_page
from spacy_falconer.metamodel.encoder import find_encoder
from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain.checkpoint import read_model
from spacy_falconer.metamodel.pretrain.model import Metamodel
from spacy_falconer.metamodel.pretrain.read import TextReader
from spacy_falconer.metamodel.pretrain.score import (
    BATCH_SIZE,
    THRESHOLDS,
    HeldOut,
    ReadSpans,
    compute_f,
    count_best,
    count_labels,
    count_spans,
    read_held_out,
    read_labels,
    read_spans,
)  # fmt: skip
from spacy_falconer.metamodel.reliability import Measured, measure_ece
from spacy_falconer.pipeline.components import find_instructed
from spacy_falconer.pipeline.source import find_base

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def main(
    # fmt: off
    data: Path = typer.Option(..., help="Folder of data sets", exists=True),
    pipeline: Path = typer.Option(None, help="The pipeline; by default the shipped one"),
    split: str = typer.Option("test", help="Which part of the sets: dev or test"),
    n_texts: int = typer.Option(1000, help="Most texts of each set"),
    untouched: bool = typer.Option(False, help="The sets that were kept aside"),
    # fmt: on
):
    names = sets.UNTOUCHED if untouched else (*sets.HELD_OUT_SPANS, *sets.HELD_OUT_LABELS)
    held_out = read_held_out(data, names, split=split, n_texts=n_texts, seed=0)
    model, reader, threshold = read_pipeline(pipeline or find_base())
    cosine, _ = read_model(find_encoder(MINILM), hidden_width=8, dropout=0.0)
    rows = [score_set(model, cosine.eval(), reader, held, threshold) for held in held_out]
    print(table([row.cells() for row in rows], header=Row.HEADER, divider=True))
    for kind in ("span", "label"):
        of_kind = [row for row in rows if (row.accuracy is None) == (kind == "span")]
        if of_kind:
            print(format_means(kind, of_kind))


@dataclass(frozen=True)
class Row:
    """Of a held-out set: F1 by threshold, and the calibration error; of labels, accuracy, and that of the cosine."""

    HEADER: ClassVar = ["set", "texts", "labels", "F1", "best F1", "ECE", "accuracy", "cosine"]

    name: str
    n_texts: int
    n_labels: int
    f1: list[float]
    threshold: float
    ece: Measured | None = None
    accuracy: float | None = None
    cosine: float | None = None

    def cells(self) -> list[str]:
        f1, accuracies = (self.f1[THRESHOLDS.index(self.threshold)], max(self.f1)), (self.accuracy, self.cosine)
        error = f"{self.ece.value:.3f} ({self.ece.low:.3f} to {self.ece.high:.3f})" if self.ece else ""
        return [
            self.name, str(self.n_texts), str(self.n_labels), *(f"{value:.3f}" for value in f1), error,
            *("" if value is None else f"{value:.3f}" for value in accuracies),
        ]  # fmt: skip


@torch.inference_mode()
def score_set(model: Metamodel, cosine: Metamodel, reader: TextReader, held: HeldOut, threshold: float) -> Row:
    size = (held.name, len(held.rows), len(held.instructions))
    if any(row.spans for row in held.rows):
        read = read_spans(model, reader, held)
        return Row(*size, [compute_f(*row) for row in count_spans(read)], threshold, measure_spans(read))
    scores, right = read_labels(model, reader, held)
    error = measure_ece(scores.ravel(), right.ravel(), texts=numpy.repeat(numpy.arange(len(scores)), scores.shape[1]))
    accuracy, base = count_best(scores, right) / len(held.rows), score_cosine(cosine, reader, held)
    return Row(*size, [compute_f(*row) for row in count_labels(scores, right)], threshold, error, accuracy, base)


def measure_spans(read: Sequence[ReadSpans]) -> Measured | None:
    """The calibration error of the spans that are found; None where none is."""
    rows = [
        (span.score, (span.start, span.end, span.label) in text.wanted, number)
        for number, text in enumerate(read) for span in text.found
    ]  # fmt: skip
    scores, right, texts = zip(*rows, strict=True) if rows else ((), (), ())
    return measure_ece(scores, right, texts=texts)


def format_means(kind: str, rows: Sequence[Row]) -> str:
    by_threshold = [mean(column) for column in zip(*(row.f1 for row in rows), strict=True)]
    lines = [f"{kind} sets, mean F1 by threshold: " + ", ".join(
        f"{threshold} {value:.3f}" for threshold, value in zip(THRESHOLDS, by_threshold, strict=True))]  # fmt: skip
    if any(row.ece for row in rows):
        lines.append(f"mean ECE {mean(row.ece.value for row in rows if row.ece):.3f}")
    if kind == "label":
        lines.append(
            f"mean accuracy {mean(row.accuracy for row in rows):.3f}, cosine {mean(row.cosine for row in rows):.3f}"
        )
    return "\n".join(lines)


def read_pipeline(path: Path) -> tuple[Metamodel, TextReader, float]:
    """A pipeline's encoder and heads as the plain torch model that is scored, and its threshold without answers."""
    nlp = spacy.load(path)
    label, span = find_instructed(nlp)
    encoder = next(proc.model for _, proc in nlp.components if label.name in getattr(proc, "listening_components", ()))
    model = Metamodel(
        encoder.transformer, hidden_width=label.model.get_ref("head").shims[0].cfg["hidden_width"], dropout=0.0
    )
    for pipe, head in ((label, model.label), (span, model.span)):
        head.load_state_dict(pipe.model.get_ref("head").shims[0]._model.head.state_dict())
    return model.eval(), TextReader(spacy.blank("en"), encoder.tokenizer), span.cfg["threshold"]


@torch.inference_mode()
def score_cosine(model: Metamodel, reader: TextReader, held: HeldOut) -> float:
    """How often the label whose instruction is most like the text is a right one."""
    labels = list(held.instructions)
    wanted = torch.nn.functional.normalize(read_means(model, reader, list(held.instructions.values())), dim=-1)
    n_right = 0
    for start in range(0, len(held.rows), BATCH_SIZE):
        rows = held.rows[start : start + BATCH_SIZE]
        best = (read_means(model, reader, [row.text for row in rows]) @ wanted.T).argmax(dim=-1)
        n_right += sum(labels[place] in row.labels for place, row in zip(best.tolist(), rows, strict=True))
    return n_right / len(held.rows)


def read_means(model: Metamodel, reader: TextReader, texts: list[str]) -> torch.Tensor:
    return model.read_means(reader.read_all(texts)[0])


if __name__ == "__main__":
    with on_page():
        typer.run(main)
