from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys

import pytest

from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.exchange import read_exchange, write_exchange
from spacy_falconer.llm.store import AnswerStore, Question, Usage
from spacy_falconer.types import Answer, CharSpan, Quote

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


def test_what_only_people_said_is_exported_and_comes_back(store, tmp_path):
    people = [Answer(text, "gold", {"Good.": False}, {"Money.": MONEY if text == TEXT else ()}) for text in (TEXT, "u")]
    store.put_many([Answer(TEXT, "m", gold=people[0]), Answer("u", "m", {"Good.": True}, gold=people[1])])
    assert store.delete(model="m") == 1
    assert [(one.text, one.labels, one.gold) for one in store.export()] == [(one.text, {}, one) for one in people]
    write_exchange(store.export(), tmp_path / "all.jsonl")
    with AnswerStore(tmp_path / "again.db") as again:
        again.put_many(read_exchange(tmp_path / "all.jsonl"))
        assert len(again) == len(store) == 4 and list(again.export()) == list(store.export())


def test_put_many_is_all_or_nothing(store):
    def break_off():
        yield ANSWER
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.put_many(break_off())
    assert len(store) == 0
    store.put(ANSWER)
    assert len(store) == 4


@pytest.mark.parametrize("text", ["", "half \ud83d", "İ 👍 \u2028 \x00 'quoted'; DROP TABLE answers", "x" * 1_000_000])
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


def test_a_store_of_a_newer_format_is_left_alone(path):
    AnswerStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(AnswerError, match="newer version.*format 99.*upgrade"):
        AnswerStore(path)
    assert path.read_bytes() == before


def test_damage_in_the_middle_is_told_in_words(path):
    with AnswerStore(path) as store:
        store.put_many(Answer(f"Text {i}. " * 50, "m", {"Good.": True}) for i in range(200))
    data = path.read_bytes()
    path.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))
    with pytest.raises(AnswerError, match="answers.db.*left as it"), AnswerStore(path) as store:
        list(store.export())


def test_a_folder_that_cannot_be_written_is_told_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AnswerError, match="cannot be opened"):
        AnswerStore(tmp_path / "file" / "answers.db")


OLD = """
CREATE TABLE texts (hash BLOB PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE answers (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, text BLOB NOT NULL REFERENCES texts (hash),
    model TEXT NOT NULL, op TEXT NOT NULL, instruction TEXT NOT NULL, value TEXT NOT NULL);
CREATE INDEX answers_by_text ON answers (text);
PRAGMA application_id = 1178684483;
PRAGMA user_version = 1;
"""


