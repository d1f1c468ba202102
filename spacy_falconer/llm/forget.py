"""Count the answers in a store that a changed prompt makes stale, and delete answers."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.rows import GOLD, answer_rows, hash_parts, make_key
from spacy_falconer.plan.check import SPAN_SLOT
from spacy_falconer.types import Answer


def count_stale(
    connection: sqlite3.Connection,
    questions: Iterable[tuple],
    *,
    version: str,
    model: str | None,
    texts: Iterable[str] | None,
) -> int:
    """Count the answers that only other versions of the prompt asked for. See `AnswerStore.count_stale`."""
    hashes = None if texts is None else {hash_parts(text) for text in texts}
    asked_by: dict[tuple, set[str | None]] = {}
    for op, instruction, *_ in questions:
        condition, value = match_instruction(instruction)
        query = f'SELECT version, text, model, instruction, start, "end" FROM answers WHERE op = ? AND {condition}'
        for found, *answer in connection.execute(query, (op, value)):
            if (hashes is None or answer[0] in hashes) and answer[1] == (model or answer[1]) != GOLD:
                asked_by.setdefault((op, *answer), set()).add(found)
    return sum(not versions & {None, version} for versions in asked_by.values())


def delete_answers(
    connection: sqlite3.Connection, *, texts: Iterable[str] | None, model: str | None, instruction: str | None
) -> int:
    """Delete the answers that match all that is named, and texts without any answer left. See `AnswerStore.delete`."""
    hashes = None if texts is None else {hash_parts(text) for text in texts}
    doomed = _find(connection, "answers", hashes, model, instruction)
    touched = {text for _, text in doomed} | (hashes or set())
    for table, rows in (("answers", doomed), ("failures", _find(connection, "failures", hashes, model, instruction))):
        connection.executemany(f"DELETE FROM {table} WHERE rowid = ?", [(number,) for number, _ in rows])
    connection.executemany("DELETE FROM replies WHERE text = ?", [(text,) for text in touched])
    connection.execute("DELETE FROM texts WHERE hash NOT IN (SELECT text FROM answers)")
    return len(doomed)


def drop_same(connection: sqlite3.Connection, answer: Answer) -> None:
    """Delete the same model's answers to the same questions, except those that a prompt asked for."""
    keys = [(make_key(row, answer.text),) for row in answer_rows(answer)]
    connection.executemany("DELETE FROM answers WHERE key = ?", keys)


def purge(connection: sqlite3.Connection, path: Path) -> None:
    """Rewrite the file, so that nothing of what was deleted is left in it.

    RAISES (AnswerError): Another process uses it, or the disk is full.
    """
    try:
        connection.execute("VACUUM")
        is_busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError:
        is_busy = True
    if is_busy:
        raise AnswerError(
            f"The answers are forgotten, but what they said may still be readable in {str(path)!r}: another process "
            "uses it, or the disk is full. Run the same command again when that is over."
        )


def _find(
    connection: sqlite3.Connection, table: str, hashes: set[bytes] | None, model: str | None, instruction: str | None
) -> list[tuple[int, bytes]]:
    condition, value = match_instruction(instruction) if instruction is not None else ("?1 IS NULL", None)
    query = f"SELECT rowid, text FROM {table} WHERE {condition} AND model = coalesce(?2, model)"
    rows = connection.execute(query, (value, model)).fetchall()
    return [row for row in rows if hashes is None or row[1] in hashes]


def match_instruction(instruction: str) -> tuple[str, str]:
    """Return an SQL condition and its value, for an instruction as it is, or with any words filled in for its `{span}`."""
    if SPAN_SLOT not in instruction:
        return "instruction = ?", instruction
    pattern = re.sub(r"[*?[]", r"[\g<0>]", instruction).replace(SPAN_SLOT, "*")
    return "start IS NOT NULL AND instruction GLOB ?", pattern
