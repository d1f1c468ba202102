"""What people are shown of a text, and what they do with it: the same for every tool."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spacy.tokens import Doc

from spacy_falconer.errors import AnswerError
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.files import digest

NOTE = "falconer"  # Under this name a record says what it asked of which text; it comes back as it went out.
ANSWERED, REJECTED, SKIPPED, OPEN = "answered", "rejected", "skipped", "open"


@dataclass(frozen=True)
class Mark:
    """A marked passage: characters `start` to `end` of the text.

    quote: The tool's own copy of the passage, where it keeps one; it tells whether the characters are meant.
    """

    key: str
    start: int
    end: int
    score: float | None = None
    quote: str | None = None


@dataclass(frozen=True)
class Reading:
    """What was said of a text: the labels that are true of it, by their keys, and the passages."""

    labels: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """A text to review.

    why: What makes it worth a look.
    answered: What the language model said, of the instructions that it was asked.
    """

    id: str
    doc: Doc
    why: str
    found: Reading
    answered: Reading | None = None

    @property
    def text(self) -> str:
        return self.doc.text


@dataclass(frozen=True)
class Work:
    """What one person did with one text.

    outcome: "answered": what is not marked is not there; or "rejected", "skipped", "open" (not looked at yet).
    asked: All keys that the person was asked, where the record tells without a note.
    offered: Keys among those that were asked.
    when: Seconds since 1970, of the last change; 0 where it is not known.
    """

    text: str
    by: str = ""
    outcome: str = ANSWERED
    labels: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    note: Any = None
    asked: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    when: float = 0.0


def make_note(text: str, plan: Plan) -> dict[str, Any]:
    """What a record asks: of which text, and the words of each key's instruction. A plan may change meanwhile."""
    steps = plan.text_steps()
    return {
        "text": digest(text),
        "asked": {step.id: {"op": step.op, "instruction": step.instruction} for step in steps},
    }


def read_note(note: Any) -> tuple[str, dict[str, tuple[str, str]]]:
    """The text's digest, and by key the primitive and the instruction.

    RAISES (AnswerError): It is not as `make_note` made it.
    """
    try:
        data = json.loads(note) if isinstance(note, str) else note
        asked = {str(key): (one["op"], one["instruction"]) for key, one in data["asked"].items()}
        known = all(op in ("get_label", "get_span") and isinstance(words, str) for op, words in asked.values())
    except (ValueError, TypeError, KeyError, AttributeError):
        known = False
    if not known or not isinstance(data.get("text"), str):
        raise AnswerError(
            f"Its {NOTE!r} is {str(note)[:60]!r}; expected what `review export` wrote there. Leave it as it was."
        )
    return data["text"], asked


def expect(record: Any, name: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
    """A field of a record; where it is missing or null, the default.

    RAISES (AnswerError): It is not of its kind, or missing where there is no default.
    """
    value = check(record, name, dict).get(name)
    return check(default if value is None else value, name, kind)


def check(value: Any, name: str, kind: type | tuple[type, ...]) -> Any:
    """A value that stands under a name, if it is of its kind.

    RAISES (AnswerError): It is not.
    """
    if isinstance(value, kind) and (not isinstance(value, bool) or kind is bool):
        return value
    names = {str: "text", int: "a number", float: "a number", list: "a list", dict: "an object", bool: "true or false"}
    expected = " or ".join(dict.fromkeys(names[one] for one in (kind if isinstance(kind, tuple) else (kind,))))
    raise AnswerError(f"Its {name!r} is {str(value)[:60]!r}; expected {expected}. Correct the record.")
