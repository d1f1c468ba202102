"""Disagreements as the page shows them: texts in pieces, each with who marks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from spacy_falconer.workflow.report import LLM, name_side


@dataclass(frozen=True)
class Mark:
    """A passage in the characters that are shown.

    who: "both", "metamodel" or "other". tag: What is written beside it: a name, and how sure the metamodel is.
    """

    start: int
    end: int
    who: str
    tag: str


@dataclass(frozen=True)
class Piece:
    """Words that the same passages cover. `tags`: Those of the passages that end here."""

    text: str
    who: str | None
    tags: list[str]


@dataclass(frozen=True)
class Disagreement:
    """A disagreement. n_before, n_after: How many characters of the text are left out."""

    key: str
    color: int
    kind: str
    confidence: float
    pieces: list[Piece]
    n_before: int
    n_after: int


def list_readings(scores: Mapping[str, Any], colors: Mapping[str, int]) -> list[Disagreement]:
    """Return the disagreements to show. `colors`: Those of the instructions, by their keys."""
    other = name_side(scores)
    return [make_reading(one, colors.get(one["key"], 0), other) for one in scores.get("disagreements") or ()]


def make_reading(one: Mapping[str, Any], color: int, other: str) -> Disagreement:
    """Return one disagreement to show. `other`: Whose answers the metamodel's differ from."""
    text, start = one["text"], one["start"]
    marks = [
        replace(mark, start=max(0, mark.start - start), end=min(len(text), mark.end - start))
        for mark in find_marks(one.get("found", ()), one.get("wanted", ()), "LLM" if other == LLM else other)
        if mark.start - start < len(text) and mark.end > start
    ]
    n_after = one["n_characters"] - start - len(text)
    kind = name_kind(one["kind"], other)
    return Disagreement(one["key"], color, kind, one["confidence"], cut(text, marks), start, n_after)


def name_kind(kind: str, other: str) -> str:
    names = {
        "more": "said by the metamodel alone",
        "less": f"said by {other} alone",
        "other": "they mean other passages",
    }
    return names.get(kind, "")


def find_marks(found: Sequence[Sequence[Any]], wanted: Sequence[Sequence[Any]], other: str) -> list[Mark]:
    """Return the passages of both sides, and those of one side alone."""
    scores = {(start, end): score for start, end, score in found}
    others = {(start, end) for start, end in wanted}
    marks = [make_mark(place, score, is_shared=place in others) for place, score in scores.items()]
    return sorted(
        marks + [Mark(*place, "other", other) for place in others - scores.keys()], key=lambda mark: mark.start
    )


def make_mark(place: tuple[int, int], score: float | None, *, is_shared: bool) -> Mark:
    who = "both" if is_shared else "metamodel"
    return Mark(*place, who, who if score is None else f"{who} {score:.2f}")


def cut(text: str, marks: Sequence[Mark]) -> list[Piece]:
    edges = sorted({0, len(text), *(edge for mark in marks for edge in (mark.start, mark.end))})
    return [make_piece(text[first:last], first, last, marks) for first, last in pairwise(edges)]


def make_piece(words: str, first: int, last: int, marks: Sequence[Mark]) -> Piece:
    over = [mark for mark in marks if mark.start <= first and last <= mark.end]
    who = {mark.who for mark in over}
    shown = None if not who else who.pop() if len(who) == 1 else "both"
    return Piece(words, shown, [mark.tag for mark in over if mark.end == last])
