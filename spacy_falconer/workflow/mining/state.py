"""What a mining run has done so far: one file, in which a part is noted with all its results, or not at all."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from spacy_falconer.errors import CorpusError, FalconerError
from spacy_falconer.workflow.mining.parts import durable, plain_disk
from spacy_falconer.workflow.mining.reading import Reading

CLUSTER_HEAD = "_run.json"  # What a run on a cluster was begun with. Its only other state is its parts.
PER_QUERY = 500
UNUSABLE = re.compile("locked|not a database|malformed")  # In sqlite's messages, if it is not the disk that fails.
TABLES = """
CREATE TABLE IF NOT EXISTS head (content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS parts (part INTEGER PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rejects (content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS readings (key BLOB PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (key BLOB PRIMARY KEY) WITHOUT ROWID;
"""

Json = dict[str, Any]


@dataclass
class PartDone:
    """The results of a part, besides its rows.

    content: The part's entry in the manifest.
    readings: Readings of the texts that were read, by their keys.
    records: Keys of all records of the part.
    rejects: Rows of the corpus that are not records.
    """

    content: Json
    readings: Mapping[bytes, Reading] = field(default_factory=dict)
    records: Iterable[bytes] = ()
    rejects: Sequence[Json] = ()


class MineState:
    """The file of an unfinished run. One process at a time may open it, and may be killed at any moment.

    RAISES (CorpusError): Another run is writing to the same output, or the disk is full. The methods raise it, too.
    """

    def __init__(self, path: Path):
        self._path = path
        with plain_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=1.0)
            try:
                self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.execute("PRAGMA cache_size=-8192")  # KiB.
                self._db.executescript(f"BEGIN IMMEDIATE;{TABLES}COMMIT;")
            except sqlite3.DatabaseError as error:
                self._db.close()
                if not UNUSABLE.search(str(error)):
                    raise
                raise CorpusError(
                    f"{str(path)!r} cannot be used ({error}); another run may be writing these rows: "
                    "wait for it or stop it. If there is none, remove the file."
                ) from error

    def __enter__(self) -> MineState:
        return self

    def __exit__(self, *raised: object) -> None:
        self._db.close()

    def head(self) -> Json | None:
        """Return what the run was begun with; None if it has not begun."""
        with plain_disk(self._path):
            row = self._db.execute("SELECT content FROM head").fetchone()
        return json.loads(row[0]) if row else None

    def begin(self, head: Json) -> None:
        with plain_disk(self._path):
            self._db.execute("INSERT INTO head VALUES (?)", (json.dumps(head),))

    def parts(self) -> list[Json]:
        """Return the manifest's entries of the parts that are done, in order."""
        with plain_disk(self._path):
            return [json.loads(content) for (content,) in self._db.execute("SELECT content FROM parts ORDER BY part")]

    def rejects(self) -> Iterator[Json]:
        for (content,) in self._db.execute("SELECT content FROM rejects ORDER BY rowid"):
            yield json.loads(content)

    def find_readings(self, keys: Iterable[bytes]) -> dict[bytes, Reading]:
        """Return the readings of those texts that were read in an earlier part."""
        with plain_disk(self._path):
            found = _select(self._db, "SELECT key, content FROM readings", keys)
            return {key: _load(content) for key, content in found}

    def note(self, done: PartDone) -> None:
        """Note that a part is done, with all its results."""
        with plain_disk(self._path), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            readings = ((key, _dump(done.readings[key])) for key in sorted(done.readings))  # In the table's own order.
            self._db.executemany("INSERT OR IGNORE INTO readings VALUES (?, ?)", readings)
            self._db.executemany("INSERT OR IGNORE INTO records VALUES (?)", ((key,) for key in sorted(done.records)))
            self._db.executemany("INSERT INTO rejects VALUES (?)", ((json.dumps(one),) for one in done.rejects))
            content = json.dumps(done.content)
            self._db.execute("INSERT INTO parts VALUES (?, ?)", (done.content["part"], content))

    def copy_records(self, path: Path) -> None:
        """Write the keys of all records to a file of their own, for `Seen`."""
        with durable(path) as part:
            part.unlink(missing_ok=True)
            with closing(sqlite3.connect(part, isolation_level=None)) as copy:
                copy.executescript("BEGIN; CREATE TABLE records (key BLOB PRIMARY KEY) WITHOUT ROWID;")
                copy.executemany(
                    "INSERT INTO records VALUES (?)", self._db.execute("SELECT key FROM records ORDER BY key")
                )
                copy.execute("COMMIT")


class Seen:
    """The records of a finished run, by their keys. None are held in memory."""

    def __init__(self, path: Path):
        self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)

    def find(self, keys: Iterable[bytes]) -> set[bytes]:
        """Return those keys whose records were read in that run."""
        return {key for (key,) in _select(self._db, "SELECT key FROM records", keys)}


@contextmanager
def give_way(count_read: Callable[[], int], remove: Callable[[], Any]) -> Iterator[None]:
    """If an error ends a run before it has read any text, remove its state, so that it can be begun again with other
    options, as the error advises. A run that was stopped or killed keeps its state, whatever it has read.

    count_read: Returns how many texts the run has read. remove: Removes its state.
    """
    try:
        yield
    except FalconerError:
        with suppress(CorpusError):  # On a full disk, perhaps.
            if not count_read():
                remove()
        raise


def remove_state(path: Path) -> None:
    """Remove the state's file first: without it, the files beside it mean nothing."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal"):
        path.with_name(name).unlink(missing_ok=True)


def _select(db: sqlite3.Connection, query: str, keys: Iterable[bytes]) -> Iterator[tuple[Any, ...]]:
    rest = iter(keys)
    while some := list(islice(rest, PER_QUERY)):
        yield from db.execute(f"{query} WHERE key IN ({','.join('?' * len(some))})", some)  # noqa: S608 (no value in it)


def _dump(reading: Reading) -> str:
    return json.dumps([value for value in asdict(reading).values()])


def _load(content: str) -> Reading:
    rows, *rest = json.loads(content)
    return Reading(tuple(rows), *rest)
