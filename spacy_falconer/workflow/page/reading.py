"""Disagreements as the page shows them: texts in pieces, each with who names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

KINDS = {
    "more": "only the metamodel says so",
    "less": "only the language model says so",
    "other": "they mean other passages",
}


@dataclass(frozen=True)
class Mark:
    """A passage in the characters that are shown. `who`: "both", "metamodel" or "LLM"."""

    start: int
    end: int
    who: str
    score: float | None

    @property
    def tag(self) -> str:
        return self.who if self.score is None else f"{self.who} {self.score:.2f}"


@dataclass(frozen=True)
class Piece:
    """Words that the same passages cover. `tags`: of the passages that end here."""

    text: str
    who: str | None
    tags: list[str]


@dataclass(frozen=True)
class Disagreement:
    """n_before, n_after: Characters of the text that are left out."""

    key: str
    color: int
    kind: str
    confidence: float
    pieces: list[Piece]
    n_before: int
    n_after: int


def list_readings(scores: Mapping[str, Any], colors: Mapping[str, int]) -> list[Disagreement]:
    """colors: Of the instructions, by their keys."""
    return [make_reading(one, colors.get(one["key"], 0)) for one in scores.get("disagreements") or ()]


def make_reading(one: Mapping[str, Any], color: int) -> Disagreement:
    text, start = one["text"], one["start"]
    marks = [
        Mark(max(0, mark.start - start), min(len(text), mark.end - start), mark.who, mark.score)
        for mark in find_marks(one.get("found", ()), one.get("wanted", ()))
        if mark.start - start < len(text) and mark.end > start
    ]
    n_after = one["n_characters"] - start - len(text)
    return Disagreement(
        one["key"], color, KINDS.get(one["kind"], ""), one["confidence"], cut(text, marks), start, n_after
    )


def find_marks(found: Sequence[Sequence[Any]], wanted: Sequence[Sequence[Any]]) -> list[Mark]:
    """Passages of both, and of one alone."""
    scores = {(start, end): score for start, end, score in found}
    others = {(start, end) for start, end in wanted}
    marks = [Mark(*place, "both" if place in others else "metamodel", score) for place, score in scores.items()]
    return sorted(marks + [Mark(*place, "LLM", None) for place in others - scores.keys()], key=lambda mark: mark.start)


def cut(text: str, marks: Sequence[Mark]) -> list[Piece]:
    edges = sorted({0, len(text), *(edge for mark in marks for edge in (mark.start, mark.end))})
    return [make_piece(text[first:last], first, last, marks) for first, last in pairwise(edges)]


def make_piece(words: str, first: int, last: int, marks: Sequence[Mark]) -> Piece:
    over = [mark for mark in marks if mark.start <= first and last <= mark.end]
    who = {mark.who for mark in over}
    shown = None if not who else who.pop() if len(who) == 1 else "both"
    return Piece(words, shown, [mark.tag for mark in over if mark.end == last])
