"""Every answer is paid for once: an append-only SQLite file, keyed by what was asked of what by whom."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from spacy_falconer.errors import AnswerError
from spacy_falconer.types import Answer, Quote

APPLICATION_ID = 0x46414C43  # "FALC": how SQLite files of ours are told from others.
VERSION = 1
TIMEOUT_S = 60  # How long to wait while another process writes.
HUMAN = "human"  # Corrections by people; they win over a model's answers.
GOLD = "gold"  # Answers of people to compare with; never given out as answers.

SCHEMA = """
CREATE TABLE texts (hash BLOB PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE answers (
    number INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    text BLOB NOT NULL REFERENCES texts (hash),
    model TEXT NOT NULL,
    op TEXT NOT NULL,
    instruction TEXT NOT NULL,
    value TEXT NOT NULL
);
CREATE INDEX answers_by_text ON answers (text);
"""

# Stores that were made before these came get them when they are opened.
LATER_SCHEMA = """
CREATE TABLE IF NOT EXISTS failures (
    key BLOB PRIMARY KEY, text BLOB NOT NULL, model TEXT NOT NULL, op TEXT NOT NULL, instruction TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, text BLOB NOT NULL, content TEXT NOT NULL);
"""

INSERT = "INSERT OR IGNORE INTO answers (key, text, model, op, instruction, value) VALUES (?, ?, ?, ?, ?, ?)"

Value = bool | tuple[Quote, ...]
Question = tuple[str, str]  # The op and the instruction.


class AnswerStore:
    """Answers on disk. An answer is there before `put` returns; a second one to the same question changes nothing.

    path: Made where there is none. Several processes may share it.
    RAISES (AnswerError): The file is something else, or damaged. It is left as it is.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        check_file(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(self.path, timeout=TIMEOUT_S, isolation_level=None)
        create_tables(self._connection)
        with suppress(sqlite3.OperationalError):  # Locked: another process is about to set it, for all of us.
            self._connection.execute("PRAGMA journal_mode = WAL")

    def __enter__(self) -> AnswerStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """How many answers there are, to how many questions."""
        return self._connection.execute("SELECT count(*) FROM answers").fetchone()[0]

    def close(self) -> None:
        self._connection.close()

    def put(self, answer: Answer) -> None:
        """Keep all answers to one text."""
        self.put_many([answer])

    def put_many(self, answers: Iterable[Answer]) -> None:
        """Keep the answers to many texts, all of them or none."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for answer in answers:
                self._insert(answer)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def find(self, text: str, op: str, instruction: str, *, model: str | None = None) -> Value | None:
        """What was answered to one question: a bool, or quotes. None where it was not asked.

        model (str): Whose answer; by default a person's, else the first one's.
        """
        rows = [row for row in self._rows(text) if row[1:3] == (op, instruction) and _may_answer(row[0], model)]
        return _parse(op, _prefer_people(rows)[0][3]) if rows else None

    def read(
        self, text: str, *, labels: Iterable[str] = (), spans: Iterable[str] = (), model: str | None = None
    ) -> Answer | None:
        """All answers to some instructions about a text; None where one of them is missing."""
        wanted = [("get_label", instruction) for instruction in labels]
        wanted += [("get_span", instruction) for instruction in spans]
        rows = self._rows(text)
        usable = _prefer_people([row for row in rows if _may_answer(row[0], model)])
        first = {row[1:3]: row for row in reversed(usable)}
        if not all(question in first for question in wanted):
            return None
        answer = _gather([first[question] for question in wanted], text)
        people = [row for row in rows if row[0] == GOLD and row[1:3] in first]
        return Answer(text, answer.model, answer.labels, answer.spans, _gather(people, text) if people else None)

    def open_questions(
        self, text: str, questions: Iterable[Question], *, model: str, accept: str | None = None
    ) -> list[Question]:
        """Those of some questions, each an op and an instruction, that `model` is still to be asked about a text.

        accept (str): Whose answers do; by default anyone's. Questions at which `model` failed are not asked again.
        """
        settled = {row[1:3] for row in self._rows(text) if _may_answer(row[0], accept)}
        query = "SELECT op, instruction FROM failures WHERE text = ? AND model = ?"
        settled |= set(self._connection.execute(query, (_hash(text), model)))
        return [question for question in questions if question not in settled]

    def put_failure(self, text: str, questions: Iterable[Question], *, model: str, reason: str) -> None:
        """Keep that a model has no answers to questions about a text, and why."""
        rows = [(_hash(model, *one, text), _hash(text), model, *one, reason) for one in questions]
        self._connection.executemany("INSERT OR IGNORE INTO failures VALUES (?, ?, ?, ?, ?, ?)", rows)

    def failures(self, texts: Iterable[str], *, model: str | None = None) -> dict[str, str]:
        """Those of the texts at which a model (by default any) failed, with the reason."""
        query = "SELECT reason FROM failures WHERE text = ? AND model = coalesce(?, model) LIMIT 1"
        found = ((text, self._connection.execute(query, (_hash(text), model)).fetchone()) for text in texts)
        return {text: row[0] for text, row in found if row}

    def forget_failures(self) -> None:
        """Let the texts that failed be asked again."""
        self._connection.execute("DELETE FROM failures")

    def keep_reply(self, text: str, request: str, content: str) -> None:
        """Keep a reply that is paid for and no answer yet, until the text is settled."""
        self._connection.execute(
            "INSERT OR IGNORE INTO replies VALUES (?, ?, ?)", (_hash(request), _hash(text), content)
        )

    def find_reply(self, request: str) -> str | None:
        row = self._connection.execute("SELECT content FROM replies WHERE key = ?", (_hash(request),)).fetchone()
        return row[0] if row else None

    def drop_replies(self, text: str) -> None:
        self._connection.execute("DELETE FROM replies WHERE text = ?", (_hash(text),))

    def export(self) -> Iterator[Answer]:
        """Everything, one answer a text and model, in the order in which it came."""
        query = "SELECT text, model FROM answers WHERE model != ? GROUP BY text, model ORDER BY min(number)"
        for text_hash, model in self._connection.execute(query, (GOLD,)).fetchall():
            text = self._connection.execute("SELECT text FROM texts WHERE hash = ?", (text_hash,)).fetchone()[0]
            rows = self._rows(text)
            people = [row for row in rows if row[0] == GOLD]
            answer = _gather([row for row in rows if row[0] == model], text)
            yield Answer(text, model, answer.labels, answer.spans, _gather(people, text) if people else None)

    def models(self) -> list[str]:
        """Who answered, people to compare with left out."""
        query = "SELECT DISTINCT model FROM answers WHERE model != ? ORDER BY model"
        return [model for (model,) in self._connection.execute(query, (GOLD,))]

    def _insert(self, answer: Answer) -> None:
        if answer.model == GOLD:
            raise AnswerError(
                f"The answer about {answer.text[:60]!r} names {GOLD!r} as its model, the word for answers to compare "
                f"with. Put those in its 'gold'; name {HUMAN!r} as the model of corrections."
            )
        text_hash = _hash(answer.text)
        self._connection.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (text_hash, answer.text))
        for model, op, instruction, value in _questions(answer):
            row = (_hash(model, op, instruction, answer.text), text_hash, model, op, instruction, json.dumps(value))
            self._connection.execute(INSERT, row)

    def _rows(self, text: str) -> list[tuple[str, str, str, str]]:
        """Model, op, instruction and value of all answers about a text, in the order in which they came."""
        query = "SELECT model, op, instruction, value FROM answers WHERE text = ? ORDER BY number"
        return self._connection.execute(query, (_hash(text),)).fetchall()


def check_file(path: Path) -> None:
    """Refuse a file that is no store of ours, without touching it. One with nothing in it may become a store."""
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=TIMEOUT_S)) as connection:
            # In this order: another process may make the tables, and with them the id, between the two.
            n_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            found = connection.execute("PRAGMA application_id").fetchone()[0]
            if n_tables and found == APPLICATION_ID:
                connection.execute("SELECT number FROM answers LIMIT 1").fetchone()
    except sqlite3.DatabaseError as error:
        raise AnswerError(f"{str(path)!r} is no answer store, or damaged ({error}). {_ELSEWHERE}") from None
    if found != APPLICATION_ID and (found or n_tables):
        raise AnswerError(f"{str(path)!r} is a database of something else. {_ELSEWHERE}")


_ELSEWHERE = "It was left as it is. Name another file by --store."


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables where there are none yet; of several processes, the first one does."""
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        for statement in SCHEMA.strip().split(";\n"):
            connection.execute(statement.rstrip(";"))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    for statement in LATER_SCHEMA.strip().split(";\n"):
        connection.execute(statement.rstrip(";"))
    connection.execute("COMMIT")


def _questions(answer: Answer) -> Iterator[tuple[str, str, str, Any]]:
    """Model, op, instruction and JSON value of each thing that was answered."""
    for model, said in ((answer.model, answer), (GOLD, answer.gold)):
        if said is not None:
            yield from ((model, "get_label", instruction, value) for instruction, value in said.labels.items())
            for instruction, quotes in said.spans.items():
                yield model, "get_span", instruction, [[quote.quote, quote.start] for quote in quotes]


def _parse(op: str, value: str) -> Value:
    data = json.loads(value)
    return bool(data) if op == "get_label" else tuple(Quote(quote, start) for quote, start in data)


def _gather(rows: Iterable[tuple[str, str, str, str]], text: str) -> Answer:
    """Rows about one text as one answer."""
    rows = list(rows)
    labels: Mapping = {row[2]: _parse(row[1], row[3]) for row in rows if row[1] == "get_label"}
    spans: Mapping = {row[2]: _parse(row[1], row[3]) for row in rows if row[1] == "get_span"}
    return Answer(text, rows[0][0] if rows else "", labels, spans)


def _may_answer(model: str, wanted: str | None) -> bool:
    return model == wanted if wanted is not None else model != GOLD


def _prefer_people(rows: list[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str]]:
    return sorted(rows, key=lambda row: row[0] != HUMAN)


def _hash(*parts: str) -> bytes:
    """A key for content: no two lists of parts share it."""
    lengths = [str(len(part)) for part in parts]
    return hashlib.sha256("\0".join([*lengths, *parts]).encode("utf8", "surrogatepass")).digest()