@pytest.fixture
def old_path(path):
    """A store as the first version made it, with the answer of this module in it."""
    with AnswerStore(path) as store:
        store.put(ANSWER)
        texts = store._fetch("SELECT * FROM texts")
        rows = store._fetch("SELECT number, key, text, model, op, instruction, value FROM answers")
    for file in path.parent.iterdir():
        file.unlink()
    connection = sqlite3.connect(path)
    connection.executescript(OLD)
    connection.executemany("INSERT INTO texts VALUES (?, ?)", texts)
    connection.executemany("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return path


def test_an_older_store_is_upgraded_and_its_answers_stay_valid(old_path):
    with AnswerStore(old_path) as store:
        assert list(store.export()) == [ANSWER]
        assert store.open_questions(TEXT, [("get_label", "Good.")], model="m", version="v1") == []
        store.put(ANSWER)
        store.put(Answer(TEXT, "m", {"New.": True}), version="v1")
        assert len(store) == 5
    with AnswerStore(old_path) as store:
        assert len(store) == 5


def test_processes_upgrade_a_store_together(old_path):
    running = [start(SHARED, old_path, model) for model in ("a", "b", "c")]
    assert [process.wait() for process in running] == [0, 0, 0]
    with AnswerStore(old_path) as store:
        assert len(store) == 4 + 60


# What is asked of passages

FIRST, SECOND = CharSpan(5, 8), CharSpan(13, 15)
ABOUT = Answer(
    TEXT, "m", {"Good.": True}, {"Money.": MONEY},
    about={
        FIRST: Answer(TEXT, "m", {"$25 is cheap.": True}, {"Like $25.": (Quote("it", 13),)}),
        SECOND: Answer(TEXT, "m", {"it is cheap.": False}),
    },
)  # fmt: skip


def test_answers_about_passages_are_kept_by_their_place(store):
    store.put(ABOUT)
    assert list(store.export()) == [ABOUT]
    assert store.read(TEXT, labels=["Good."], spans=["Money."]) == ABOUT
    assert store.find(TEXT, "get_label", "$25 is cheap.") is None  # It was not asked of the text.
    asked = [Question("get_label", "$25 is cheap.", place) for place in (FIRST, SECOND)]
    assert store.open_questions(TEXT, asked, model="m") == [asked[1]]


# What is asked by which version of the prompt


def test_a_newer_prompt_asks_again_and_has_the_last_word(store):
    question = ("get_label", "Good.")
    store.put(Answer(TEXT, "m", {"Good.": False}), version="v1")
    assert store.open_questions(TEXT, [question], model="m", version="v1") == []
    assert store.open_questions(TEXT, [question], model="m", version="v2") == [question]
    assert store.read(TEXT, labels=["Good."], version="v2") is None
    store.put(Answer(TEXT, "m", {"Good.": True}), version="v2")
    assert len(store) == 2
    assert store.open_questions(TEXT, [question], model="m", version="v2") == []
    for version, expected in ((None, True), ("v1", False), ("v2", True)):
        assert store.read(TEXT, labels=["Good."], version=version).labels == {"Good.": expected}
    assert [answer.labels for answer in store.export()] == [{"Good.": True}]


def test_recorded_answers_belong_to_no_version(store):
    store.put(Answer(TEXT, "m", {"Good.": True}))
    assert store.open_questions(TEXT, [("get_label", "Good.")], model="m", version="v9") == []
    assert store.read(TEXT, labels=["Good."], version="v9") is not None
    store.put(Answer(TEXT, "m", {"Bad.": True}), version="v1")
    store.put_many(list(store.export()))  # Exported and imported again.
    assert len(store) == 2


def test_what_a_changed_prompt_makes_stale_is_counted(store):
    store.put(ABOUT, version="v1")
    store.put(Answer("Other.", "n", {"Good.": True}), version="v1")
    store.put(Answer("Recorded.", "m", {"Good.": True}))
    questions = [("get_label", "Good."), ("get_span", "Money."), ("get_label", "{span} is cheap.")]
    assert store.count_stale(questions, version="v1") == 0
    assert store.count_stale(questions, version="v2") == 5
    assert store.count_stale(questions[:1], version="v2") == 2
    assert store.count_stale(questions, version="v2", model="m") == 4
    assert store.count_stale(questions, version="v2", texts=["Other.", "Unknown."]) == 1
    store.put(Answer("Other.", "n", {"Good.": True}), version="v2")
    assert store.count_stale(questions, version="v2") == 4


@pytest.mark.parametrize("instruction", ["Is {span} [cheap]?", "100% *{span}*", "{span}"])
def test_signs_in_an_instruction_are_no_pattern(store, instruction):
    filled = instruction.replace("{span}", "$25")
    store.put(Answer(TEXT, "m", about={FIRST: Answer(TEXT, "m", {filled: True})}), version="v1")
    store.put(Answer(TEXT, "m", about={SECOND: Answer(TEXT, "m", {"Else": True})}), version="v1")
    n_expected = 2 if instruction == "{span}" else 1
    assert store.count_stale([("get_label", instruction)], version="v2") == n_expected


# Failures


def test_a_failure_is_kept_with_its_reason(store):
    questions = [("get_label", "Good."), ("get_span", "Money.")]
    store.put_failure(TEXT, questions, model="m", reason="It was refused.", version="v1")
    assert store.failures(["Other.", TEXT]) == {TEXT: "It was refused."} == store.failures([TEXT], model="m")
    assert store.failures([TEXT], model="n") == {}
    assert store.open_questions(TEXT, questions, model="m", version="v1") == []
    assert store.open_questions(TEXT, questions, model="n", version="v1") == questions
    assert store.open_questions(TEXT, questions, model="m", version="v2") == questions
    store.forget_failures()
    assert store.failures([TEXT]) == {} and store.open_questions(TEXT, questions, model="m") == questions


def test_kept_replies_are_dropped_once_the_text_is_settled(store):
    for text in (TEXT, "Other."):
        store.keep_reply(text, f"request about {text}", "a reply")
    assert store.find_reply(f"request about {TEXT}") == "a reply"
    store.put(ANSWER, version="v1")
    store.put_failure("Other.", [("get_label", "Good.")], model="m", reason="why")
    assert store.find_reply(f"request about {TEXT}") is None is store.find_reply("request about Other.")


def test_what_answers_took_adds_up(store):
    for n in (1, 2):
        store.put(Answer(f"Text {n}.", "m", {"Good.": True}), usage=[Usage("m", "input", 10 * n, 12 * n)])
    assert store.usage("m") == {"input": Usage("m", "input", 30, 36)} and store.usage("n") == {}


# Forgetting


def read_all(path):
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


@pytest.fixture
def filled(store):
    store.put(Answer("My secret is 1234.", "m", {"Good.": True, "Bad.": True}, {"Money.": (Quote("1234", 13),)}))
    store.put(Answer("My secret is 1234.", "n", {"Good.": False}))
    store.put(Answer("Another.", "m", {"Good.": True}, about={FIRST: Answer("Another.", "m", {"x is cheap.": True})}))
    store.keep_reply("My secret is 1234.", "request", "It says 1234.")
    store.put_failure("My secret is 1234.", [("get_label", "New.")], model="m", reason="1234 is no number")
    return store


@pytest.mark.parametrize(
    ("what", "n_deleted", "left"),
    [
        ({"texts": ["My secret is 1234."]}, 4, ["Another."]),
        ({"model": "m"}, 5, ["My secret is 1234."]),
        ({"instruction": "Good."}, 3, ["My secret is 1234.", "Another."]),
        ({"instruction": "{span} is cheap."}, 1, ["My secret is 1234.", "My secret is 1234.", "Another."]),
        ({"texts": ["My secret is 1234."], "model": "n"}, 1, ["My secret is 1234.", "Another."]),
        ({"texts": ["Unknown."]}, 0, ["My secret is 1234.", "My secret is 1234.", "Another."]),
    ],
)
def test_what_is_named_is_forgotten(filled, what, n_deleted, left):
    assert filled.delete(**what) == n_deleted
    assert [answer.text for answer in filled.export()] == left


def test_what_is_forgotten_is_not_in_the_file(filled, path):
    assert b"1234" in read_all(path)
    filled.delete(texts=["My secret is 1234."])
    assert b"1234" not in read_all(path) and filled.failures(["My secret is 1234."]) == {}
    filled.close()
    assert b"1234" not in read_all(path)


def test_what_another_process_still_reads_is_told_and_forgotten_the_next_time(filled, path):
    filled._connection.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(path)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM texts").fetchone()
    with pytest.raises(AnswerError, match="may still be readable.*Run the same command again"):
        filled.delete(texts=["My secret is 1234."])
    other.close()
    assert filled.delete(texts=["My secret is 1234."]) == 0
    assert b"1234" not in read_all(path)


def test_nothing_named_is_nothing_forgotten(filled):
    with pytest.raises(AnswerError, match="Nothing is named to forget"):
        filled.delete()
    assert len(filled) == 6


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


def test_a_persons_word_goes_before_the_named_models(store):
    store.put(Answer(TEXT, "b", {"Good.": False}))
    store.put(Answer(TEXT, "human", {"Good.": True}))
    assert store.read(TEXT, labels=["Good."], model="b").labels == {"Good.": True}
    assert store.open_questions(TEXT, [("get_label", "Good.")], model="c", accept="c") == []
    assert [(one.model, one.labels["Good."]) for one in store.export()] == [("b", False), ("human", True)]


def test_a_person_may_change_their_mind(store):
    store.put(Answer(TEXT, "b", {"Good.": False}))
    store.put(Answer(TEXT, "human", {"Good.": True, "Bad.": False}))
    store.put_many([Answer(TEXT, "human", {"Good.": False})], replace=True)
    assert store.read(TEXT, labels=["Good.", "Bad."]).labels == {"Good.": False, "Bad.": False}
    assert len(store) == 3
