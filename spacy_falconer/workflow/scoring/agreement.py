"""Precision, recall and F1 of one side's answers against another's, with intervals from resampled texts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from spacy_falconer.plan import Plan
from spacy_falconer.workflow.scoring.said import Place, Said, answers_all, answers_reached, find_row

N_RESAMPLES, LEVEL = 1000, 0.95
TAIL = (1 - LEVEL) / 2
Json = dict[str, Any]
Cells = Mapping[str, AbstractSet[Place]]  # By column, as `find_row` gives it.
Answers = Sequence[AbstractSet[Hashable] | None]  # What was said of each text; None if it was not asked.


@dataclass(frozen=True)
class Texts:
    """The texts that are compared.

    weights: How much each counts, shape (n,). clusters: A number for each, equal for equal texts, shape (n,).
    """

    weights: NDArray
    clusters: NDArray

    def take(self, rows: Sequence[int]) -> Texts:
        return Texts(self.weights[rows], numpy.unique(self.clusters[rows], return_inverse=True)[1])


def make_texts(texts: Sequence[str], weights: Sequence[float]) -> Texts:
    return Texts(numpy.asarray(weights, dtype="float64"), numpy.unique(list(texts), return_inverse=True)[1])


@dataclass(frozen=True)
class Counts:
    """How many answers to each text both sides, the first and the second side give, shape (n, 3), and which were asked."""

    rows: NDArray
    asked: NDArray

    @property
    def n_asked(self) -> int:
        return int(self.asked.sum())


def count(found: Answers, wanted: Answers) -> Counts:
    """Count, text by text, what one side found, what the other wanted, and what they have in common."""
    asked = numpy.array([one is not None and other is not None for one, other in zip(found, wanted, strict=True)])
    rows = [
        (len(one & other), len(one), len(other)) if is_asked else (0, 0, 0)
        for one, other, is_asked in zip(found, wanted, asked, strict=True)
    ]
    return Counts(numpy.array(rows, dtype="float64").reshape(-1, 3), asked.astype(bool))


def agree(found: Sequence[Said], wanted: Sequence[Said], texts: Texts, *, plan: Plan | None, seed: int) -> Json:
    """Return one side's agreement with another's answers, for each instruction and for the rows of the plan.

    plan (Plan): None if rows cannot be compared.
    RETURNS: `{"labels", "spans"}` as in `evaluate`, "rows" if both sides answer what the plan needs, and "n_texts".
    """
    parts = {kind: count_all(found, wanted, kind) for kind in ("labels", "spans")}
    parts["rows"] = {} if plan is None else count_rows(found, wanted, plan)
    samples = resample(
        {(kind, key): one for kind, rows in parts.items() for key, one in rows.items()}, texts, seed=seed
    )
    lines = {
        kind: {key: make_line(one, texts, samples[kind, key]) for key, one in rows.items()}
        for kind, rows in parts.items()
    }
    scores: Json = {
        kind: {**make_macro(parts[kind], samples, kind, lines[kind]), "per_instruction": lines[kind]}
        for kind in ("labels", "spans")
    }  # fmt: skip
    if lines["rows"]:
        scores["rows"] = lines["rows"]
    return {**scores, "n_texts": len(wanted)}


def count_all(found: Sequence[Said], wanted: Sequence[Said], kind: str) -> dict[str, Counts]:
    """Return the counts of all instructions of one primitive that both sides answered for at least one text."""
    keys = dict.fromkeys(key for said in wanted for key in getattr(said, kind))
    counts = {key: count(*(answers_of(side, kind, key) for side in (found, wanted))) for key in keys}
    return {key: one for key, one in counts.items() if one.n_asked}


def answers_of(side: Sequence[Said], kind: str, key: str) -> Answers:
    """Return one side's answers to one instruction, text by text."""
    if kind == "spans":
        return [said.spans.get(key) for said in side]
    said = [one.labels.get(key) for one in side]
    return [None if value is None else {key} if value else set() for value in said]


def count_rows(found: Sequence[Said], wanted: Sequence[Said], plan: Plan) -> dict[str, Counts]:
    """Count the texts that are kept, the passages in the rows, and the rows that are the same in all columns.

    Only texts count for which the other side answers all steps that the plan reaches: people are not asked more than that.
    """
    both = [answers_all(plan, one) and answers_reached(plan, other) for one, other in zip(found, wanted, strict=True)]
    if not any(both):
        return {}
    sides = [
        [find_row(plan, said) if ok else None for said, ok in zip(side, both, strict=True)] for side in (found, wanted)
    ]
    measures: dict[str, Callable[[Cells | None], AbstractSet[Hashable]]] = {}
    if plan.keep.strip() != "true":
        measures["kept"] = find_kept
    if any(plan.steps_by_id[key].op == "get_span" for key in plan.output):
        measures.update(values=find_values, whole=find_whole)
    return {
        name: count(*([measure(row) if ok else None for row, ok in zip(side, both, strict=True)] for side in sides))
        for name, measure in measures.items()
    }


