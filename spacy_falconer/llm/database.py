"""The store's file: create it, upgrade it, and refuse files that are something else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from spacy_falconer.errors import AnswerError

APPLICATION_ID = 0x46414C43  # "FALC": tells our SQLite files from others.
VERSION = 2
TIMEOUT_S = 60  # How long to wait while another process writes.

SCHEMA = """
CREATE TABLE IF NOT EXISTS texts (hash BLOB PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (
    number INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    text BLOB NOT NULL REFERENCES texts (hash),
    model TEXT NOT NULL,
    op TEXT NOT NULL,
    instruction TEXT NOT NULL,
    value TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS answers_by_text ON answers (text);
CREATE TABLE IF NOT EXISTS failures (
    key BLOB PRIMARY KEY, text BLOB NOT NULL, model TEXT NOT NULL, op TEXT NOT NULL, instruction TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS failures_by_text ON failures (text);
CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, text BLOB NOT NULL, content TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS replies_by_text ON replies (text);
CREATE TABLE IF NOT EXISTS usage (
    model TEXT NOT NULL, kind TEXT NOT NULL, counted INTEGER NOT NULL, billed INTEGER NOT NULL,
    PRIMARY KEY (model, kind)
);
"""

# Columns that stores of version 1 lack: the passage that is asked about, and the prompt that asked.
LATER_COLUMNS = {
    "answers": {"start": "INTEGER", "end": "INTEGER", "version": "TEXT"},
    "failures": {"start": "INTEGER", "end": "INTEGER", "version": "TEXT"},
}

# An answer recorded without a prompt's version is ignored if the model has already answered, whichever prompt asked.
INSERT = """
INSERT OR IGNORE INTO answers (key, text, model, op, instruction, start, "end", version, value)
SELECT :key, :text, :model, :op, :instruction, :start, :end, :version, :value
WHERE :version IS NOT NULL OR NOT EXISTS (
    SELECT 1 FROM answers WHERE text = :text AND model = :model AND op = :op AND instruction = :instruction
    AND start IS :start AND "end" IS :end)
"""
INSERT_FAILURE = """
INSERT OR REPLACE INTO failures (key, text, model, op, instruction, start, "end", version, reason)
VALUES (:key, :text, :model, :op, :instruction, :start, :end, :version, :reason)
"""

_ELSEWHERE = "It was left as it is. Name another file with --store."


def connect(path: Path) -> sqlite3.Connection:
    """Open a store; create it if there is none, and upgrade an older one. Several processes may share it.

    RAISES (AnswerError): The file is not an answer store, is damaged or cannot be written.
    """
    check_file(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=TIMEOUT_S, isolation_level=None)
        create_tables(connection)
        with suppress(sqlite3.OperationalError):  # Locked: another process is setting it for all.
            connection.execute("PRAGMA journal_mode = WAL")
    except (OSError, sqlite3.Error) as error:
        raise AnswerError(f"{str(path)!r} cannot be opened as an answer store ({error}). {_ELSEWHERE}") from None
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def check_file(path: Path) -> None:
    """Raise an error for a file that is not our store, without touching it. An empty file may become a store."""
    if path.is_file() and path.stat().st_size == 0 or not path.exists():
        return
    # If a process was killed while it created the tables, SQLite repairs the file, and must write for that.
    mode = "rw" if path.with_name(path.name + "-journal").exists() else "ro"
    try:
        uri = f"{path.resolve().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(uri, uri=True, timeout=TIMEOUT_S)) as connection:
            # In this order: another process may create the tables, and set the id with them, between the two.
            n_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            found = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if n_tables and found == APPLICATION_ID:
                connection.execute("SELECT number FROM answers LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        raise AnswerError(
            f"The answer store {str(path)!r} cannot be opened ({error}). SQLite keeps files of its own beside it while it is "
            "read. Copy it to a folder that you may write to."
        ) from None
    except sqlite3.DatabaseError as error:
        raise AnswerError(f"{str(path)!r} is no answer store, or damaged ({error}). {_ELSEWHERE}") from None
    if found != APPLICATION_ID and (found or n_tables):
        raise AnswerError(f"{str(path)!r} is another program's database. {_ELSEWHERE}")
    if version > VERSION:
        raise AnswerError(
            f"{str(path)!r} was made by a newer version of spacy-falconer (format {version}; this one reads up to "
            f"{VERSION}). {_ELSEWHERE} Or upgrade spacy-falconer."
        )


def create_tables(connection: sqlite3.Connection) -> None:
    """Create missing tables and columns; of several processes, the first one does it."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == VERSION:
        return
    with transaction(connection):
        for statement in SCHEMA.strip().split(";\n"):
            connection.execute(statement.rstrip(";"))
        for table, columns in LATER_COLUMNS.items():
            known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            for name, kind in columns.items():
                if name not in known:
                    connection.execute(f'ALTER TABLE {table} ADD COLUMN "{name}" {kind}')
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit all of the block or nothing. A transaction inside another is part of it."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # If the disk is full, SQLite has rolled back by itself.
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into an AnswerError that says what is wrong with the store."""
    try:
        yield
    except sqlite3.Error as error:
        raise AnswerError(
            f"The answer store {str(path)!r} cannot be used ({error}). What it holds was left as it is. If the disk is "
            "full or the file is locked, free it; if it is damaged, name another one with --store."
        ) from None
