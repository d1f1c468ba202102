from __future__ import annotations

import json

import pytest

from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.exchange import read_exchange, write_exchange
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.types import Answer, CharSpan, Quote

TEXT = "İ paid $25,\nthen “$5” 👍\u2028."


def write_row(tmp_path, **fields):
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"text": "Paid $5.", "model": "m", **fields}) + "\n")
    return path


def test_a_round_trip_changes_nothing(tmp_path):
    people = Answer(TEXT, "gold", {"Good.": False}, {"Money.": (Quote("$25", 7), Quote("$5", 18))})
    answers = [
        Answer(TEXT, "m", {"Good.": True}, {"Money.": (Quote("$25", 7), Quote("$5")), "Praise.": ()}, people),
        Answer("", "human", {}, {"Money.": ()}),
        Answer("Nothing asked.", "m"),
    ]
    write_exchange(answers, tmp_path / "one.jsonl")
    assert list(read_exchange(tmp_path / "one.jsonl")) == answers
    write_exchange(read_exchange(tmp_path / "one.jsonl"), tmp_path / "two.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


ABOUT = {
    CharSpan(2, 3): Answer("A $5.", "m", {"A $5.": False}),
    CharSpan(2, 4): Answer("A $5.", "m", {"$5 is cheap.": True}, {"Like $5.": (Quote("A", 0), Quote("it"))}),
}
PEOPLE = Answer("A $5.", "gold", about={CharSpan(2, 4): Answer("A $5.", "gold", {"$5 is cheap.": False})})


def test_answers_about_passages_survive_the_file_and_the_store(tmp_path):
    answer = Answer("A $5.", "m", {"Good.": True}, {"Money.": (Quote("$5", 2),)}, PEOPLE, ABOUT)
    write_exchange([answer], tmp_path / "one.jsonl")
    assert list(read_exchange(tmp_path / "one.jsonl")) == [answer]
    with AnswerStore(tmp_path / "answers.db") as store:
        store.put_many(read_exchange(tmp_path / "one.jsonl"))
        write_exchange(store.export(), tmp_path / "two.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_the_format_of_answers_about_passages(tmp_path):
    about = {CharSpan(2, 4): Answer("A $5.", "m", {"$5 is cheap.": True})}
    write_exchange([Answer("A $5.", "m", about=about)], tmp_path / "a.jsonl")
    assert json.loads((tmp_path / "a.jsonl").read_text())["about"] == [
        {"start": 2, "end": 4, "labels": {"$5 is cheap.": True}, "spans": {}}
    ]


def test_the_format_on_disk(tmp_path):
    write_exchange([Answer("İ paid $5.", "m", {"Good.": True}, {"Money.": (Quote("$5", 7),)})], tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_text(encoding="utf8") == (
        '{"text": "İ paid $5.", "model": "m", "labels": {"Good.": true}, '
        '"spans": {"Money.": [{"quote": "$5", "start": 7}]}}\n'
    )


def test_what_no_utf8_can_hold_stops_no_export(tmp_path):
    answers = [Answer("a", "m", {}, {"Money.": (Quote("\ud83d"),)}), Answer("é", "m", {"Good.": True})]
    with AnswerStore(tmp_path / "answers.db") as store:
        store.put_many(answers)
        write_exchange(store.export(), tmp_path / "a.jsonl")
    first, second = (tmp_path / "a.jsonl").read_text(encoding="utf8").splitlines()
    assert json.loads(first)["spans"] == {"Money.": [{"quote": "\ud83d", "start": None}]} and '"é"' in second


def test_labels_spans_start_and_gold_may_be_left_out(tmp_path):
    path = write_row(tmp_path, spans={"Money.": [{"quote": "$5"}]})
    path.write_text("\ufeff\n" + path.read_text(), encoding="utf8")  # as some editors leave it
    assert list(read_exchange(path)) == [Answer("Paid $5.", "m", {}, {"Money.": (Quote("$5"),)})]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"text": None}, "line 1: 'text' is 'None'; expected text"),
        ({"model": 4}, "line 1: 'model' is '4'; expected text"),
        ({"text": "a \ud83d"}, "line 1: .*half a character"),
        ({"labels": {"a \ud83d": True}}, "line 1: .*half a character"),
        ({"spans": {"a \ud83d": []}}, "line 1: .*half a character"),
        ({"spans": {"Money.": [{"quote": "\ud83d"}]}}, "line 1, spans 'Money.': .*half a character"),
        ({"gold": {"labels": {"a \ud83d": True}}}, "line 1, gold: .*half a character"),
        ({"about": [{"start": 0, "end": 4, "labels": {"\ud83d": True}}]}, "characters 0 to 4: .*half a character"),
        ({"labels": ["Good."]}, "line 1: 'labels' is .*; expected an object"),
        ({"labels": {"Good.": "yes"}}, "line 1: label 'Good.' is 'yes'; expected true or false"),
        ({"labels": {"Good.": 1}}, "line 1: label 'Good.' is '1'; expected true or false"),
        ({"spans": {"Money.": "$5"}}, "line 1: spans 'Money.' is .*; expected a list"),
        ({"spans": {"Money.": ["$5"]}}, r"line 1, spans 'Money.': this is '\$5'; expected an object"),
        ({"spans": {"Money.": [{"start": 5}]}}, "line 1, spans 'Money.': 'quote' is 'None'; expected text"),
        ({"spans": {"Money.": [{"quote": "$5", "start": "5"}]}}, "'start' is '5'; expected a number"),
        ({"spans": {"Money.": [{"quote": "$5", "start": True}]}}, "'start' is 'True'; expected a number"),
        ({"gold": {"labels": {"Good.": None}}}, "line 1, gold: label 'Good.' is 'None'; expected true or false"),
        ({"about": {}}, "line 1: 'about' is .*; expected a list"),
        ({"about": [{"end": 3}]}, "line 1, about: 'start' is 'None'; expected a number"),
        ({"about": [{"start": 3, "end": 3}]}, "line 1, about characters 3 to 3: the text has 8 characters"),
        ({"about": [{"start": 0, "end": 9}]}, "line 1, about characters 0 to 9: the text has 8 characters"),
        ({"about": [{"start": 0, "end": 4, "labels": {"x": 1}}]}, "about characters 0 to 4: label 'x' is '1'"),
        ({"gold": []}, "line 1, gold: this is .*; expected an object"),
    ],
)
def test_a_wrong_row_says_where_and_what(tmp_path, fields, message):
    with pytest.raises(AnswerError, match=message):
        list(read_exchange(write_row(tmp_path, **fields)))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "line 1: not JSON"), (b"[" * 100_000, "line 1: not JSON"), (b"[]", "line 1: this is"), (b"\xff", "UTF-8")],
)
def test_a_file_of_something_else(tmp_path, content, message):
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(AnswerError, match=message):
        list(read_exchange(tmp_path / "a.jsonl"))


def test_a_missing_file(tmp_path):
    with pytest.raises(AnswerError, match="nowhere.jsonl.*Check the path"):
        list(read_exchange(tmp_path / "nowhere.jsonl"))
