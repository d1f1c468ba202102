from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys

import pytest

from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.types import Answer, Quote

TEXT = "Paid $25 for it."
MONEY = (Quote("$25", 5), Quote("it"))
ANSWER = Answer(TEXT, "m", {"Good.": True, "Bad.": False}, {"Money.": MONEY, "Praise.": ()})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answers.db"


@pytest.fixture
def store(path):
    with AnswerStore(path) as opened:
        yield opened


@pytest.mark.parametrize(
    ("op", "instruction", "expected"),
    [
        ("get_label", "Good.", True),
        ("get_label", "Bad.", False),
        ("get_span", "Money.", MONEY),
        ("get_span", "Praise.", ()),  # asked, and nothing there
        ("get_label", "Unasked.", None),
        ("get_label", "Money.", None),  # asked as something else
    ],
)
def test_an_answer_is_found_by_its_question(store, op, instruction, expected):
    store.put(ANSWER)
    assert store.find(TEXT, op, instruction) == expected
    assert store.find(TEXT + " ", op, instruction) is None
    assert store.find(TEXT, op, instruction, model="other") is None


def test_answers_outlive_the_process(path):
    with AnswerStore(path) as store:
        store.put(ANSWER)
    with AnswerStore(path) as store:
        assert list(store.export()) == [ANSWER]
        assert len(store) == 4


def test_nothing_that_was_answered_is_overwritten(store):
    store.put(ANSWER)
    store.put(Answer(TEXT, "m", {"Good.": False, "New.": True}))
    assert store.find(TEXT, "get_label", "Good.") is True
    assert store.find(TEXT, "get_label", "New.") is True
    assert len(store) == 5


def test_the_first_model_answers_unless_a_person_did(store):
    store.put_many([Answer(TEXT, "b", {"Good.": True}), Answer(TEXT, "a", {"Good.": False})])
    assert store.find(TEXT, "get_label", "Good.") is True
    store.put(Answer(TEXT, "human", {"Good.": False}))
    assert store.find(TEXT, "get_label", "Good.") is False
    assert store.find(TEXT, "get_label", "Good.", model="b") is True
    assert store.models() == ["a", "b", "human"]


def test_read_gives_all_that_was_wanted_or_nothing(store):
    store.put(ANSWER)
    assert store.read(TEXT, labels=["Good."], spans=["Money."]) == Answer(TEXT, "m", {"Good.": True}, {"Money.": MONEY})
    assert store.read(TEXT, labels=["Good.", "Unasked."]) is None
    assert store.read(TEXT, labels=["Good."], model="other") is None
    assert store.read("Unknown.", labels=["Good."]) is None


def test_what_people_said_is_kept_apart(store):
    people = Answer(TEXT, "gold", {"Good.": False}, {"Money.": ()})
    store.put(Answer(TEXT, "m", {"Good.": True}, {"Money.": MONEY}, people))
    assert store.find(TEXT, "get_label", "Good.") is True
    assert store.read(TEXT, labels=["Good."], spans=["Money."]).gold == people
    assert next(store.export()).gold == people
    assert store.models() == ["m"]


def test_answers_to_compare_with_are_no_models(store):
    with pytest.raises(AnswerError, match="names 'gold' as its model"):
        store.put(Answer(TEXT, "gold", {"Good.": True}))
    assert len(store) == 0


def test_export_is_one_answer_a_text_and_model_in_order(store):
    others = [Answer("One.", "m", {"Good.": True}), Answer("Two.", "n", {"Bad.": True})]
    store.put_many([Answer("Two.", "m", {"Good.": True}), *others])
    store.put(Answer("Two.", "m", {"Bad.": False}))
    assert list(store.export()) == [Answer("Two.", "m", {"Good.": True, "Bad.": False}), *others]


def test_put_many_is_all_or_nothing(store):
    def break_off():
        yield ANSWER
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.put_many(break_off())
    assert len(store) == 0
    store.put(ANSWER)
    assert len(store) == 4


@pytest.mark.parametrize("text", ["", "İ 👍 \u2028 \x00 'quoted'; DROP TABLE answers", "x" * 1_000_000])
def test_any_text(store, text):
    store.put(Answer(text, "m", {"Good.": True}))
    assert store.find(text, "get_label", "Good.") is True
    assert next(store.export()).text == text


def make_foreign(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE answers (number INTEGER)")
    connection.close()


def make_damaged(path):
    with AnswerStore(path) as store:
        store.put(ANSWER)
    data = path.read_bytes()
    path.write_bytes(data[:200] + b"\xff" * (len(data) - 200))


@pytest.mark.parametrize("make", [lambda path: path.write_text("My notes. " * 99), make_foreign, make_damaged])
def test_a_file_of_something_else_is_refused_and_left_alone(path, make):
    make(path)
    before = path.read_bytes()
    with pytest.raises(AnswerError, match="answers.db.*left as it is.*--store"):
        AnswerStore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("settings", [[], ["PRAGMA journal_mode = WAL"]])
def test_a_file_with_nothing_in_it_becomes_a_store(path, settings):
    """So it stands where a process was killed while it made one."""
    path.touch()
    connection = sqlite3.connect(path)
    for setting in settings:
        connection.execute(setting)
    connection.close()
    with AnswerStore(path) as store:
        store.put(ANSWER)
        assert len(store) == 4


KILLED = """
import os, signal, sys
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.types import Answer
store = AnswerStore(sys.argv[1])
for i in range(20):
    store.put(Answer(f"Text {i}.", "m", {"Good.": True}))
os.kill(os.getpid(), signal.SIGKILL)
"""
SHARED = """
import sys
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.types import Answer
with AnswerStore(sys.argv[1]) as store:
    for i in range(20):
        store.put(Answer(f"Text {i}.", sys.argv[2], {"Good.": True}))
"""


def start(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_what_was_put_outlives_a_kill(path):
    assert start(KILLED, path).wait() == -signal.SIGKILL
    with AnswerStore(path) as store:
        assert len(store) == 20


def test_processes_share_a_store_from_its_first_moment(path):
    running = [start(SHARED, path, model) for model in ("a", "b", "c", "d")]
    assert [process.wait() for process in running] == [0, 0, 0, 0]
    with AnswerStore(path) as store:
        assert len(store) == 80
        assert store.models() == ["a", "b", "c", "d"]
