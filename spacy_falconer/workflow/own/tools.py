"""Read what Prodigy, Label Studio or Argilla exported, with the user's own label names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from spacy_falconer.plan.show import show_ids
from spacy_falconer.workflow.own.names import Names
from spacy_falconer.workflow.review import label_studio
from spacy_falconer.workflow.review.files import Found, Reject, read_record, read_records
from spacy_falconer.workflow.review.work import ANSWERED, OPEN, Work


def read(path: Path, names: Names, *, text_field: str) -> Iterator[Found | Reject]:
    """Yield what people did, record by record. Records of `review export` keep the instructions that they asked.

    text_field (str): The field of the text in Label Studio's tasks.
    RAISES (AnswerError): The file cannot be read.
    """
    for where, record in read_records(path):
        if isinstance(record, Reject):
            yield record
            continue
        named = name_text(record, where, text_field)
        for one in [named] if isinstance(named, Reject) else read_record(named, where, by=path.name):
            yield one if isinstance(one, Reject) else replace(one, work=rename(one.work, names))


def name_text(record: Any, where: str, text_field: str) -> Any:
    """Return the record with its text in the usual field, or a Reject if it has none."""
    if not isinstance(record, dict) or not label_studio.claims(record):
        return record
    data = record["data"]
    if text_field not in data:
        return Reject(
            where,
            f"Its data has no {text_field!r}, but: {show_ids(data)}. Name the field of the text by --text-field.",
            record,
        )
    return {**record, "data": {**data, label_studio.TEXT: data[text_field]}}


def rename(work: Work, names: Names) -> Work:
    """Return the work with step ids in place of the file's names. Work on nothing that the plan asks is left open."""
    if work.note is not None or work.outcome != ANSWERED:
        return work
    labels = [key for name in work.labels for key in names.take(name, "get_label")]
    marks = [replace(mark, key=key) for mark in work.marks for key in names.take(mark.key, "get_span")]
    denied = [key for name in work.asked if name not in work.labels for key in names.take(name, "get_label")]
    asked = tuple(dict.fromkeys([*labels, *denied])) if work.asked else ()
    offered = names.find_all(work.offered, "get_label")
    outcome = OPEN if work.asked and not asked else ANSWERED
    # Where all options are labels of no step, the record says nothing of labels.
    shown = tuple(op for op in work.shown if op == "get_span" or offered or not work.offered)
    said = {"labels": tuple(dict.fromkeys(labels)), "marks": tuple(marks)}
    return replace(work, outcome=outcome, **said, asked=asked, offered=offered, shown=shown)
