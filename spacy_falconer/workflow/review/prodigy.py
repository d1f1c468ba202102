"""Prodigy: one task per line, with the tokens, the spans, and an option for each label."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from spacy.tokens import Doc

from spacy_falconer.errors import AnswerError
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.files import digest
from spacy_falconer.workflow.review.work import (
    ANSWERED,
    NOTE,
    OPEN,
    REJECTED,
    SKIPPED,
    Item,
    Mark,
    Work,
    check,
    expect,
    make_note,
)

OUTCOMES = {"accept": ANSWERED, "reject": REJECTED, "ignore": SKIPPED}
BINARY_VIEWS = ("ner", "spans")  # In these, "accept" says nothing about what else is in the text.
# The fields by which a task shows what it is about.
SHOWS = {"get_label": ("options", "accept"), "get_span": ("spans",)}
CONFIG_SUFFIX = ".config.json"
LAST_S = 1e15  # No time is later than this, not even in milliseconds.


def dump(items: Sequence[Item], plan: Plan) -> str:
    """Return the file's content: one task per line."""
    return "".join(json.dumps(make_task(item, plan), ensure_ascii=False) + "\n" for item in items)


def make_task(item: Item, plan: Plan) -> dict[str, Any]:
    note = make_note(item)
    task: dict[str, Any] = {"text": item.text, "tokens": make_tokens(item.doc)}
    if plan.text_steps("get_span"):
        task["spans"] = [make_span(mark, item.doc) for mark in item.found.marks]
    if plan.text_steps("get_label"):
        labels = [step for step in item.asked if step.op == "get_label"]
        task["options"] = [{"id": step.id, "text": step.instruction} for step in labels]
        task["accept"] = list(item.found.labels)
    hashes = {"_input_hash": make_hash(item.text), "_task_hash": make_hash(item.text, json.dumps(note["asked"]))}
    return {**task, "meta": {"id": item.id, "why": item.hint}, NOTE: note, **hashes, "_view_id": find_view(plan)}


def make_tokens(doc: Doc) -> list[dict[str, Any]]:
    return [
        {"text": token.text, "start": token.idx, "end": token.idx + len(token), "id": token.i, "ws": bool(token.whitespace_)}
        for token in doc
    ]  # fmt: skip


def make_span(mark: Mark, doc: Doc) -> dict[str, Any]:
    """Return a passage with its characters and, as Prodigy counts them, its first and last token."""
    tokens = doc.char_span(mark.start, mark.end, alignment_mode="expand")
    place = {"start": mark.start, "end": mark.end, "token_start": tokens.start, "token_end": tokens.end - 1}
    return {**place, "label": mark.key, "text": doc.text[mark.start : mark.end]}


def make_hash(*parts: str) -> int:
    """Return a hash that is the same on every machine: a signed integer of 32 bits, like Prodigy's own."""
    return int.from_bytes(bytes.fromhex(digest(*parts)[:8]), "big", signed=True)


def find_view(plan: Plan) -> str:
    """Return the name of the interface: for passages, for labels, or for both in blocks."""
    has_labels, has_spans = (bool(plan.text_steps(op)) for op in ("get_label", "get_span"))
    return "blocks" if has_labels and has_spans else "spans_manual" if has_spans else "choice"


def make_config(plan: Plan) -> str:
    """Return what a recipe needs: the interface, its blocks and its labels, as JSON."""
    view = find_view(plan)
    blocks = [{"view_id": "spans_manual"}, {"view_id": "choice", "text": None}] if view == "blocks" else []
    labels = [step.id for step in plan.text_steps("get_span")]
    config = {"view_id": view, "choice_style": "multiple", "labels": labels, **({"blocks": blocks} if blocks else {})}
    return json.dumps(config, indent=2) + "\n"


def can_show(text: str, plan: Plan) -> bool:
    return True


def claims(record: dict[str, Any]) -> bool:
    """Return whether a record is a task of Prodigy's."""
    others = ("model", "annotation_id")  # Our recorded answers, and a short form of Label Studio's.
    return isinstance(record.get("text"), str) and not any(name in record for name in others)


def split(record: dict[str, Any]) -> list[Any]:
    """Return the task alone: it is one person's work."""
    return [record]


def read(record: dict[str, Any], part: Any) -> Work:
    answer = expect(record, "answer", str, default="")
    if answer and answer not in OUTCOMES:
        raise AnswerError(f"Its 'answer' is {answer!r}; expected accept, reject or ignore. Correct the record.")
    note, outcome = record.get(NOTE), OUTCOMES.get(answer, OPEN)
    by = record.get("_annotator_id") or record.get("_session_id") or ""
    common = {
        "text": record["text"],
        "by": str(by),
        "when": read_time(expect(record, "_timestamp", (int, float), default=0)),
    }
    if note is None and "label" in record and "options" not in record and outcome in (ANSWERED, REJECTED):
        label = expect(record, "label", str)  # A single question: accepted is yes, rejected is no.
        return Work(**common, labels=(label,) if outcome == ANSWERED else (), asked=(label,))
    if outcome == ANSWERED and record.get("_view_id") in BINARY_VIEWS:
        raise AnswerError("It accepts single spans, and does not say what else is in the text. Use spans_manual.")
    options = [str(expect(one, "id", (str, int))) for one in expect(record, "options", list, default=[])]
    chosen = [str(check(one, "accept", (str, int))) for one in expect(record, "accept", list, default=[])]
    marks = [read_span(one) for one in expect(record, "spans", list, default=[])]
    asked = () if "spans" in record else tuple(options)
    said = {"labels": tuple(chosen), "marks": tuple(marks), "shown": find_shown(record)}
    return Work(**common, **said, outcome=outcome, note=note, asked=asked, offered=tuple(options))


def find_shown(record: dict[str, Any]) -> tuple[str, ...]:
    """Return the primitives that a task is about: those whose fields it has, or both if it has neither's."""
    shown = [op for op, names in SHOWS.items() if any(name in record for name in names)]
    return tuple(shown or SHOWS)


def read_time(value: float) -> float:
    """Return seconds since 1970; 0 if the number is not a time."""
    return float(value) if 0 <= value < LAST_S else 0.0


def read_span(span: Any) -> Mark:
    start, end = (expect(span, name, int) for name in ("start", "end"))
    quote = span.get("text")
    return Mark(expect(span, "label", str), start, end, quote=quote if isinstance(quote, str) else None)
