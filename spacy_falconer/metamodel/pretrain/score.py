"""Zero-shot quality on held-out sets: labels and mentions that no set of the same corpus was trained on.

Spans: strict micro F1 of the best spans that do not overlap, whichever label they are of. Labels: how often the label
with the highest score is a right one; and micro F1 of what reaches the threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from numpy.typing import NDArray
from spacy.tokens import Doc

from spacy_falconer.metamodel.decode import decode_spans
from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain.collate import Pieces, TextReader
from spacy_falconer.metamodel.pretrain.data import Row
from spacy_falconer.metamodel.pretrain.instructions import Meanings, find_meaning, read_meanings
from spacy_falconer.metamodel.pretrain.model import Metamodel

BATCH_SIZE = 32
THRESHOLD = 0.5
# How a held-out set's labels are put where the data folder has no sentence for them: their name within these words.
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
    """One score a set: F1 for spans (`NAME_f`), accuracy and F1 for labels (`NAME_acc`, `NAME_f`), and their means."""
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
    instructions = model.read_instructions(_read(model, reader, list(held.instructions.values()))[0])
    n_right = n_found = n_wanted = 0
    for rows in _split(held.rows):
        pieces, docs = _read(model, reader, [row.text for row in rows])
        logits = model.span(model.encode(pieces), pieces.lengths, instructions)  # (N, K, 3)
        for row, doc, text in zip(rows, docs, logits.softmax(-1).cpu().split(pieces.lengths.tolist()), strict=True):
            spans = find_spans(text.numpy(), doc, list(held.instructions))
            found = {(span.start, span.end, span.label) for span in spans}
            wanted = {(start, end, label) for label, spans in row.spans.items() for start, end in spans}
            n_right, n_found, n_wanted = n_right + len(found & wanted), n_found + len(found), n_wanted + len(wanted)
    return {f"{held.name}_f": compute_f(n_right, n_found, n_wanted)}


def score_labels(model: Metamodel, reader: TextReader, held: HeldOut) -> dict[str, float]:
    labels = list(held.instructions)
    instructions = model.read_instructions(_read(model, reader, list(held.instructions.values()))[0])
    n_best = n_right = n_found = n_wanted = 0
    for rows in _split(held.rows):
        pieces, _ = _read(model, reader, [row.text for row in rows])
        scores = model.label(model.encode(pieces), pieces.lengths, instructions).sigmoid()  # (B, K)
        for row, text in zip(rows, scores.tolist(), strict=True):
            found = {label for label, score in zip(labels, text, strict=True) if score >= THRESHOLD}
            n_best += labels[max(range(len(labels)), key=text.__getitem__)] in row.labels
            n_right, n_found = n_right + len(found & row.labels.keys()), n_found + len(found)
            n_wanted += len(row.labels)
    return {f"{held.name}_acc": n_best / len(held.rows), f"{held.name}_f": compute_f(n_right, n_found, n_wanted)}


def find_spans(scores: NDArray, doc: Doc, labels: Sequence[str], *, threshold: float = THRESHOLD) -> list[Found]:
    """The spans that reach the threshold, as the component finds them; best first, none overlapping another.

    scores: B, I, O scores, shape (n_tokens, K, 3).
    """
    found = decode_spans(scores, [len(doc)])
    found = found.take(found.score >= threshold)
    rows = zip(found.instruction.tolist(), found.start.tolist(), found.end.tolist(), found.score.tolist(), strict=True)
    return keep_best(
        Found(doc[start].idx, doc[end - 1].idx + len(doc[end - 1]), labels[k], score) for k, start, end, score in rows
    )


def keep_best(spans: Iterable[Found]) -> list[Found]:
    kept: list[Found] = []
    for span in sorted(spans, key=lambda span: (-span.score, span.start, span.label)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return kept


def compute_f(n_right: int, n_found: int, n_wanted: int) -> float:
    return 2 * n_right / (n_found + n_wanted) if n_found + n_wanted else 0.0


def word_held_out(meanings: Meanings, name: str, label: str) -> str:
    """The instruction of a held-out label."""
    if name == "mams_categories":
        return FRAMES[name].format(*label.split(":"))
    return FRAMES.get(name, "{}").format(find_meaning(meanings, name, label))


def _read_sample(data: Path, name: str, meanings: Meanings, split: str, n_texts: int, rng: Random) -> HeldOut:
    rows = sets.read_rows(data, name, split)
    labels = sorted({label for row in rows for label in (*row.spans, *row.labels)})
    sample = rng.sample(rows, min(n_texts, len(rows)))
    return HeldOut(name, sample, {label: word_held_out(meanings, name, label) for label in labels})


def _read(model: Metamodel, reader: TextReader, texts: Sequence[str]) -> tuple[Pieces, list[Doc]]:
    pieces, docs = reader.read(texts)
    return pieces.to(next(model.parameters()).device), docs


def _split(rows: Sequence[Row]) -> Iterable[Sequence[Row]]:
    by_length = sorted(rows, key=lambda row: len(row.text))
    return (by_length[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE))


def average_scores(scores: Mapping[str, float]) -> dict[str, float]:
    """Each kind of set counts alike in the mean, however many sets there are of it."""
    spans = [value for key, value in scores.items() if key[:-2] in sets.HELD_OUT_SPANS]
    labels = [value for key, value in scores.items() if key.endswith("_acc")]
    means = {"spans": sum(spans) / max(1, len(spans)), "labels": sum(labels) / max(1, len(labels))}
    return {**means, "mean": (means["spans"] + means["labels"]) / 2}
