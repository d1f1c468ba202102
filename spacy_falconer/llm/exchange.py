"""Recorded answers: the format for import into the store and export from it, one JSON object per text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.store import GOLD
from spacy_falconer.types import HALF_CHARACTER, Answer, CharSpan, Quote

ANSWERED = {"model", "labels", "spans", "gold"}  # A row without any of these is a text that nobody answered.


def read_exchange(path: str | Path) -> Iterator[Answer]:
    """Read a file of recorded answers.

    Each line: `{"text", "model", "labels": {instruction: bool}, "spans": {instruction: [{"quote", "start"}]}}`, with
    `"about": [{"start", "end", "labels", "spans"}]` if single passages were asked about, and `"gold"` with the same maps
    if people answered, too.
    RAISES (AnswerError): A line is wrong. The message names the line and what is wrong with it.
    """
    for number, line in _read_lines(Path(path)):
        if line.strip():
            yield parse_answer(line, where=f"{path}, line {number}")


def write_exchange(answers: Iterable[Answer], path: str | Path) -> None:
    with Path(path).open("wb") as lines:
        lines.writelines(map(dump_answer, answers))


def dump_answer(answer: Answer) -> bytes:
    """Return a line of JSON in UTF-8, or in ASCII if it holds half a character."""
    row = answer_to_json(answer)
    try:
        return json.dumps(row, ensure_ascii=False).encode("utf8") + b"\n"
    except UnicodeEncodeError:
        return json.dumps(row).encode("ascii") + b"\n"


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise AnswerError(
            f"{path}, after line {number}: cannot be read ({error}). Expected recorded answers in UTF-8, one JSON "
            "object per line. Check the path and the file."
        ) from None


def parse_answer(line: str, *, where: str) -> Answer:
    """Parse one line of a file."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"{where}: not JSON ({error}): {line[:60]!r}. Correct or remove the line.") from None
    if isinstance(row, dict) and "text" in row and not ANSWERED & row.keys():
        raise AnswerError(
            f"{where}: a text without 'model', 'labels' or 'spans'. Expected recorded answers, and this looks like a corpus. "
            "Name the file with the answers."
        )
    text, model = (_check_characters(_expect(row, name, str, where), where) for name in ("text", "model"))
    gold = row.get("gold")
    people = _parse_said(gold, text, GOLD, f"{where}, gold") if gold is not None else None
    return replace(_parse_said(row, text, model, where), gold=people)


def answer_to_json(answer: Answer) -> dict[str, Any]:
    row = {"text": answer.text, "model": answer.model, **_maps_to_json(answer)}
    return row if answer.gold is None else {**row, "gold": _maps_to_json(answer.gold)}


def _maps_to_json(answer: Answer) -> dict[str, Any]:
    spans = {key: [{"quote": one.quote, "start": one.start} for one in said] for key, said in answer.spans.items()}
    maps = {"labels": dict(answer.labels), "spans": spans}
    about = [{"start": place.start, "end": place.end, **_maps_to_json(one)} for place, one in answer.about.items()]
    return {**maps, "about": about} if about else maps


def _parse_said(row: Any, text: str, model: str, where: str) -> Answer:
    about = {}
    for one in _expect(row, "about", list, where, default=[]):
        start, end = (_expect(one, name, int, f"{where}, about") for name in ("start", "end"))
        place = f"{where}, about characters {start} to {end}"
        if not 0 <= start < end <= len(text):
            raise AnswerError(f"{place}: the text has {len(text)} characters. Correct the line.")
        about[CharSpan(start, end)] = Answer(text, model, *_parse_maps(one, place))
    return Answer(text, model, *_parse_maps(row, where), about=about)


def _parse_maps(row: Any, where: str) -> tuple[dict[str, bool], dict[str, tuple[Quote, ...]]]:
    labels = {
        _check_characters(instruction, where): _check(value, bool, where, f"label {instruction!r}")
        for instruction, value in _expect(row, "labels", Mapping, where, default={}).items()
    }
    spans = {
        _check_characters(instruction, where): tuple(
            _parse_quote(one, f"{where}, spans {instruction!r}")
            for one in _check(said, list, where, f"spans {instruction!r}")
        )
        for instruction, said in _expect(row, "spans", Mapping, where, default={}).items()
    }
    return labels, spans


def _parse_quote(value: Any, where: str) -> Quote:
    words = _check_characters(_expect(value, "quote", str, where), where)
    start = value.get("start")
    return Quote(words, None if start is None else _check(start, int, where, "'start'"))


def _expect(row: Any, name: str, kind: type, where: str, default: Any = None) -> Any:
    return _check(_check(row, dict, where, "this").get(name, default), kind, where, repr(name))


def _check_characters(value: str, where: str) -> str:
    """Refuse half characters: JSON can write them, but hardly any other file, store or request can hold them."""
    if HALF_CHARACTER.search(value):
        raise AnswerError(f"{where}: {value[:60]!r} holds half a character (a lone surrogate). Remove it.")
    return value


def _check(value: Any, kind: type, where: str, what: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        names = {str: "text", bool: "true or false", list: "a list", int: "a number"}
        raise AnswerError(
            f"{where}: {what} is {str(value)[:60]!r}; expected {names.get(kind, 'an object')}. Correct the line."
        )
    return value
