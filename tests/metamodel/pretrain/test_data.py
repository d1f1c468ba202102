from __future__ import annotations

import json

import pytest

from spacy_falconer.errors import CorpusError
from spacy_falconer.metamodel.pretrain import data as sets

TWELVE = "one two three four five six seven eight nine ten eleven twelve"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We paid $25, and love it!", True),
        ("we PAID 25 and  love it", True),  # Case, punctuation and spacing aside, a copy.
        ("we paid 25", False),  # A part that is shorter than ten words.
        ("Nothing of the kind.", False),
        (TWELVE.upper(), True),
        (f"Before it. {TWELVE} And after it.", True),  # The known text within a longer one.
        ("ONE, two: three four five six seven eight nine ten", True),  # Ten words of the known text.
        ("two three four five six seven eight nine ten", False),  # Nine of them.
    ],
)
def test_a_text_is_known_by_its_words(text, expected):
    assert sets.remember_texts(["We paid $25 and love it.", TWELVE])(text) is expected


def test_the_corpora_and_all_splits_of_held_out_sets_are_forbidden(data_folder, tmp_path):
    corpora = tmp_path / "corpora"
    corpora.mkdir()
    (corpora / "reviews.jsonl").write_text(json.dumps({"id": "r1", "text": "A review of ours."}) + "\n")
    forbidden = set(sets.read_forbidden(data_folder, corpora))
    assert "A review of ours." in forbidden
    assert "Kate paid 0 dollars for the crossner politics ." in forbidden
    assert "Kate paid 0 dollars for the wikigold ." not in forbidden


@pytest.mark.parametrize(
    ("name", "message"), [("imdb", "'imdb'.*ship = yes"), ("banking77", "'banking77' is kept aside"), ("x", "'x'")]
)
def test_sets_that_may_not_be_trained_on_are_refused(data_folder, name, message):
    with pytest.raises(CorpusError, match=message):
        sets.check_sets(data_folder, ["wikigold", name])


def test_nothing_that_is_trained_on_is_held_out():
    assert not set(sets.TRAINED_ON) & set(sets.HELD_OUT)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wikigold", sets.Row("Kate paid 0 dollars for the wikigold.", "wikigold", spans={"PER": ((0, 4),)})),
        ("clinc150", sets.Row("Kate paid 0 dollars for the clinc150.", "clinc150", labels={"spam:positive": True})),
    ],
)
def test_rows_are_running_text_keyed_by_label(data_folder, name, expected):
    assert sets.read_rows(data_folder, name)[0] == expected


def test_questions_of_one_text_are_one_row(data_folder, write_rows):
    row = {"text": "Nine euros, said Kate", "source": "qamr"}
    first = {**row, "question": "What did it cost?", "answers": [{"start": 0, "end": 10}]}
    second = {**row, "question": "Who said it?", "answers": [{"start": 17, "end": 21}]}
    write_rows(data_folder / "qamr", [first, second])
    (found,) = sets.read_rows(data_folder, "qamr")
    assert found.spans == {"What did it cost?": ((0, 10),), "Who said it?": ((17, 21),)}
    assert found.worded


def test_a_missing_file_is_named(data_folder):
    with pytest.raises(CorpusError, match="nothing_there.*check the data folder"):
        sets.read_rows(data_folder, "nothing_there")