def find_kept(row: Cells | None) -> set[bool]:
    return set() if row is None else {True}


def find_values(row: Cells | None) -> set[tuple[str, Place]]:
    return {(key, place) for key, places in (row or {}).items() for place in places}


def find_whole(row: Cells | None) -> set[frozenset[tuple[str, Place]]]:
    return set() if row is None else {frozenset(find_values(row))}


def resample(counts: Mapping[Hashable, Counts], texts: Texts, *, seed: int) -> dict[Hashable, NDArray]:
    """Return the counts of resampled texts, shape (N_RESAMPLES, 3) each. Equal texts are drawn together, and the draws
    are the same for everything that is compared on the same texts.
    """
    if not counts:
        return {}
    rows = numpy.concatenate([one.rows for one in counts.values()], axis=1) * texts.weights[:, None]
    n_clusters = int(texts.clusters.max()) + 1
    sums = numpy.zeros((n_clusters, rows.shape[1]))
    numpy.add.at(sums, texts.clusters, rows)
    random = numpy.random.default_rng(seed)
    draws = (random.multinomial(n_clusters, numpy.full(n_clusters, 1 / n_clusters)) for _ in range(N_RESAMPLES))
    found = numpy.stack([times @ sums for times in draws])
    return {key: found[:, 3 * number : 3 * number + 3] for number, key in enumerate(counts)}


def prf(rows: NDArray) -> NDArray:
    """Return precision, recall and F1 of counts of hits, found and wanted, shape (..., 3); 0 where there are none."""
    hits, found, wanted = (rows[..., i] for i in range(3))
    shares = [(hits, found), (hits, wanted), (2 * hits, found + wanted)]
    return numpy.stack([one / numpy.where(all_ > 0, all_, 1.0) for one, all_ in shares], axis=-1)


def make_line(counts: Counts, texts: Texts, samples: NDArray) -> Json:
    """Return one row of the table: precision, recall and F1, their intervals, and the number of answers."""
    p, r, f = (float(value) for value in prf((counts.rows * texts.weights[:, None]).sum(axis=0)))
    n_hits, n_found, n_wanted = (int(n) for n in counts.rows.sum(axis=0))
    again = prf(samples)
    n_either = n_found + n_wanted - n_hits
    intervals = [
        find_interval(value, again[:, place], n)
        for place, (value, n) in enumerate([(p, n_found), (r, n_wanted), (f, n_either)])
    ]
    names = dict(zip(("p_ci", "r_ci", "f_ci"), intervals, strict=True))
    return {"p": p, "r": r, "f": f, "n": counts.n_asked, "n_found": n_found, "n_wanted": n_wanted, **names}


def find_interval(value: float, again: NDArray, n: int) -> list[float] | None:
    """Return the middle 95% of resamples. If all answers agree or none does, resampling shows no spread: then the exact
    bound for a share of `n` takes its place. None if there is nothing to count.
    """
    if not n:
        return None
    low, high = (float(bound) for bound in numpy.quantile(again, [TAIL, 1 - TAIL]))
    unseen = 1 - TAIL ** (1 / n)  # The largest share that n trials without a single success do not rule out.
    if value == 0.0:
        return [0.0, max(high, unseen)]
    return [min(low, 1 - unseen), 1.0] if value == 1.0 else [low, high]


def make_macro(
    counts: Mapping[str, Counts], samples: Mapping[Hashable, NDArray], kind: str, lines: Mapping[str, Json]
) -> Json:
    """Return the mean F1 of the instructions for which anything was found or wanted, and its interval."""
    seen = [key for key, one in counts.items() if one.rows.any()]
    if not seen:
        return {"macro_f": None, "macro_f_ci": None}
    again = numpy.mean([prf(samples[kind, key])[:, 2] for key in seen], axis=0)
    value = float(numpy.mean([lines[key]["f"] for key in seen]))
    n_either = sum(lines[key]["n_found"] + lines[key]["n_wanted"] for key in seen)
    return {"macro_f": value, "macro_f_ci": find_interval(value, again, n_either)}
