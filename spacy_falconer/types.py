"""The values that travel between the rooms. All positions are characters of the text, end exclusive."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FIELDS = {"get_label": "labels", "get_span": "spans"}  # Where an answer, and scores, hold what each primitive says.
HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # A lone surrogate. JSON can write it, UTF-8 cannot.


@dataclass(frozen=True, order=True)
class CharSpan:
    """A stretch of a text: `text[start:end]`."""

    start: int
    end: int


@dataclass(frozen=True)
class ScoredSpan:
    """A found passage: `text` is the document's `text[start:end]`, `score` is 0 to 1."""

    text: str
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Quote:
    """A passage as the language model wrote it down. `start` is None where only its words are known."""

    quote: str
    start: int | None = None


@dataclass(frozen=True)
class Answer:
    """What was said of one text: by a language model, or by people (`gold`).

    `labels` and `spans` are keyed by instruction. An instruction that is no key was not asked. `about` has what was
    said of single passages, in steps with `for_each`: by the passage's characters, an answer whose instructions are
    filled in with the passage's words. Where people corrected the language model, `human` is the part that is theirs, and
    `replaced` what it had said to the same instructions.
    """

    text: str
    model: str
    labels: Mapping[str, bool] = field(default_factory=dict)
    spans: Mapping[str, tuple[Quote, ...]] = field(default_factory=dict)
    gold: Answer | None = None
    about: Mapping[CharSpan, Answer] = field(default_factory=dict)
    human: Answer | None = None
    replaced: Answer | None = None

    def said(self, op: str) -> Mapping[str, Any]:
        """What was said to the instructions of one primitive."""
        return getattr(self, FIELDS[op])


@dataclass(frozen=True)
class Record:
    """One row of a corpus: its text, its id and the columns that are carried through.

    place: Where it is a sentence, its characters in the row's text.
    """

    id: str
    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    place: CharSpan | None = None
