"""Find the format of a file of labelled data, and read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spacy_falconer.errors import AnswerError
from spacy_falconer.workflow.own import conll, docbin, tools
from spacy_falconer.workflow.own.names import Names
from spacy_falconer.workflow.review.files import TOOLS, Found, Reject, read_records

RECORDED, DOCBIN, CONLL = "recorded", "docbin", "conll"
FORMS = (RECORDED, DOCBIN, CONLL, *TOOLS)
SUFFIXES = {
    ".spacy": DOCBIN,
    ".conll": CONLL,
    ".bio": CONLL,
    ".iob": CONLL,
    ".iob2": CONLL,
    ".tsv": CONLL,
    ".txt": CONLL,
}


def find_form(path: Path, named: str | None = None) -> str | None:
    """Return the format that was named, else the one that the file looks like; None if that is not clear.

    RAISES (AnswerError): There is no such format.
    """
    if named is not None and named not in FORMS:
        raise AnswerError(f"The format is {named!r}; expected one of {', '.join(FORMS)}. Name one by --format.")
    return named or recognise(path)


def choose_form(path: Path, named: str | None, *, has_plan: bool) -> str:
    """Return the format of a file. Without a plan, it can only hold recorded answers.

    RAISES (AnswerError): Without a plan, it looks like something else; with a plan, like no known format.
    """
    form = find_form(path, named)
    if not has_plan and form not in (None, RECORDED):
        raise AnswerError(
            f"{str(path)!r} is labelled data ({form}), whose labels have names of their own. Name the plan whose steps they "
            "answer by --plan or, if it holds recorded answers, add --format recorded."
        )
    if has_plan and form is None:
        raise AnswerError(
            f"The format of {str(path)!r} is not clear. Expected one of {', '.join(FORMS)}. Name it by --format."
        )
    return form or RECORDED


def recognise(path: Path) -> str | None:
    """Return the format by the first record if the file is JSON, else by the suffix; None if that is not known.

    JSON without any record, or whose first line is broken, counts as recorded answers.
    """
    if path.suffix.lower() == ".spacy" or not is_json(path):
        return SUFFIXES.get(path.suffix.lower())
    _, first = next(read_records(path), ("", None))
    if first is None or isinstance(first, Reject) or is_recorded(first):
        return RECORDED
    return next((name for name, tool in TOOLS.items() if isinstance(first, dict) and tool.claims(first)), None)


def is_json(path: Path) -> bool:
    """Return whether a file begins like JSON, or has a suffix of JSON."""
    with path.open("rb") as file:
        start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return start == b"{" or path.suffix.lower() in (".json", ".jsonl")


def is_recorded(record: Any) -> bool:
    return isinstance(record, dict) and "text" in record and "model" in record


def read_labelled(
    path: Path, form: str, names: Names, *, complete: bool | None, text_field: str
) -> Iterator[Found | Reject]:
    """Return a file's texts, with what is labelled in them by step ids, and what could not be read.

    RAISES (AnswerError): The file cannot be read.
    """
    if form == DOCBIN:
        return docbin.read(path, names, complete=complete)
    if form == CONLL:
        return conll.read(path, names)
    return tools.read(path, names, text_field=text_field)
