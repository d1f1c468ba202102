"""What people are shown about a text, and what they do with it, the same for every tool."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spacy.tokens import Doc

from spacy_falconer.errors import AnswerError
from spacy_falconer.plan import Step
from spacy_falconer.types import FIELDS, HALF_CHARACTER
from spacy_falconer.workflow.files import digest

NOTE = "falconer"  # A record's field that says what was asked about which text; it must come back unchanged.
ANSWERED, REJECTED, SKIPPED, OPEN = "answered", "rejected", "skipped", "open"
Asked = Mapping[str, tuple[str, str]]  # By key: the primitive and the instruction.


@dataclass(frozen=True)
class Mark:
    """A marked passage: characters `start` to `end` of the text.

    quote: The tool's own copy of the passage, if it keeps one; it shows whether the characters are right.
    """

    key: str
    start: int
    end: int
    score: float | None = None
    quote: str | None = None


@dataclass(frozen=True)
class Reading:
    """What was said of a text: the keys of the labels that are true of it, the passages, and the labels' scores by key."""

    labels: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """A text to review.

    why: What makes it worth a look.
    asked: The steps to look at. spared: The plan's other steps, which people have answered, or which it does not reach here.
    found, answered: What the pipeline says to the asked steps, and what was answered to them before. `found` also has the
        passages that people have marked for other steps.
    """

    id: str
    doc: Doc
    why: str
    found: Reading
    asked: tuple[Step, ...]
    spared: tuple[Step, ...] = ()
    answered: Reading | None = None

    @property
    def text(self) -> str:
        return self.doc.text

    @property
    def hint(self) -> str:
        """Why the text is worth a look, and what is not asked about it."""
        spared = ", ".join(step.id for step in self.spared)
        return f"{self.why}; not asked here: {spared}" if spared else self.why


@dataclass(frozen=True)
class Work:
    """What one person did with one text.

    outcome: "answered" (what is not marked is not there), "rejected", "skipped", or "open" (not looked at yet).
    asked: All keys that the person was asked about, if the record shows them without a note.
    offered: Keys that are among those that were asked: if any, all labels that were.
    shown: The primitives that the record is about; of others it says nothing.
    when: The time of the last change in seconds since 1970; 0 if it is not known.
    """

    text: str
    by: str = ""
    outcome: str = ANSWERED
    labels: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    note: Any = None
    asked: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    shown: tuple[str, ...] = tuple(FIELDS)
    when: float = 0.0


def make_note(item: Item) -> dict[str, Any]:
    """Return a note of what a record asks and what it spares: the text's digest, and each key's instruction in words, as the
    plan may change in the meantime."""
    sides = {"asked": item.asked, "spared": item.spared}
    return {"text": digest(item.text), **{name: describe(steps) for name, steps in sides.items()}}


def describe(steps: Iterable[Step]) -> dict[str, dict[str, str]]:
    return {step.id: {"op": step.op, "instruction": step.instruction} for step in steps}


def read_note(note: Any) -> tuple[str, Asked, Asked]:
    """Return the text's digest, what was asked, and what was spared, which earlier versions did not note.

    RAISES (AnswerError): It is not as `make_note` made it.
    """
    try:
        data = json.loads(note) if isinstance(note, str) else note
        asked, spared = read_asked(data["asked"]), read_asked(data.get("spared", {}))
        known = {*asked.values(), *spared.values()}
        fits = all(op in ("get_label", "get_span") and not HALF_CHARACTER.search(words) for op, words in known)
    except (ValueError, TypeError, KeyError, AttributeError):
        fits = False
    if not fits or not isinstance(data.get("text"), str):
        raise AnswerError(
            f"Its {NOTE!r} is {str(note)[:60]!r}; expected what `review export` wrote there. Leave it as it was."
        )
    return data["text"], asked, spared


def read_asked(steps: Mapping[str, Any]) -> Asked:
    return {str(key): (one["op"], one["instruction"]) for key, one in steps.items()}


def expect(record: Any, name: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
    """Return a field of a record, or the default if it is missing or null.

    RAISES (AnswerError): It is not of the expected kind, or is missing and has no default.
    """
    value = check(record, name, dict).get(name)
    return check(default if value is None else value, name, kind)


def check(value: Any, name: str, kind: type | tuple[type, ...]) -> Any:
    """Return the value of a field, if it is of the expected kind.

    RAISES (AnswerError): It is not.
    """
    if isinstance(value, kind) and (not isinstance(value, bool) or kind is bool):
        return value
    names = {str: "text", int: "a number", float: "a number", list: "a list", dict: "an object", bool: "true or false"}
    expected = " or ".join(dict.fromkeys(names[one] for one in (kind if isinstance(kind, tuple) else (kind,))))
    raise AnswerError(f"Its {name!r} is {str(value)[:60]!r}; expected {expected}. Correct the record.")
