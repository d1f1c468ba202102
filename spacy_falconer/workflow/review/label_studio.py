"""Label Studio: tasks with predictions, and the labelling configuration that shows them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

from spacy_falconer.errors import AnswerError
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.review.work import (
    ANSWERED,
    NOTE,
    SKIPPED,
    Item,
    Mark,
    Reading,
    Work,
    check,
    expect,
    make_note,
)

CONFIG_SUFFIX = ".config.xml"
TEXT, LABELS, SPANS = "text", "labels", "spans"  # The names of the configuration's parts.
PIPELINE, MODEL = "pipeline", "language model"
COMMENTS = ("relation", "textarea", "rating", "number", "datetime")


def dump(items: Sequence[Item], plan: Plan) -> str:
    """Return the file's content: a list of tasks."""
    return json.dumps([make_task(item, plan) for item in items], ensure_ascii=False, indent=1) + "\n"


def make_task(item: Item, plan: Plan) -> dict[str, Any]:
    readings = [(PIPELINE, item.found), *([(MODEL, item.answered)] if item.answered else [])]
    predictions = [
        {"model_version": name, "result": make_result(reading, item.text, plan)} for name, reading in readings
    ]
    data = {TEXT: item.text, "id": item.id, "why": item.hint, NOTE: make_note(item)}
    return {"data": data, "predictions": predictions}


def make_result(reading: Reading, text: str, plan: Plan) -> list[dict[str, Any]]:
    """Return a reading as regions, each with an id, and one choice of labels."""
    result = []
    for number, mark in enumerate(reading.marks):
        value = {"start": mark.start, "end": mark.end, "text": text[mark.start : mark.end], "labels": [mark.key]}
        region = {"id": f"{SPANS}-{number}", "from_name": SPANS, "to_name": TEXT, "type": "labels", "value": value}
        result.append(region if mark.score is None else {**region, "score": mark.score})
    if reading.labels:
        value = {"choices": list(reading.labels)}
        result.append({"id": LABELS, "from_name": LABELS, "to_name": TEXT, "type": "choices", "value": value})
    return result


def make_config(plan: Plan) -> str:
    """Return the labelling configuration as XML."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Header", value="$why", size="6")
    if spans := plan.text_steps("get_span"):
        labels = ElementTree.SubElement(view, "Labels", name=SPANS, toName=TEXT)
        for step in spans:
            ElementTree.SubElement(labels, "Label", value=step.id, hint=step.instruction)
    ElementTree.SubElement(view, "Text", name=TEXT, value=f"${TEXT}")
    if steps := plan.text_steps("get_label"):
        choices = ElementTree.SubElement(view, "Choices", name=LABELS, toName=TEXT, choice="multiple")
        for step in steps:
            ElementTree.SubElement(choices, "Choice", value=step.id, hint=step.instruction)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def can_show(text: str, plan: Plan) -> bool:
    return True


def claims(record: dict[str, Any]) -> bool:
    """Return whether a record is a task of Label Studio's."""
    return isinstance(record.get("data"), dict) and ("annotations" in record or "predictions" in record)


def split(record: dict[str, Any]) -> list[Any]:
    """Return the annotations, each one person's work. If some are marked as ground truth, only these count."""
    annotations = expect(record, "annotations", list, default=[])
    true = [one for one in annotations if isinstance(one, dict) and one.get("ground_truth") is True]
    return true or annotations


def read(record: dict[str, Any], part: Any) -> Work:
    data = record["data"]
    text = expect(data, TEXT, str)
    by = part.get("completed_by", "") if isinstance(part, dict) else ""
    by = by.get("email") or by.get("id") if isinstance(by, dict) else by
    is_skipped = bool(expect(part, "was_cancelled", bool, default=False))
    labels, marks = [], []
    for one in expect(part, "result", list, default=[]):
        kind, value = expect(one, "type", str), expect(one, "value", dict, default={})
        if kind == "labels":
            marks += read_region(value, text)
        elif kind == "choices":
            labels += [check(choice, "choices", str) for choice in expect(value, "choices", list)]
        elif kind not in COMMENTS:
            raise AnswerError(f"It holds a result of type {kind!r}; expected labels and choices. Export only these.")
    return Work(
        text, "" if by is None else str(by), SKIPPED if is_skipped else ANSWERED, tuple(labels), tuple(marks),
        note=data.get(NOTE), when=read_time(part.get("updated_at") or part.get("created_at")),
    )  # fmt: skip


def read_region(value: dict[str, Any], text: str) -> list[Mark]:
    """Return the marks of a region, one for each of its labels."""
    start, end = (expect(value, name, int) for name in ("start", "end"))
    quote = value.get("text") if isinstance(value.get("text"), str) else None
    if quote is not None and quote not in text:
        quote = quote.replace("\\n", "\n")  # Label Studio writes line breaks like this.
    names = [check(name, "labels", str) for name in expect(value, "labels", list)]
    return [Mark(name, start, end, quote=quote) for name in names]


def read_time(value: Any) -> float:
    try:
        return datetime.fromisoformat(str(value).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):  # Not a date, or one too near to the first or last possible one.
        return 0.0
