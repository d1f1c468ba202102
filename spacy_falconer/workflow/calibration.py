"""Are scores probabilities? Measure a pipeline's calibration errors, now and before it was calibrated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy
from numpy.typing import ArrayLike, NDArray
from spacy.language import Language
from spacy.tokens import Doc
from wasabi import table

from spacy_falconer.metamodel.calibrate import NOTHING, calibrate, fit_calibrations
from spacy_falconer.metamodel.reliability import Measured, measure_ece, measure_reliability
from spacy_falconer.metamodel.threshold import Candidates
from spacy_falconer.pipeline.components import find_instructed
from spacy_falconer.pipeline.score import weights_of
from spacy_falconer.types import FIELDS
from spacy_falconer.workflow.report import KINDS
from spacy_falconer.workflow.scoring.said import Said
from spacy_falconer.workflow.thresholds import Heard, calibrate_all

N_FOLDS = 5
Json = dict[str, Any]
Calibrations = Mapping[str, Sequence[float]]  # Slope and offset, by the instructions' keys.


@dataclass(frozen=True)
class Scored:
    """Scores of answers, one per row, as arrays of shape (n,).

    keys: The instructions' keys. right: Whether each answer was right. texts: A number for the text of each.
    """

    keys: NDArray
    scores: NDArray
    right: NDArray
    weights: NDArray
    texts: NDArray

    def of(self, key: str) -> Scored:
        rows = self.keys == key
        return Scored(*(part[rows] for part in (self.keys, self.scores, self.right, self.weights, self.texts)))

    def measure(self, *, seed: int) -> Measured:
        """Return the calibration error over all scores; if there are none, 0 with an interval from 0 to 1."""
        found = measure_ece(self.scores, self.right, weights=self.weights, texts=self.texts, seed=seed)
        return found or Measured(0.0, 0.0, 1.0)


def read_calibrations(nlp: Language) -> dict[str, Sequence[float]]:
    """Return the calibrations of all instructions that have one."""
    return {key: one for pipe in find_instructed(nlp) for key, one in pipe.cfg["calibrations"].items()}


def find_reliability(
    docs: Sequence[Doc], found: Sequence[Said], wanted: Sequence[Said], *, calibrations: Calibrations, seed: int
) -> dict[str, Json | None]:
    """Return the calibration error of labels and of passages, with its interval and the curve's points; None if there are none.

    RETURNS: By "labels" and "spans": `{"ece", "ece_ci", "n", "bins", "before": {"ece", "ece_ci", "bins"},
        "per_instruction": {key: {"ece", "ece_ci", "n", "before": {"ece", "ece_ci"}}}}`. "before" is for the same scores
        without their calibrations; None if there are no calibrations.
    """
    parts = {kind: gather_scored(docs, found, wanted, kind) for kind in KINDS}
    return {kind: describe(part, calibrations, seed=seed) if part else None for kind, part in parts.items()}


def gather_scored(docs: Sequence[Doc], found: Sequence[Said], wanted: Sequence[Said], kind: str) -> Scored | None:
    """Return all answers of one primitive that have a score; None if there are none."""
    pair = pair_labels if kind == "labels" else pair_spans
    rows = [
        (key, score, is_right, weight, number)
        for number, (one, other, weight) in enumerate(zip(found, wanted, weights_of(docs), strict=True))
        for key, score, is_right in pair(one, other)
    ]
    return Scored(*map(numpy.array, zip(*rows, strict=True))) if rows else None


def pair_labels(found: Said, wanted: Said) -> Iterator[tuple[str, float, bool]]:
    """Return, for each label, its key, its score, and whether it is true."""
    return ((key, found.scores[key], said) for key, said in wanted.labels.items() if key in found.scores)


def pair_spans(found: Said, wanted: Said) -> Iterator[tuple[str, float, bool]]:
    """Return, for each passage that was considered, its key, its score, and whether it is an answer."""
    return (
        (key, score, place in places)
        for key, places in wanted.spans.items()
        for place, score in found.candidates.get(key, {}).items()
    )


def describe(part: Scored, calibrations: Calibrations, *, seed: int) -> Json:
    keys = [str(key) for key in dict.fromkeys(part.keys)]
    each = {key: compare(part.of(key), calibrations, partial(dump_error, seed=seed)) for key in keys}
    return {**compare(part, calibrations, partial(dump_curve, seed=seed)), "per_instruction": each}


def compare(part: Scored, calibrations: Calibrations, dump: Callable[[Scored], Json]) -> Json:
    """Describe scores as they are, and as they were before their calibrations."""
    before = undo(part, calibrations)
    return {**dump(part), "n": len(part.scores), "before": None if before is None else dump(before)}


def undo(part: Scored, calibrations: Calibrations) -> Scored | None:
    """Return the same scores as the model gives them; None if no calibration has changed any."""
    if not set(calibrations) & set(part.keys):
        return None
    slopes, offsets = numpy.array([calibrations.get(key, NOTHING) for key in part.keys], dtype="float64").T
    return replace(part, scores=calibrate(part.scores, 1 / slopes, -offsets / slopes))


def dump_error(part: Scored, *, seed: int) -> Json:
    ece = part.measure(seed=seed)
    return {"ece": ece.value, "ece_ci": [ece.low, ece.high]}


def dump_curve(part: Scored, *, seed: int) -> Json:
    bins = measure_reliability(part.scores, part.right, weights=part.weights)
    return {**dump_error(part, seed=seed), "bins": [asdict(one) for one in bins]}


@dataclass(frozen=True)
class Change:
    """The calibration error of some scores, before and after.

    name (str): An instruction's key, or a name for all of one primitive. n (int): How many scores.
    """

    name: str
    n: int
    before: Measured
    after: Measured


def measure_changes(heard: Heard, *, seed: int = 0) -> list[Change]:
    """Measure how calibrating a pipeline on answers changes the errors of its present scores. Each fifth of the texts is
    judged with calibrations that are fitted to the others.

    heard: From `read_candidates`, with raw scores.
    RETURNS: For each component, all instructions together, then each of them. Those without answers are left out.
    """
    changes = []
    for pipe, candidates in heard:
        raw = {key: part for key, part in candidates.items() if len(part.scores)}
        now = calibrate_all(pipe, raw)
        old, new = join(now), join(cross_fit(raw, now))
        name = f"all {KINDS[FIELDS[pipe.op]]}"
        some = [(name, old, new), *((key, old.of(key), new.of(key)) for key in raw)] if raw else []
        changes += [
            Change(name, len(before.scores), before.measure(seed=seed), after.measure(seed=seed))
            for name, before, after in some
        ]
    return changes


def cross_fit(raw: Mapping[str, Candidates], now: Mapping[str, Candidates]) -> dict[str, Candidates]:
    """Return the candidates with scores calibrated on other texts; where that is not possible, with their present scores."""
    scores = {key: part.scores.copy() for key, part in now.items()}
    for fold in range(N_FOLDS):
        held_out = {key: part.texts % N_FOLDS == fold for key, part in raw.items()}
        fitted = fit_calibrations({key: take(part, ~held_out[key]) for key, part in raw.items()})
        for key, one in fitted.items():
            rows = held_out[key]
            scores[key][rows] = calibrate(raw[key].scores[rows], *one)
    return {key: part.with_scores(scores[key]) for key, part in raw.items()}


def take(part: Candidates, rows: NDArray) -> Candidates:
    arrays = {name: getattr(part, name)[rows] for name in ("scores", "hits", "weights", "texts")}
    return replace(part, **arrays)


def join(parts: Mapping[str, Candidates]) -> Scored:
    """Join the candidates of several instructions, with their keys."""
    keys = [key for key, part in parts.items() for _ in part.scores]
    columns = (
        join_column(getattr(part, name) for part in parts.values()) for name in ("scores", "hits", "weights", "texts")
    )
    return Scored(numpy.array(keys, dtype=object), *columns)


def join_column(parts: Iterable[ArrayLike]) -> NDArray:
    return numpy.concatenate([numpy.zeros(0), *parts])


def format_changes(changes: Sequence[Change]) -> str:
    """Return a table of the number of scores, and their error before and after."""
    header = ["calibration error (ECE)", "scores", "before", "95%", "after", "95%"]
    rows = [[one.name, one.n, *show_error(one.before), *show_error(one.after)] for one in changes]
    return table(rows, header=header, divider=True, aligns=["l", *"rrrrr"])


def show_error(one: Measured) -> tuple[str, str]:
    return f"{one.value:.3f}", f"{one.low:.3f} to {one.high:.3f}"
