"""The values that the packages exchange. All positions are character offsets in the text; ends are exclusive."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FIELDS = {"get_label": "labels", "get_span": "spans"}  # The field for each primitive, in answers and in scores.
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
    """A passage as the language model quoted it. `start` is None where only its words are known."""

    quote: str
    start: int | None = None


@dataclass(frozen=True)
class Answer:
    """The answers about one text: of a language model, and of people to compare with (`gold`).

    `labels` and `spans` are keyed by instruction. An instruction that is not a key was not asked. `about` holds the
    answers of steps with `for_each` about single passages, keyed by the passage's characters; their instructions are
    filled in with the passage's words. Where people corrected the language model, `human` holds their answers, and
    `replaced` what the model had answered to the same instructions.
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
        """Return the answers to the instructions of one primitive."""
        return getattr(self, FIELDS[op])


@dataclass(frozen=True)
class Record:
    """One row of a corpus: its text, its id and the other columns, which are passed through.

    place: If the record is a sentence, its characters in the row's text.
    """

    id: str
    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    place: CharSpan | None = None
