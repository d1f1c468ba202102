"""Record batches under way in a file beside the store, so that a run stopped or killed at any moment can go on.

A batch is recorded before each call that may create or change it. So none is sent twice, and none that is paid for is
lost.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.database import transaction
from spacy_falconer.llm.exchange import answer_to_json, parse_answer
from spacy_falconer.llm.prompt import clean
from spacy_falconer.plan import Plan, parse_plan
from spacy_falconer.types import Answer

SUFFIX = ".batches"
UPLOADING, CREATING, OPEN, COLLECTED = "uploading", "creating", "open", "collected"  # A job's states, in order.

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (key TEXT PRIMARY KEY, run TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS texts (run TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (run, text));
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, run TEXT NOT NULL, state TEXT NOT NULL, model TEXT NOT NULL, form INTEGER NOT NULL,
    n_requests INTEGER NOT NULL, cost_usd REAL, sent_at REAL NOT NULL, file_id TEXT, batch_id TEXT,
    is_cancelled INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS requests (
    key TEXT PRIMARY KEY, run TEXT NOT NULL, job TEXT NOT NULL, sent TEXT NOT NULL, completion TEXT
)
"""


@dataclass(frozen=True)
class Job:
    """Requests that are sent together, as one batch.

    run: The key of the run that asked first.
    form: The format of replies that they ask for, as an index of `chat.FORMATS`.
    cost_usd: The estimated cost; None if the model's price is unknown.
    sent_at: Seconds since 1970.
    file_id, batch_id: The provider's ids, once they are known.
    """

    id: str
    run: str
    state: str
    model: str
    form: int
    n_requests: int
    cost_usd: float | None
    sent_at: float
    file_id: str | None = None
    batch_id: str | None = None
    is_cancelled: bool = False


class Sent(NamedTuple):
    """A request under way: the step or steps that the ledger counts it for, and its tokens by our own count."""

    step: Any
    n_input_tokens: int


@dataclass(frozen=True)
class Run:
    """What was asked in batches: about which texts, with which plan, of which model.

    redactor: The name of the function that changed the texts.
    examples: Shown with each text. They stay the same until the run has ended, so that its requests do, too.
    """

    plan: Plan
    model: str
    redactor: str | None
    texts: Sequence[str]
    examples: Sequence[Answer]

    @property
    def key(self) -> str:
        said = json.dumps([self.plan.model_dump_json(), self.model, self.redactor])
        return sha256(said.encode("utf8")).hexdigest()


