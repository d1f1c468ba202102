"""Keep every answer, so that it is paid for once: one SQLite file, keyed by question, text and model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.database import INSERT, INSERT_FAILURE, connect, plain_errors, transaction
from spacy_falconer.llm.forget import count_stale, delete_answers, drop_same, purge
from spacy_falconer.llm.rows import (
    GOLD,
    HUMAN,
    Question,
    Row,
    Value,
    answer_rows,
    choose,
    choose_others,
    decode,
    encode,
    gather,
    hash_parts,
    make_fields,
    make_question,
    parse_value,
)  # fmt: skip
from spacy_falconer.types import Answer, Quote

__all__ = ["GOLD", "HUMAN", "AnswerStore", "Question", "Quote", "Usage", "Value"]

DROP_REPLIES = "DELETE FROM replies WHERE text = ?"
ADD_USAGE = """
INSERT INTO usage (model, kind, counted, billed) VALUES (?, ?, ?, ?)
ON CONFLICT (model, kind) DO UPDATE SET counted = counted + excluded.counted, billed = billed + excluded.billed
"""


class Usage(NamedTuple):
    """What a model's answers took.

    kind: "requests", or the tokens of "input" or "output".
    n_counted: What they take at least, in tokens by our own count.
    n_billed: What they took, corrections included, in tokens by the server's count.
    """

    model: str
    kind: str
    n_counted: int
    n_billed: int


class AnswerStore:
    """Answers on disk. An answer is there before `put` returns; a second one to the same question changes nothing.

    path: Created if there is none. Several processes may share it.
    RAISES (AnswerError): The file is something else, damaged, locked or on a full disk. The methods raise this, too.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._connection = connect(self.path)

    def __enter__(self) -> AnswerStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Return how many answers there are, each to one question about one text."""
        return self._fetch("SELECT count(*) FROM answers")[0][0]

    def close(self) -> None:
        self._connection.close()

    def put(self, answer: Answer, *, version: str | None = None, usage: Iterable[Usage] = ()) -> None:
        """Keep all answers about one text.

        version (str): Of the prompt that asked for them. If it is given, the replies kept about the text are dropped.
        usage: What the replies took. It is added to what earlier ones took.
        """
        with self.together():
            self._insert(answer, version)
            if version is not None:
                self._connection.execute(DROP_REPLIES, (hash_parts(answer.text),))
            self._connection.executemany(ADD_USAGE, usage)

    def put_many(self, answers: Iterable[Answer], *, replace: bool = False) -> None:
        """Keep the answers about many texts, all of them or none.

        replace (bool): Replace the recorded answers of the same model, or people, to the same questions.
        """
        with self.together():
            for answer in answers:
                if replace:
                    drop_same(self._connection, answer)
                self._insert(answer, None)

    def find(self, text: str, op: str, instruction: str, *, model: str | None = None) -> Value | None:
        """Return the answer to one question about a text: a bool, or quotes. None if it was not asked.

        model (str): Whose answer; by default a person's, else that of whoever answered first.
        """
        rows = [row for row in self._rows(text) if model in (None, row.model)]
        row = choose(rows, model=model).get(Question(op, instruction))
        return row.parse() if row else None

    def read(
        self,
        text: str,
        *,
        labels: Iterable[str] = (),
        spans: Iterable[str] = (),
        model: str | None = None,
        version: str | None = None,
    ) -> Answer | None:
        """Return the answers to some instructions about a text, and all there are about passages of it.

        version (str): Of the prompt. Answers to other versions are left out; by default, none are.
        RETURNS (Answer | None): None if an answer to one of the instructions is missing.
        """
        wanted = [Question("get_label", one) for one in labels] + [Question("get_span", one) for one in spans]
        rows = self._rows(text)
        chosen = choose(rows, model=model, version=version)
        if not all(question in chosen for question in wanted):
            return None
        passages = sorted(question for question in chosen if question.place is not None)
        people = [row for row in rows if row.model == GOLD and row.question in chosen]
        others = choose_others(rows, model=model, version=version)
        return gather([chosen[question] for question in [*wanted, *passages]], text, people, others)

    def open_questions(
        self,
        text: str,
        questions: Iterable[tuple[Any, ...]],
        *,
        model: str,
        accept: str | None = None,
        version: str | None = None,
    ) -> list[tuple[Any, ...]]:
        """Return those questions about a text, each with the fields of a `Question`, that `model` is still to be asked.

        accept (str): Whose answers are accepted; by default anyone's. Questions at which `model` failed are not asked again.
        version (str): Of the prompt. Questions that other versions asked, or failed at, are asked again.
        """
        settled = set(choose(self._rows(text), model=accept, version=version))
        query = 'SELECT op, instruction, start, "end", version FROM failures WHERE text = ? AND model = ?'
        for *question, asked_by in self._fetch(query, (hash_parts(text), model)):
            if version is None or asked_by in (None, version):
                settled.add(make_question(*question))
        return [question for question in questions if Question(*question) not in settled]

    def count_stale(
        self,
        questions: Iterable[tuple[Any, ...]],
        *,
        version: str,
        model: str | None = None,
        texts: Iterable[str] | None = None,
    ) -> int:
        """Count the answers that another version of the prompt asked for, and this version has not asked for since.

        questions: Each with the fields of a `Question`; a `{span}` in its instruction stands for any passage's words.
        model (str): Whose answers; by default anyone's.
        texts: Only answers about these count.
        """
        with plain_errors(self.path):
            return count_stale(self._connection, questions, version=version, model=model, texts=texts)

    def delete(
        self, *, texts: Iterable[str] | None = None, model: str | None = None, instruction: str | None = None
    ) -> int:
        """Forget the answers about these texts, of this model and to this instruction. An argument left out matches any.

        Texts without any answer left are forgotten, too, and nothing of either stays readable in the file.

        RETURNS (int): How many answers were forgotten.
        RAISES (AnswerError): Nothing was named, or another process uses the store.
        """
        if texts is None and model is None and instruction is None:
            raise AnswerError("Nothing is named to forget. Name texts, a model or an instruction; or delete the file.")
        with self.together():
            n_deleted = delete_answers(self._connection, texts=texts, model=model, instruction=instruction)
        purge(self._connection, self.path)
        return n_deleted

    def put_failure(
        self,
        text: str,
        questions: Iterable[tuple[Any, ...]],
        *,
        model: str,
        reason: str,
        version: str | None = None,
        usage: Iterable[Usage] = (),
    ) -> None:
        """Record that a model has no answers to questions about a text, and why. The replies kept about it are dropped.

        usage: What the replies took nevertheless.
        """
        with self.together():
            for question in (Question(*one) for one in questions):
                row = Row(model, question, version, reason)
                self._connection.execute(INSERT_FAILURE, {**make_fields(row, text), "reason": reason})
            self._connection.execute(DROP_REPLIES, (hash_parts(text),))
            self._connection.executemany(ADD_USAGE, usage)

    def failures(self, texts: Iterable[str], *, model: str | None = None) -> dict[str, str]:
        """Return the texts at which a model (by default any model) failed, with the reason."""
        query = "SELECT reason FROM failures WHERE text = ? AND model = coalesce(?, model) LIMIT 1"
        found = ((text, self._fetch(query, (hash_parts(text), model))) for text in texts)
        return {text: rows[0][0] for text, rows in found if rows}

    def count_failures(self) -> int:
        """Return how many questions about texts failed."""
        return self._fetch("SELECT count(*) FROM failures")[0][0]

    def forget_failures(self) -> None:
        """Forget all failures, so that the texts are asked about again."""
        with self.together():
            self._connection.execute("DELETE FROM failures")

    def keep_reply(self, text: str, request: str, content: str) -> None:
        """Keep a reply that is paid for but is not an answer yet, until the text is settled."""
        row = (hash_parts(request), hash_parts(text), content)
        with self.together():
            self._connection.execute("INSERT OR IGNORE INTO replies VALUES (?, ?, ?)", row)

    def find_reply(self, request: str) -> str | None:
        rows = self._fetch("SELECT content FROM replies WHERE key = ?", (hash_parts(request),))
        return rows[0][0] if rows else None

    def drop_replies(self, text: str) -> None:
        """Forget the replies kept about a text, which did not lead to an answer."""
        with self.together():
            self._connection.execute(DROP_REPLIES, (hash_parts(text),))

    def usage(self, model: str) -> dict[str, Usage]:
        """Return what the answers of a model took so far, by kind."""
        query = "SELECT model, kind, counted, billed FROM usage WHERE model = ?"
        return {row[1]: Usage(*row) for row in self._fetch(query, (model,))}

    def values(self, op: str, instruction: str | None = None, *, limit: int = 500) -> list[Value]:
        """Return the latest answers about any texts to an instruction, or to any instruction of a primitive."""
        query = (
            "SELECT value FROM answers WHERE op = ? AND instruction = coalesce(?, instruction) AND model != ? "
            "ORDER BY number DESC LIMIT ?"
        )
        return [parse_value(op, value) for (value,) in self._fetch(query, (op, instruction, GOLD, limit))]

    def export(self) -> Iterator[Answer]:
        """Yield everything, one answer per text and model, in order of arrival. Answers by people alone name no model."""
        query = (
            "SELECT text, model FROM answers AS one WHERE model != :gold OR NOT EXISTS "
            "(SELECT 1 FROM answers WHERE text = one.text AND model != :gold) GROUP BY text, model ORDER BY min(number)"
        )
        for text_hash, model in self._fetch(query, {"gold": GOLD}):
            text = decode(self._fetch("SELECT text FROM texts WHERE hash = ?", (text_hash,))[0][0])
            rows = self._rows(text)
            own, people = ([row for row in rows if row.model == one] for one in (model, GOLD))
            yield gather(choose(own).values(), text, people)

    def models(self) -> list[str]:
        """Return who answered, without people's answers to compare with."""
        query = "SELECT DISTINCT model FROM answers WHERE model != ? ORDER BY model"
        return [model for (model,) in self._fetch(query, (GOLD,))]

    def _insert(self, answer: Answer, version: str | None) -> None:
        if answer.model == GOLD:
            raise AnswerError(
                f"The answer about {answer.text[:60]!r} names {GOLD!r} as its model, the word for answers to compare "
                f"with. Put those in its 'gold'; name {HUMAN!r} as the model of corrections."
            )
        text = (hash_parts(answer.text), encode(answer.text))
        self._connection.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", text)
        rows = ({**make_fields(row, answer.text), "value": row.value} for row in answer_rows(answer, version))
        self._connection.executemany(INSERT, rows)

    def _rows(self, text: str) -> list[Row]:
        """Return all answers about a text, in the order in which they came."""
        query = (
            'SELECT model, version, value, op, instruction, start, "end" FROM answers WHERE text = ? ORDER BY number'
        )
        rows = self._fetch(query, (hash_parts(text),))
        return [Row(model, make_question(*question), version, value) for model, version, value, *question in rows]

    def _fetch(self, query: str, values: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        with plain_errors(self.path):
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Commit what is put inside the block together at its end, all or nothing. It saves the time of a commit per `put`."""
        with plain_errors(self.path), transaction(self._connection):
            yield
