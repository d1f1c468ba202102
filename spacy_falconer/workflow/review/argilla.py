"""Argilla 2: records, one per line, as `rg.Record.from_dict` takes them, and the dataset's settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from spacy_falconer.errors import AnswerError
from spacy_falconer.plan import Plan, Step
from spacy_falconer.workflow.review.work import (
    ANSWERED,
    NOTE,
    OPEN,
    SKIPPED,
    Item,
    Mark,
    Reading,
    Work,
    check,
    expect,
    make_note,
)

CONFIG_SUFFIX = ".config.json"
TEXT, LABELS, SPANS, REVIEWED = "text", "labels", "spans", "reviewed"
CHECKED, UNSURE = "checked", "unsure"
OUTCOMES = {CHECKED: ANSWERED, UNSURE: SKIPPED}
REVIEWED_OPTIONS = {CHECKED: "Checked: what is marked is right, and nothing is missing", UNSURE: "I cannot tell"}
LAST_BASIC = "\uffff"  # Argilla's page counts each character beyond it as two.


def dump(items: Sequence[Item], plan: Plan) -> str:
    """Return the file's content: one record per line."""
    return "".join(json.dumps(make_record(item, plan), ensure_ascii=False) + "\n" for item in items)


def make_record(item: Item, plan: Plan) -> dict[str, Any]:
    note = json.dumps(make_note(item), ensure_ascii=False)
    return {
        "id": item.id,
        "fields": {TEXT: item.text},
        "metadata": {"why": item.hint, NOTE: note},
        "suggestions": make_suggestions(item.found, plan),
        "responses": {},
        "vectors": {},
    }


def make_suggestions(reading: Reading, plan: Plan) -> dict[str, Any]:
    suggestions: dict[str, Any] = {}
    if plan.text_steps("get_label"):
        scores = [reading.scores[key] for key in reading.labels]
        suggestions[LABELS] = {"value": list(reading.labels), "score": scores, "agent": "pipeline"}
    if plan.text_steps("get_span"):
        spans = [{"start": mark.start, "end": mark.end, "label": mark.key} for mark in reading.marks]
        suggestions[SPANS] = {"value": spans, "score": [mark.score for mark in reading.marks], "agent": "pipeline"}
    return {name: one for name, one in suggestions.items() if one["value"]}


def make_config(plan: Plan) -> str:
    """Return the dataset's settings, as `rg.Settings.from_json` reads them."""
    reviewed = make_options(REVIEWED_OPTIONS)
    questions = [make_question(REVIEWED, {"type": "label_selection", "options": reviewed}, is_required=True)]
    if spans := plan.text_steps("get_span"):
        settings = {"type": "span", "field": TEXT, "allow_overlapping": True, "options": list_options(spans)}
        questions.insert(0, make_question(SPANS, settings))
    if labels := plan.text_steps("get_label"):
        settings = {"type": "multi_label_selection", "options": list_options(labels), "options_order": "natural"}
        questions.insert(0, make_question(LABELS, settings))
    field = {"name": TEXT, "title": TEXT, "required": True, "settings": {"type": "text", "use_markdown": False}}
    metadata = [make_property("why", is_visible=True), make_property(NOTE, is_visible=False)]
    settings = {"guidelines": plan.instruction, "fields": [field], "questions": questions, "metadata": metadata}
    return json.dumps({**settings, "vectors": [], "allow_extra_metadata": True}, ensure_ascii=False, indent=2) + "\n"


def make_question(name: str, settings: dict[str, Any], *, is_required: bool = False) -> dict[str, Any]:
    settings = {**settings, "visible_options": None}
    return {"name": name, "title": name, "required": is_required, "type": settings["type"], "settings": settings}


def make_property(name: str, *, is_visible: bool) -> dict[str, Any]:
    settings = {"type": "terms", "values": None, "visible_for_annotators": is_visible}
    return {"name": name, "title": name, "settings": settings, "visible_for_annotators": is_visible}


def list_options(steps: Sequence[Step]) -> list[dict[str, str]]:
    return make_options({step.id: f"{step.id}: {step.instruction}" for step in steps})


def make_options(names: dict[str, str]) -> list[dict[str, str]]:
    return [{"value": value, "text": text} for value, text in names.items()]


def can_show(text: str, plan: Plan) -> bool:
    """Return whether passages come back from Argilla as they were marked. In texts with emoji and the like, they are shifted."""
    return not plan.text_steps("get_span") or all(character <= LAST_BASIC for character in text)


def claims(record: dict[str, Any]) -> bool:
    """Return whether a record is one of Argilla's, as `to_dict` returns it, or flattened."""
    return "fields" in record or "_server_id" in record or any(key.endswith(".responses") for key in record)


def split(record: dict[str, Any]) -> list[Any]:
    """Return what each user answered: by question, value and status."""
    users: dict[str, dict[str, Any]] = {}
    for question, response in list_responses(record):
        users.setdefault(str(response.get("user_id") or ""), {})[question] = response
    return [{"by": by, "responses": responses} for by, responses in users.items()]


def list_responses(record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the responses of a record in either of the two forms."""
    for question, responses in expect(record, "responses", dict, default={}).items():
        for one in check(responses, question, list):
            yield question, check(one, question, dict)
    for key in [key for key in record if key.endswith(".responses")]:
        values = expect(record, key, list, default=[])
        users, states = (expect(record, f"{key}.{name}", list, default=[]) for name in ("users", "status"))
        for value, user, status in zip(values, pad(users, values), pad(states, values), strict=True):
            yield key.removesuffix(".responses"), {"value": value, "user_id": user, "status": status}


def pad(parts: list[Any], values: list[Any]) -> list[Any]:
    return [*parts, *[None] * len(values)][: len(values)]


def read(record: dict[str, Any], part: Any) -> Work:
    is_nested = "fields" in record
    text = expect(expect(record, "fields", dict) if is_nested else record, TEXT, str)
    note = (expect(record, "metadata", dict, default={}) if is_nested else record).get(NOTE)
    responses = part["responses"]
    labels = [check(one, LABELS, str) for one in read_value(responses, LABELS)]
    marks = [read_span(one, text) for one in read_value(responses, SPANS)]
    return Work(text, part["by"], find_outcome(responses, note), tuple(labels), tuple(marks), note=note)


def find_outcome(responses: dict[str, Any], note: Any) -> str:
    """Return the outcome: a draft is still open; what was discarded, or not marked as checked, is skipped."""
    states = {str(one.get("status")) for one in responses.values()}
    if "draft" in states:
        return OPEN
    said = responses.get(REVIEWED, {}).get("value", CHECKED if note is None or "submitted" in states else UNSURE)
    return SKIPPED if "discarded" in states else OUTCOMES.get(str(said), SKIPPED)


def read_value(responses: dict[str, Any], question: str) -> list[Any]:
    value = responses.get(question, {}).get("value")
    return [value] if isinstance(value, str) else [] if value is None else check(value, question, list)


def read_span(span: Any, text: str) -> Mark:
    start, end = (expect(span, name, int) for name in ("start", "end"))
    if any(character > LAST_BASIC for character in text[:end]):
        raise AnswerError(
            f"It marks characters {start} to {end}, and there are characters such as emoji before them, which Argilla "
            "counts as one or as two. Review this text with another tool."
        )
    return Mark(expect(span, "label", str), start, end)
