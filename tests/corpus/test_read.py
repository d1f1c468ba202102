from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
from itertools import islice
from pathlib import Path

import pytest
import spacy

from spacy_falconer.corpus import tables
from spacy_falconer.corpus.count import count_rows
from spacy_falconer.corpus.read import read_corpus, read_items, split_sentences
from spacy_falconer.corpus.tables import Flaw
from spacy_falconer.errors import CorpusError
from spacy_falconer.types import Record


@pytest.fixture
def write(tmp_path):
    """Write a file and give its path; one whose name says that it is packed is packed, unless it is given as bytes."""

    def write_file(name, content):
        data = content if isinstance(content, bytes) else pack(name, content.encode("utf8"))
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    return write_file


def pack(name, data):
    if name.endswith(".zst"):
        return pytest.importorskip("zstandard").compress(data)
    return gzip.compress(data) if name.endswith(".gz") else data


def write_table(path, **columns):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    parquet.write_table(pyarrow.table(columns), path, row_group_size=2)
    return path


def read_flaws(path, **settings):
    """Texts, and the lines and reasons of what is none, in order."""
    return [
        (place.line, item.reason) if isinstance(item, Flaw) else item.text
        for place, item in read_items(path, **settings)
    ]


ROWS = '{"id": "a", "text": "One.", "stars": 5}\n\n{"text": "İ 👍"}\n'
CELLS = 'id,text,stars\na,One.,5\n,"Two,\r\nand ""three""",\n'
PACKINGS = ["", ".gz", ".zst"]


@pytest.mark.parametrize("name", ["C.JSONL", *(f"c.jsonl{packing}" for packing in PACKINGS)])
def test_jsonl(write, name):
    expected = [Record("a", "One.", {"stars": 5}), Record("line-3", "İ 👍", {})]
    path = write(name, ROWS)
    assert list(read_corpus(path)) == expected and count_rows(path) == 2


@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize("packing", PACKINGS)
def test_cells(write, separator, packing):
    expected = [Record("a", "One.", {"stars": "5"}), Record("line-4", 'Two,\r\nand "three"', {"stars": ""})]
    name = {",": "c.csv", "\t": "c.tsv"}[separator] + packing
    cells = CELLS.replace(",", separator).replace("Two" + separator, "Two,")
    path = write(name, "\ufeff" + cells)
    assert list(read_corpus(path)) == expected and count_rows(path) == 2


def test_a_long_csv_cell_is_read_whole(write):
    (record,) = read_corpus(write("c.csv", "text\n" + "x" * 200_000))
    assert len(record.text) == 200_000


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_folder_of_texts(write, tmp_path, packing):
    write(f"b.txt{packing}", "Two.\r\nlines")
    write(f"a.txt{packing}", "\ufeffOne.")
    write(f"2024/may/c.v2.txt{packing}", "Three.")
    write("notes.md", "Not read.")
    write("_made_by_us.txt", "Not read.")
    write(".hidden/d.txt", "Not read.")
    texts = [Record("2024/may/c.v2", "Three."), Record("a", "One."), Record("b", "Two.\r\nlines")]
    assert list(read_corpus(tmp_path)) == texts and count_rows(tmp_path) == 3
    assert list(read_corpus(tmp_path / f"b.txt{packing}")) == [texts[2]]


def test_a_folder_of_tables(write, tmp_path):
    write("2.jsonl", '{"id": "b", "text": "Two."}\n\n{"text": "Three."}\n')
    write("1.csv.gz", "id,text\na,One.\n")
    write("old/0.jsonl.gz", '{"text": "Zero."}')
    expected = [
        Record("a", "One."),
        Record("b", "Two."),
        Record("2.jsonl:3", "Three."),
        Record("old/0.jsonl.gz:1", "Zero."),
    ]
    assert list(read_corpus(tmp_path)) == expected and count_rows(tmp_path) == 4


