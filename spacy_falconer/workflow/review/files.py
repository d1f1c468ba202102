"""Read files from any reviewing tool: their records, and each person's work in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from spacy_falconer.errors import AnswerError
from spacy_falconer.types import HALF_CHARACTER
from spacy_falconer.workflow.review import argilla, label_studio, prodigy
from spacy_falconer.workflow.review.work import OPEN, Work

TOOLS = {
    "label-studio": label_studio,
    "argilla": argilla,
    "prodigy": prodigy,
}  # A record belongs to the first tool that claims it.


@dataclass(frozen=True)
class Reject:
    """What was not taken, from where, and why."""

    where: str
    reason: str
    record: Any


@dataclass(frozen=True)
class Found:
    """One person's work, where it was found, and its record."""

    where: str
    work: Work
    record: Any


def find_tool(name: str) -> ModuleType:
    """RAISES (AnswerError): There is no such tool."""
    if name not in TOOLS:
        raise AnswerError(f"The format is {name!r}; expected one of {', '.join(TOOLS)}. Name one by --format.")
    return TOOLS[name]


def read_works(paths: Sequence[Path]) -> Iterator[Found | Reject]:
    """Yield what people did, in the order of the files. Someone without a name gets the name of the file.

    RAISES (AnswerError): A file cannot be read.
    """
    for path in paths:
        for where, record in read_records(path):
            if isinstance(record, Reject):
                yield record
                continue
            yield from read_record(record, where, by=path.name)


def read_record(record: Any, where: str, *, by: str) -> Iterator[Found | Reject]:
    tool = next((tool for tool in TOOLS.values() if isinstance(record, dict) and tool.claims(record)), None)
    if tool is None:
        names = ", ".join(TOOLS)
        yield Reject(where, f"It is not a record of a known tool ({names}). Export it as the tool's docs say.", record)
        return
    try:
        parts = tool.split(record)
    except AnswerError as error:
        yield Reject(where, str(error), record)
        return
    if not parts:
        yield Found(where, Work("", outcome=OPEN), record)
    yield from (read_part(tool, record, part, where, by) for part in parts)


def read_part(tool: ModuleType, record: Any, part: Any, where: str, by: str) -> Found | Reject:
    try:
        work = tool.read(record, part)
    except AnswerError as error:
        return Reject(where, str(error), record)
    if HALF_CHARACTER.search(work.text):
        return Reject(where, "Its text holds half a character (a lone surrogate). Remove it.", record)
    return Found(where, work if work.by else replace(work, by=by), record)


def read_records(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the records of a file, which is a JSON list or has one per line, and where each was found."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AnswerError(f"{path}: cannot be read ({error}). Expected JSON in UTF-8. Check the file.") from None
    if content.lstrip().startswith("["):
        yield from ((f"{path}, record {number}", one) for number, one in enumerate(parse_list(content, path), start=1))
        return
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            yield f"{path}, line {number}", parse_line(line, f"{path}, line {number}")


def parse_list(content: str, path: Path) -> list[Any]:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise AnswerError(
            f"{path}: not JSON ({error}). Expected a complete list of records. Export it again."
        ) from None


def parse_line(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return Reject(where, f"It is not JSON ({error}). Correct or remove the line.", line)
