"""Draw the learning curve and the reliability curve as points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy_falconer.workflow.report import CURVES, describe_error, describe_gain

WIDTH, HEIGHT, LEFT, BOTTOM = 360, 230, 32, 34  # The size of the drawing, and the space for its axes' words.
Line = tuple[str, tuple[str, str], tuple[str, str], tuple[str, str]]  # A key, and cells with the words below each.
KINDS = {"labels": ("get_label", "labels"), "spans": ("get_span", "passages")}


@dataclass(frozen=True)
class Point:
    """A value with its interval, as places in the drawing. `words`: The same in words."""

    x: float
    y: float
    low: float | None
    high: float | None
    words: str


@dataclass(frozen=True)
class Series:
    """Points of one kind. `level`: The place of the value to compare with; None if there is none.

    is_before (bool): The points are from before calibration; the line is dashed.
    """

    name: str
    color: int
    points: list[Point]
    level: float | None = None
    is_before: bool = False

    @property
    def path(self) -> str:
        return "M" + "L".join(f"{point.x:.1f} {point.y:.1f}" for point in self.points)


@dataclass(frozen=True)
class Chart:
    """A drawing. `ticks`: Numbers along the x axis, with their places. `notes`: Lines below it. `header`, `rows`: A table."""

    title: str
    series: list[Series]
    ticks: list[tuple[float, str]]
    x_title: str
    y_title: str
    notes: list[str]
    has_diagonal: bool = False
    header: tuple[str, ...] = ()
    rows: list[Line] = field(default_factory=list)

    @property
    def words(self) -> str:
        """All of it in words, for those who cannot see it."""
        return f"{self.title}. " + " ".join(
            f"{one.name}: {'; '.join(point.words for point in one.points)}." for one in self.series
        )


def draw_learning(scores: Mapping[str, Any]) -> Chart | None:
    """Draw F1 by the number of answers that were learned from; at 0, that of the pre-trained pipeline without training."""
    curve = scores.get("curve")
    if not curve:
        return None
    points = curve["points"]
    most = points[-1]["n_texts"]
    zero = scores.get("baselines", {}).get("zero_shot")
    rows = [*([{**zero, "n_texts": 0}] if zero else []), *points]
    series = [
        Series(name, color, place_points(rows, kind, most), find_level(curve, scores, kind))
        for color, (kind, (_, name)) in enumerate(KINDS.items())
        if any(row[kind]["macro_f"] is not None for row in rows)
    ]
    gains = [f"{KINDS[kind][1]}{describe_gain(curve['gain'], kind)}" for kind in KINDS if kind in curve["gain"]]
    notes = [f"Trained: {CURVES.get(curve['kind'], curve['kind'])}.", *(f"{gain}." for gain in gains)]
    if zero:
        notes.append("At 0: the pre-trained pipeline, before any training.")
    notes.append("Nothing is extrapolated: more answers may bring less than the last ones did.")
    if curve["kind"] == "heads":
        notes.append("The dashed lines are this pipeline, whose encoder learned too.")
    ticks = [(place_x(row["n_texts"] / most), f"{row['n_texts']:,}") for row in rows]
    return Chart("Learning curve", series, ticks, "answers learned from", "F1", notes)


def place_points(rows: Sequence[Mapping[str, Any]], kind: str, most: int) -> list[Point]:
    found = []
    for row in rows:
        value, bounds = row[kind]["macro_f"], row[kind].get("macro_f_ci") or (None, None)
        if value is not None:
            words = f"{value:.2f} from {row['n_texts']:,} answers"
            found.append(make_point(row["n_texts"] / most, value, bounds, words))
    return found


def find_level(curve: Mapping[str, Any], scores: Mapping[str, Any], kind: str) -> float | None:
    value = scores[kind]["macro_f"]
    return place_y(value) if curve["kind"] == "heads" and value is not None else None


def draw_reliability(scores: Mapping[str, Any]) -> Chart | None:
    """Draw the share that is right by the score, and what it was before the scores were calibrated."""
    found = {kind: one for kind, one in (scores.get("reliability") or {}).items() if one}
    if not found:
        return None
    series = [one for kind, part in found.items() for one in place_reliability(kind, part)]
    notes = [f"Calibration error (ECE) of {describe_error(part, KINDS[kind][1])}." for kind, part in found.items()]
    notes.append("On the diagonal a score of 0.8 is right eight times in ten. A point is a tenth of the scores.")
    rows = [row for part in found.values() for row in list_errors(part)]
    ticks = [(place_x(share), f"{share:g}") for share in (0, 0.25, 0.5, 0.75, 1)]
    return Chart(
        "Reliability", series, ticks, "score", "share that is right", notes, has_diagonal=True,
        header=("instruction", "scores", "ECE", "before"), rows=rows,
    )  # fmt: skip


def place_reliability(kind: str, part: Mapping[str, Any]) -> Iterator[Series]:
    name, color = KINDS[kind][1], list(KINDS).index(kind)
    yield Series(name, color, [place_bin(one) for one in part["bins"]])
    if part.get("before"):
        points = [place_bin({**one, "low": None, "high": None}) for one in part["before"]["bins"]]
        yield Series(f"{name} before calibration", color, points, is_before=True)


def list_errors(part: Mapping[str, Any]) -> Iterator[Line]:
    """Yield for each instruction the number of scores, their error, and the error before calibration."""
    for key, one in part.get("per_instruction", {}).items():
        yield key, (f"{one['n']:,}", ""), cut_error(one), cut_error(one["before"]) if one["before"] else ("–", "")


def cut_error(one: Mapping[str, Any]) -> tuple[str, str]:
    low, high = one["ece_ci"]
    return f"{one['ece']:.3f}", f"{low:.3f}–{high:.3f}"


def place_bin(one: Mapping[str, Any]) -> Point:
    words = f"score {one['score']:.2f}, right {one['right']:.2f} of {one['n']:,}"
    return make_point(one["score"], one["right"], (one["low"], one["high"]), words)


def make_point(x: float, value: float, bounds: Sequence[float | None], words: str) -> Point:
    low, high = (None if bound is None else place_y(bound) for bound in bounds)
    return Point(place_x(x), place_y(value), low, high, words)


def place_x(share: float) -> float:
    return LEFT + (WIDTH - LEFT - 12) * share


def place_y(share: float) -> float:
    return 8 + (HEIGHT - BOTTOM - 8) * (1 - share)


def list_heights() -> Iterator[tuple[float, str]]:
    """Return the numbers along the y axis, with their places."""
    return ((place_y(share), f"{share:g}") for share in (0, 0.25, 0.5, 0.75, 1))
