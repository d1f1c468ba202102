"""Zero-shot quality on held-out sets: labels and mentions of corpora of which no set was trained on.

Spans: strict micro F1 of the best spans that do not overlap, whatever their labels. Labels: how often the label with the
highest score is right, and micro F1 of those that reach the threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy
import torch
from numpy.typing import NDArray

from spacy_falconer.metamodel.decode import decode_spans
from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain.data import Row
from spacy_falconer.metamodel.pretrain.instructions import Meanings, find_meaning, read_meanings
from spacy_falconer.metamodel.pretrain.model import Metamodel
from spacy_falconer.metamodel.pretrain.read import Pieces, Reading, TextReader

BATCH_SIZE = 32
THRESHOLD = 0.5
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# How the labels of a held-out set are worded if the data folder has no sentence for them: their names in these frames.
FRAMES = {
    "banking77": "The customer asks about {}.",
    "goemotions": "The writer expresses {}.",
    "snips_intent": "The user wants to {}.",
    "mams_categories": "The text speaks {1}ly about the {0}.",
}


@dataclass(frozen=True)
class HeldOut:
    """A sample of a held-out set. `instructions` is keyed by label."""

    name: str
    rows: Sequence[Row]
    instructions: Mapping[str, str]


@dataclass(frozen=True)
class Found:
    """A span of characters for a label."""

    start: int
    end: int
    label: str
    score: float


def read_held_out(data: Path, names: Iterable[str], *, split: str, n_texts: int, seed: int) -> list[HeldOut]:
    meanings = read_meanings(data)
    return [_read_sample(data, name, meanings, split, n_texts, Random(f"{seed} {name}")) for name in names]


def score_model(model: Metamodel, reader: TextReader, held_out: Iterable[HeldOut]) -> dict[str, float]:
    """Return F1 of each set (`NAME_f`, at its best threshold `NAME_best`), for labels also accuracy (`NAME_acc`), and means."""
    training = model.training
    model.eval()
    scores: dict[str, float] = {}
    with torch.inference_mode():
        for held in held_out:
            is_spans = any(row.spans for row in held.rows)
            scores.update((score_spans if is_spans else score_labels)(model, reader, held))
    model.train(training)
    return {**scores, **average_scores(scores)}


def score_spans(model: Metamodel, reader: TextReader, held: HeldOut) -> dict[str, float]:
    return summarize(held.name, count_spans(read_spans(model, reader, held)))


def score_labels(model: Metamodel, reader: TextReader, held: HeldOut) -> dict[str, float]:
    scores, right = read_labels(model, reader, held)
    return {
        f"{held.name}_acc": count_best(scores, right) / len(held.rows),
        **summarize(held.name, count_labels(scores, right)),
    }


def summarize(name: str, counts: NDArray) -> dict[str, float]:
    """Return F1 at the default threshold, and at the best one."""
    by_threshold = [compute_f(*row) for row in counts.tolist()]
    return {f"{name}_f": by_threshold[THRESHOLDS.index(THRESHOLD)], f"{name}_best": max(by_threshold)}


@dataclass(frozen=True)
class ReadSpans:
    """The spans of a text that reach the lowest of `THRESHOLDS`, and the places and labels that are right."""

    found: Sequence[Found]
    wanted: set[tuple[int, int, str]]


def read_spans(model: Metamodel, reader: TextReader, held: HeldOut) -> list[ReadSpans]:
    instructions = model.read_means(_read(model, reader, list(held.instructions.values()))[0])
    read = []
    for rows in _split(held.rows):
        pieces, readings = _read(model, reader, [row.text for row in rows])
        logits = model.span(model.encode(pieces), pieces.lengths, instructions)  # (N, K, 3)
        for row, reading, text in zip(
            rows, readings, logits.softmax(-1).cpu().split(pieces.lengths.tolist()), strict=True
        ):
            wanted = {(start, end, label) for label, spans in row.spans.items() for start, end in spans}
            read.append(
                ReadSpans(find_spans(text.numpy(), reading, list(held.instructions), threshold=THRESHOLDS[0]), wanted)
            )
    return read


def read_labels(model: Metamodel, reader: TextReader, held: HeldOut) -> tuple[NDArray, NDArray]:
    """Return the scores of all labels, and which are right, both of shape (n_texts, K)."""
    labels, scores, right = list(held.instructions), [], []
    instructions = model.read_means(_read(model, reader, list(held.instructions.values()))[0])
    for rows in _split(held.rows):
        pieces, _ = _read(model, reader, [row.text for row in rows])
        logits = model.label(model.encode(pieces), pieces.lengths, instructions)  # (B, K)
        scores.append(logits.sigmoid().cpu().numpy())
        right += [[label in row.labels for label in labels] for row in rows]
    return numpy.concatenate(scores), numpy.array(right)


def count_spans(read: Sequence[ReadSpans]) -> NDArray:
    """Count the spans that are right, found and wanted, at each of `THRESHOLDS`, shape (n_thresholds, 3)."""
    counts = numpy.zeros((len(THRESHOLDS), 3))
    for text in read:
        for place, threshold in enumerate(THRESHOLDS):  # Spans above it were kept first, whatever is below.
            found = {(span.start, span.end, span.label) for span in text.found if span.score >= threshold}
            counts[place] += len(found & text.wanted), len(found), len(text.wanted)
    return counts


def count_labels(scores: NDArray, right: NDArray) -> NDArray:
    """Count the labels that are right, found and wanted, at each of `THRESHOLDS`, shape (n_thresholds, 3)."""
    found = scores >= numpy.reshape(THRESHOLDS, (-1, 1, 1))  # (n_thresholds, n_texts, K)
    return numpy.stack([(found & right).sum((1, 2)), found.sum((1, 2)), [right.sum()] * len(found)], axis=1)


def count_best(scores: NDArray, right: NDArray) -> int:
    """Count the texts whose label with the highest score is right."""
    return int(right[range(len(right)), scores.argmax(axis=1)].sum())


def find_spans(
    scores: NDArray, reading: Reading, labels: Sequence[str], *, threshold: float = THRESHOLD
) -> list[Found]:
    """Find the spans that reach the threshold, as the component does: best first, without overlaps.

    scores: B, I, O scores, shape (n_tokens, K, 3).
    """
    found = decode_spans(scores, [len(reading)])
    found = found.take(found.score >= threshold)
    rows = zip(found.instruction.tolist(), found.start.tolist(), found.end.tolist(), found.score.tolist(), strict=True)
    return keep_best(Found(*reading.find_characters(start, end), labels[k], score) for k, start, end, score in rows)


def keep_best(spans: Iterable[Found]) -> list[Found]:
    kept: list[Found] = []
    for span in sorted(spans, key=lambda span: (-span.score, span.start, span.label)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return kept


def compute_f(n_right: int, n_found: int, n_wanted: int) -> float:
    return 2 * n_right / (n_found + n_wanted) if n_found + n_wanted else 0.0


def word_held_out(meanings: Meanings, name: str, label: str) -> str:
    """Return the instruction of a held-out label."""
    if name == "mams_categories":
        return FRAMES[name].format(*label.split(":"))
    return FRAMES.get(name, "{}").format(find_meaning(meanings, name, label))


def _read_sample(data: Path, name: str, meanings: Meanings, split: str, n_texts: int, rng: Random) -> HeldOut:
    rows = sets.read_rows(data, name, split)
    labels = sorted({label for row in rows for label in (*row.spans, *row.labels)})
    sample = rng.sample(rows, min(n_texts, len(rows)))
    return HeldOut(name, sample, {label: word_held_out(meanings, name, label) for label in labels})


def _read(model: Metamodel, reader: TextReader, texts: Sequence[str]) -> tuple[Pieces, list[Reading]]:
    pieces, readings = reader.read_all(texts)
    return pieces.to(next(model.parameters()).device), readings


def _split(rows: Sequence[Row]) -> Iterable[Sequence[Row]]:
    by_length = sorted(rows, key=lambda row: len(row.text))
    return (by_length[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE))


def average_scores(scores: Mapping[str, float]) -> dict[str, float]:
    """Average scores. Each kind of set counts alike in the mean, however many sets of it there are."""
    spans = [value for key, value in scores.items() if key[:-2] in sets.HELD_OUT_SPANS]
    labels = [value for key, value in scores.items() if key.endswith("_acc")]
    means = {"spans": sum(spans) / max(1, len(spans)), "labels": sum(labels) / max(1, len(labels))}
    return {**means, "mean": (means["spans"] + means["labels"]) / 2}
