"""Agreement in parts of the texts: short and long ones, and those of which a label is true or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy

from spacy_falconer.workflow.scoring.agreement import Texts, count_all, find_interval, prf, resample
from spacy_falconer.workflow.scoring.said import Said

N_LENGTHS, MIN_TEXTS = 3, 5
Json = dict[str, Any]
Part = tuple[
    str, str, str | None, list[int]
]  # What it is cut by, its name, the label that is not scored, and the texts.


def slice_agreement(
    words: Sequence[str], found: Sequence[Said], wanted: Sequence[Said], texts: Texts, *, seed: int
) -> list[Json]:
    """Return the agreement in each part, over all instructions together.

    words: The texts.
    RETURNS: `{"by", "name", "n_texts", "labels", "spans"}`; the last two are F1 and its interval, None if nothing was asked.
    """
    parts = [*by_length(words), *by_label(wanted)]
    return [
        {"by": by, "name": name, "n_texts": len(rows), **score_part(rows, found, wanted, texts, but=but, seed=seed)}
        for by, name, but, rows in parts
        if len(rows) >= MIN_TEXTS
    ]


def by_length(words: Sequence[str]) -> Iterator[Part]:
    """Yield thirds of the texts, by their number of characters."""
    lengths = numpy.array([len(text) for text in words])
    edges = [0, *(int(edge) for edge in numpy.quantile(lengths, [i / N_LENGTHS for i in range(1, N_LENGTHS + 1)]))]
    for low, high in zip(edges, edges[1:], strict=False):
        rows = numpy.flatnonzero((lengths > low) & (lengths <= high) | (lengths == low) & (low == 0)).tolist()
        yield "length", f"{low + 1:,} to {high:,} characters", None, rows


def by_label(wanted: Sequence[Said]) -> Iterator[Part]:
    """Yield the texts of which a label is true by the other side, or not. That label is not scored: its answers are all equal."""
    for key in dict.fromkeys(key for said in wanted for key in said.labels):
        for is_true, name in ((True, key), (False, f"not {key}")):
            yield "label", name, key, [row for row, said in enumerate(wanted) if said.labels.get(key) is is_true]


def score_part(
    rows: Sequence[int], found: Sequence[Said], wanted: Sequence[Said], texts: Texts, *, but: str | None, seed: int
) -> Json:
    """Return the F1 of each primitive over all its instructions except `but`."""
    part = texts.take(rows)
    sides = [[side[row] for row in rows] for side in (found, wanted)]
    scores: Json = {}
    for kind in ("labels", "spans"):
        counts = {key: one for key, one in count_all(*sides, kind).items() if key != but}
        if not counts:
            scores[kind] = None
            continue
        again = prf(sum(resample(counts, part, seed=seed).values()))[:, 2]
        total = sum((one.rows * part.weights[:, None]).sum(axis=0) for one in counts.values())
        value = float(prf(total)[2])
        n_answers = sum(int(one.rows[:, 1:].sum()) for one in counts.values())
        scores[kind] = {"f": value, "f_ci": find_interval(value, again, n_answers)}
    return scores
