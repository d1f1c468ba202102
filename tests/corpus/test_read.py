from __future__ import annotations

import gzip
import json
import sys

import pytest
import spacy

from spacy_falconer.corpus.read import read_corpus, split_sentences
from spacy_falconer.errors import CorpusError
from spacy_falconer.types import Record


@pytest.fixture
def write(tmp_path):
    """Write a file and give its path; one whose name ends in .gz is packed."""

    def write_file(name, content):
        data = content if isinstance(content, bytes) else content.encode("utf8")
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") and isinstance(content, str) else data)
        return path

    return write_file


ROWS = '{"id": "a", "text": "One.", "stars": 5}\n\n{"text": "İ 👍"}\n'
CELLS = 'id,text,stars\na,One.,5\n,"Two,\r\nand ""three""",\n'


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz", "C.JSONL"])
def test_jsonl(write, name):
    expected = [Record("a", "One.", {"stars": 5}), Record("line-3", "İ 👍", {})]
    assert list(read_corpus(write(name, ROWS))) == expected


@pytest.mark.parametrize("name", ["c.csv", "c.csv.gz"])
def test_csv(write, name):
    expected = [Record("a", "One.", {"stars": "5"}), Record("line-4", 'Two,\r\nand "three"', {"stars": ""})]
    assert list(read_corpus(write(name, "\ufeff" + CELLS))) == expected


def test_a_long_csv_cell_is_read_whole(write):
    (record,) = read_corpus(write("c.csv", "text\n" + "x" * 200_000))
    assert len(record.text) == 200_000


def test_a_folder_of_texts(write, tmp_path):
    write("b.txt", "Two.\r\nlines")
    write("a.txt", "\ufeffOne.")
    write("notes.md", "Not read.")
    assert list(read_corpus(tmp_path)) == [Record("a", "One."), Record("b", "Two.\r\nlines")]
    assert list(read_corpus(tmp_path / "b.txt")) == [Record("b", "Two.\r\nlines")]


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    parquet.write_table(pyarrow.table({"id": ["a", None], "text": ["One.", "Two."]}), tmp_path / "c.parquet")
    assert list(read_corpus(tmp_path / "c.parquet")) == [Record("a", "One."), Record("line-2", "Two.")]


def test_parquet_without_pyarrow_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CorpusError, match=r"pip install 'spacy-falconer\[parquet\]'"):
        list(read_corpus(write("c.parquet", "")))


def test_several_text_columns_are_joined_by_a_blank_line(write):
    path = write("c.jsonl", json.dumps({"key": 7, "title": "Pan", "body": "Good."}))
    assert list(read_corpus(path, text_field=("title", "body"), id_field="key")) == [Record("7", "Pan\n\nGood.")]


def test_rows_are_read_lazily(write):
    records = read_corpus(write("c.jsonl", '{"text": "One."}\nbroken\n'))
    assert next(records).text == "One."
    with pytest.raises(CorpusError, match="line 2"):
        next(records)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.jsonl", '{"text": "a"}\n{"text": ', r"line 2: no JSON .*'\{\"text\": '"),
        ("c.jsonl", "[" * 100_000, "line 1: no JSON"),
        ("c.jsonl", '["a"]', "line 1: .* expected an object"),
        ("c.jsonl", '{"body": "a"}', "line 1: the text column 'text' holds 'None'.*body.*--text-field"),
        ("c.jsonl", '{"text": 5}', "line 1: the text column 'text' holds '5'; expected text"),
        ("c.jsonl", r'{"text": "a \ud83d"}', "line 1: .*half a character"),
        ("c.jsonl", b'{"text": "a"}\n{"text": "\xff"}\n', "c.jsonl, after line .*UTF-8"),
        ("c.jsonl.gz", b"no gzip", "c.jsonl.gz, after line 0.*gzip"),
        ("c.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 999)[:30], "c.jsonl.gz, after line .*whole"),
        ("c.csv", "id,text\n1,Good, but small\n", "line 2: more cells than the 2 columns.*' but small'.*quotes"),
        ("c.csv", "id,text\n1\n", "line 2: the text column 'text' holds 'None'"),
        ("c.txt", b"\xff", "c.txt cannot be read.*UTF-8"),
        ("c.txt.gz", "a", "no known kind"),
        ("c.xml", "a", "no known kind.*Convert it"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(write, name, content, message):
    with pytest.raises(CorpusError, match=message):
        list(read_corpus(write(name, content)))


def test_a_missing_corpus_and_an_empty_folder(tmp_path):
    with pytest.raises(CorpusError, match="There is no corpus .*nowhere.jsonl"):
        list(read_corpus(tmp_path / "nowhere.jsonl"))
    with pytest.raises(CorpusError, match="holds no .txt file"):
        list(read_corpus(tmp_path))


def test_sentences_keep_the_id_the_columns_and_their_characters():
    record = Record("a", "İ paid $5.  It broke!\n\nBad? ", {"stars": 1})
    sentences = list(split_sentences([record]))
    assert [sentence.id for sentence in sentences] == ["a"] * 3
    assert [sentence.text.strip() for sentence in sentences] == ["İ paid $5.", "It broke!", "Bad?"]
    for sentence in sentences:
        place = sentence.fields["sentence"]
        assert record.text[place["start"] : place["end"]] == sentence.text
        assert sentence.fields["stars"] == 1
    assert "sentence" not in record.fields


def test_sentences_of_more_texts_than_are_cut_at_once():
    sentences = split_sentences(Record(str(i), f"Text {i}. It works.") for i in range(600))
    expected = [(str(i), text) for i in range(600) for text in (f"Text {i}.", "It works.")]
    assert [(one.id, one.text) for one in sentences] == expected


@pytest.mark.parametrize("text", ["", " \n "])
def test_a_blank_text_has_no_sentence(text):
    assert list(split_sentences([Record("a", text)])) == []


def test_the_closing_marks_of_the_pipeline_are_used():
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer", config={"punct_chars": ["|"]})
    assert [one.text for one in split_sentences([Record("a", "A. B | C. D")], nlp)] == ["A. B |", "C. D"]


def test_sentences_of_a_text_over_a_million_characters():
    assert sum(1 for _ in split_sentences([Record("a", "It works. " * 100_100)])) == 100_100