class BatchState:
    """The file of one store's batches, for one process at a time. It is deleted once nothing is under way.

    RAISES (AnswerError): Another process uses the file, or it is damaged or cannot be written.
    """

    def __init__(self, store_path: Path):
        self.path = find_path(store_path)
        with self._plain_errors():
            self._connection = sqlite3.connect(self.path, timeout=0, isolation_level=None)
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # Locked until it is closed.
            self._connection.execute("BEGIN EXCLUSIVE")
            for statement in SCHEMA.split(";"):
                self._connection.execute(statement)
            self._connection.execute("COMMIT")

    def __enter__(self) -> BatchState:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with suppress(AnswerError, OSError):
            for run in self.runs():
                if not self._is_under_way(run.key):
                    self.end(run)
            if not self._fetch("SELECT 1 FROM runs UNION SELECT 1 FROM jobs"):
                self.path.unlink()  # While no other process can use it.
        self._connection.close()

    def begin(self, run: Run) -> Run:
        """Record what is about to be asked. The texts of an earlier run of the same plan are asked about with it."""
        pinned = [replace(one, text=clean(one.text), gold=None, about={}) for one in run.examples]
        earlier = next((one for one in self.runs() if one.key == run.key), None)
        with self._transaction():
            if earlier is None or not self._is_under_way(run.key):
                self._delete_run(run.key)
                self._connection.execute("INSERT INTO runs VALUES (?, ?)", (run.key, _dump_run(run, pinned)))
            texts = [(run.key, json.dumps(text)) for text in run.texts]
            self._connection.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", texts)
        [known] = [one for one in self.runs() if one.key == run.key]
        return replace(known, texts=list(dict.fromkeys([*run.texts, *known.texts])))

    def runs(self) -> list[Run]:
        return [
            _load_run(
                run, [json.loads(text) for (text,) in self._fetch("SELECT text FROM texts WHERE run = ?", (key,))]
            )
            for key, run in self._fetch("SELECT key, run FROM runs ORDER BY rowid")
        ]

    def runs_under_way(self) -> list[Run]:
        """Return the runs of which something was sent, or came back, that is not in the store yet."""
        return [run for run in self.runs() if self._is_under_way(run.key)]

    def end(self, run: Run) -> None:
        """Forget a run, all of whose answers are in the store."""
        with self._transaction():
            self._delete_run(run.key)

    def jobs(self) -> list[Job]:
        """Return all unfinished jobs, in the order in which they were sent."""
        columns = ", ".join(one.name for one in fields(Job))
        rows = self._fetch(f"SELECT {columns} FROM jobs ORDER BY rowid")
        return [replace(job, is_cancelled=bool(job.is_cancelled)) for job in (Job(*row) for row in rows)]

    def add_job(self, job: Job, sent: Mapping[str, Sent]) -> None:
        """Record a job and its requests (`sent`), by their keys."""
        values = asdict(job)
        marks = ", ".join(f":{name}" for name in values)
        rows = [(key, job.run, job.id, json.dumps(one)) for key, one in sent.items()]
        with self._transaction():
            self._connection.execute(f"INSERT INTO jobs ({', '.join(values)}) VALUES ({marks})", values)
            self._connection.executemany("INSERT INTO requests (key, run, job, sent) VALUES (?, ?, ?, ?)", rows)

    def mark(self, job: Job, **changes: Any) -> Job:
        """Record changes of a job."""
        columns = ", ".join(f"{name} = :{name}" for name in changes)
        with self._transaction():
            self._connection.execute(f"UPDATE jobs SET {columns} WHERE id = :id", {**changes, "id": job.id})
        return replace(job, **changes)

    def cancel_jobs(self) -> None:
        with self._transaction():
            self._connection.execute("UPDATE jobs SET is_cancelled = 1")

    def collect(self, job: Job, completions: Mapping[str, dict[str, Any]]) -> None:
        """Keep the completions of a job, by the requests' keys. Its other requests may be sent again."""
        rows = [(json.dumps(completion), key, job.id) for key, completion in completions.items()]
        with self._transaction():
            self._connection.executemany("UPDATE requests SET completion = ? WHERE key = ? AND job = ?", rows)
            self._connection.execute("DELETE FROM requests WHERE job = ? AND completion IS NULL", (job.id,))
            self._connection.execute("UPDATE jobs SET state = ? WHERE id = ?", (COLLECTED, job.id))

    def drop(self, job: Job) -> None:
        """Forget a job. Its requests without a completion may be sent again."""
        with self._transaction():
            self._connection.execute("DELETE FROM requests WHERE job = ? AND completion IS NULL", (job.id,))
            self._connection.execute("DELETE FROM jobs WHERE id = ?", (job.id,))

    def find_sent(self, job: Job) -> dict[str, Sent]:
        """Return a job's requests that have no completion, by their keys."""
        rows = self._fetch("SELECT key, sent FROM requests WHERE job = ? AND completion IS NULL", (job.id,))
        return {key: Sent(*json.loads(said)) for key, said in rows}

    def find_completion(self, key: str) -> dict[str, Any] | None:
        rows = self._fetch("SELECT completion FROM requests WHERE key = ? AND completion IS NOT NULL", (key,))
        return json.loads(rows[0][0]) if rows else None

    def sent_keys(self) -> set[str]:
        """Return the keys of the requests that are under way."""
        return {key for (key,) in self._fetch("SELECT key FROM requests WHERE completion IS NULL")}

    def _is_under_way(self, run: str) -> bool:
        query = "SELECT 1 FROM jobs WHERE run = :run UNION SELECT 1 FROM requests WHERE run = :run"
        return bool(self._fetch(query, {"run": run}))

    def _delete_run(self, key: str) -> None:
        self._connection.execute("DELETE FROM runs WHERE key = ?", (key,))
        self._connection.execute("DELETE FROM texts WHERE run = ?", (key,))
        self._connection.execute("DELETE FROM requests WHERE run = ? AND completion IS NOT NULL", (key,))

    def _fetch(self, query: str, values: Any = ()) -> list[tuple[Any, ...]]:
        with self._plain_errors():
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._plain_errors(), transaction(self._connection):
            yield

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise AnswerError(_explain(self.path, error)) from None


def find_path(store_path: Path) -> Path:
    return store_path.with_name(store_path.name + SUFFIX)


def _explain(path: Path, error: sqlite3.Error) -> str:
    if "locked" in str(error):
        return (
            f"Another process is waiting for the batches of this store ({str(path)!r} is in use). Let it finish, or stop "
            "it: nothing is lost, and this process can then go on with them."
        )
    return (
        f"{str(path)!r}, which records the batches under way, cannot be used ({error}). It was left as it is. Free space "
        "on the disk, or handle the batches at the provider yourself and move the file away."
    )


def _dump_run(run: Run, examples: Iterable[Answer]) -> str:
    shown = [json.dumps(answer_to_json(example)) for example in examples]
    return json.dumps([run.plan.model_dump_json(), run.model, run.redactor, shown])


def _load_run(said: str, texts: Sequence[str]) -> Run:
    plan, model, redactor, shown = json.loads(said)
    examples = [parse_answer(line, where="An example") for line in shown]
    return Run(parse_plan(plan), model, redactor, texts, examples)