def test_a_folder_with_links_is_read_whole_and_once(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.txt").write_text("Two.")
    corpus = tmp_path / "corpus"
    (corpus / "sub").mkdir(parents=True)
    (corpus / "sub" / "a.txt").write_text("One.")
    (corpus / "linked").symlink_to(tmp_path / "elsewhere")
    (corpus / "sub" / "loop").symlink_to(corpus)
    assert sorted(one.text for one in read_corpus(corpus)) == ["One.", "Two."]


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("One.")
    look = Path.iterdir

    def refuse(folder):
        if folder.name == "sub":
            raise PermissionError(13, "Permission denied")
        return look(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(CorpusError, match="sub' cannot be read .*Permission denied"):
        list(read_corpus(tmp_path))


def test_a_folder_in_which_a_text_may_be_a_note(write, tmp_path):
    write("a.jsonl", ROWS)
    write("about.txt", "How it was made.")
    with pytest.raises(CorpusError, match=r"holds texts \('about.txt'\) beside tables \('a.jsonl'\).*Move"):
        list(read_corpus(tmp_path))


def test_parquet(tmp_path):
    path = write_table(tmp_path / "c.parquet", id=["a", None, 7 * "x"], text=["One.", "Two.", None], n=[1, 2, 3])
    assert count_rows(path) == 3
    assert list(islice(read_corpus(path), 2)) == [Record("a", "One.", {"n": 1}), Record("line-2", "Two.", {"n": 2})]
    (*_, (line, reason)) = read_flaws(path)
    assert line == 3 and "is empty or not there" in reason


def test_parquet_with_a_text_that_is_not_utf8(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    broken = pyarrow.array([b"One.", b"T\xffo.", b"Three."]).cast(pyarrow.string(), safe=False)
    assert [
        flaw[0] if isinstance(flaw, tuple) else flaw
        for flaw in read_flaws(write_table(tmp_path / "c.parquet", text=broken))
    ] == ["One.", 2, "Three."]


def test_parquet_with_a_date_that_python_cannot_hold(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    dates = pyarrow.array([0, 2**62], pyarrow.timestamp("us"))
    flaws = read_flaws(write_table(tmp_path / "c.parquet", text=["One.", "Two."], date=dates))
    assert flaws[0] == "One." and flaws[1][0] == 2


def test_parquet_without_pyarrow_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CorpusError, match=r"pip install 'spacy-falconer\[parquet\]'"):
        list(read_corpus(write("c.parquet", "")))


def test_zstandard_missing_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(CorpusError, match=r"pip install 'spacy-falconer\[zstd\]'"):
        list(read_corpus(write("c.jsonl.zst", b"")))


def test_several_text_columns_are_joined_by_a_blank_line(write):
    path = write("c.jsonl", json.dumps({"key": 7, "title": "Pan", "body": "Good."}))
    assert list(read_corpus(path, text_field=("title", "body"), id_field="key")) == [Record("7", "Pan\n\nGood.")]


@pytest.mark.parametrize("key", [None, ""])
def test_an_id_that_is_asked_for_is_not_made_up(write, key):
    path = write("c.jsonl", json.dumps({"key": key, "text": "Good."}))
    with pytest.raises(CorpusError, match="its id column 'key' is empty; expected an id"):
        list(read_corpus(path, id_field="key"))
    assert list(read_corpus(path)) == [Record("line-1", "Good.", {"key": key})]


def test_rows_are_read_lazily(write):
    records = read_corpus(write("c.jsonl", '{"text": "One."}\nbroken\n'))
    assert next(records).text == "One."
    with pytest.raises(CorpusError, match="line 2"):
        next(records)


FLAWS = [
    ("c.jsonl", b'{"text": ', r"not JSON .*"),
    ("c.jsonl", b"[" * 100_000, "not JSON .*recursion.*"),
    ("c.jsonl", b'["a"]', "not a JSON object"),
    ("c.jsonl", b'{"body": "a"}', "the text column 'text' is empty or not there.* The columns: body. .*--text-field"),
    ("c.jsonl", b'{"text": 5}', "the text column 'text' holds '5'; expected text.*"),
    ("c.jsonl", b'{"text": "a \\ud83d"}', "half a character.*"),
    ("c.jsonl", b'{"text": "\xff"}', "not UTF-8 .*byte 10.*"),
    ("c.jsonl", b'{"text": "' + b"x" * 2_000 + b'"}', "the line is longer than 1,000 bytes"),
    ("c.csv", b"Good, but small", "more cells than the 1 columns.*' but small'.*quotes"),
    ("c.csv", b"\xff", "not UTF-8"),
    ("c.csv", b"x" * 2_000, "not csv .*limit.*"),
    ("c.tsv", b"Good\tbut small", "more cells than the 1 columns.*"),
]


@pytest.mark.parametrize(("name", "row", "reason"), FLAWS)
def test_a_bad_row_stops_nothing(write, name, row, reason, monkeypatch):
    monkeypatch.setattr(tables, "LONGEST_LINE", 1_000 if len(row) < 10_000 else 10**6)
    monkeypatch.setattr(tables, "LONGEST_CELL", 1_000)
    good = b'{"text": "One."}\n%s\n{"text": "Three."}' if name == "c.jsonl" else b"text\nOne.\n%s\nThree."
    path, line = write(name, good % row), 2 if name == "c.jsonl" else 3
    (one, (found_line, found), three) = read_flaws(path)
    assert (one, found_line, three) == ("One.", line, "Three.") and re.fullmatch(reason, found, re.DOTALL)
    with pytest.raises(CorpusError, match=f"{name}, line {line}: "):
        list(read_corpus(path))


def test_the_start_of_a_bad_row_is_kept(write):
    (_, flaw), *_ = read_items(write("c.jsonl", "no JSON at all " * 100))
    assert flaw.start == ("no JSON at all " * 100)[:200]


@pytest.mark.parametrize("data", [b"\xff", b"x" * 2_000])
def test_a_bad_text_among_texts(write, tmp_path, data, monkeypatch):
    monkeypatch.setattr(tables, "LONGEST_LINE", 1_000)
    write("a.txt", data)
    write("b.txt", "Two.")
    (line, reason), two = read_flaws(tmp_path)
    assert (line, two) == (1, "Two.") and ("UTF-8" in reason or "longer" in reason)


@pytest.mark.parametrize("packing", PACKINGS[1:])
@pytest.mark.parametrize("is_packed", [True, False])
def test_what_stands_before_the_damage_is_read_and_then_the_next_file(write, tmp_path, packing, is_packed):
    if packing == ".zst":
        pytest.importorskip("zstandard")
    rows = "".join(
        json.dumps({"id": str(i), "text": hashlib.sha256(b"%d" % i).hexdigest()}) + "\n" for i in range(9999)
    )
    data = pack(packing, rows.encode()) if is_packed else rows.encode()
    write(f"a.jsonl{packing}", data[: len(data) // 2])
    write("b.jsonl", '{"id": "next", "text": "One."}')
    items = [item for _, item in read_items(tmp_path)]
    (place,) = [i for i, item in enumerate(items) if isinstance(item, Flaw) and item.file_ends]
    assert all(item.id == str(i) for i, item in enumerate(items[: max(place - 1, 0)])) and items[-1].id == "next"
    assert place > 1000 if is_packed else place == 0
    with pytest.raises(CorpusError, match="after line .*damaged"):
        list(read_corpus(tmp_path))


def test_a_file_that_is_no_parquet(write):
    pytest.importorskip("pyarrow")
    with pytest.raises(CorpusError, match="after line 0.*damaged"):
        list(read_corpus(write("c.parquet", b"nothing of the kind")))


@pytest.mark.parametrize("name", ["c.xml", "c.parquet.gz", "c.gz"])
def test_a_file_of_no_known_kind(write, name):
    with pytest.raises(CorpusError, match="no known kind.*Convert it"):
        list(read_corpus(write(name, b"a")))


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
        assert record.text[sentence.place.start : sentence.place.end] == sentence.text
        assert sentence.fields == {"stars": 1}


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
