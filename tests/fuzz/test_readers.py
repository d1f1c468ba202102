"""Files from anywhere: corpora, and recorded answers."""

from __future__ import annotations

import gzip
import json

import pytest
from anything import fuzz, halves, json_values, words
from hypothesis import given
from hypothesis import strategies as st

from spacy_falconer.corpus.read import read_items
from spacy_falconer.corpus.tables import Flaw
from spacy_falconer.errors import AnswerError, CorpusError
from spacy_falconer.llm.exchange import read_exchange, write_exchange
from spacy_falconer.types import Answer, CharSpan, Quote

lines = st.lists(
    json_values | st.fixed_dictionaries({"text": words | halves, "id": words | halves | st.integers()}), max_size=5
)
contents = st.one_of(
    st.binary(max_size=80),
    lines.map(lambda rows: "\n".join(map(json.dumps, rows)).encode()),
    st.lists(st.sampled_from(["text", "id", ",", "\t", '"', "\n", "\r", "\0", "é", "\ufeff"]), max_size=30).map(lambda parts: "".join(parts).encode()),
    st.binary(max_size=40).map(b"text,id\n".__add__),
)  # fmt: skip


@fuzz
@given(st.sampled_from(["jsonl", "csv", "tsv", "txt", "parquet", "jsonl.gz", "csv.zst"]), contents, st.integers(0, 60))
def test_a_row_is_read_or_has_a_reason(tmp_path, ending, data, cut):
    pytest.importorskip("zstandard")
    path = tmp_path / f"corpus.{ending}"
    path.write_bytes(gzip.compress(data)[:-1 - cut] if ending.endswith(".gz") and cut % 2 else data)  # fmt: skip
    for place, item in read_items(path):
        assert place.file == str(path)
        if isinstance(item, Flaw):
            assert item.reason and len(item.reason) < 1_000
        else:
            assert item.text.encode("utf8") and item.id.encode("utf8") or not item.text


@fuzz
@given(contents)
def test_recorded_answers_are_read_or_refused_by_their_line(tmp_path, data):
    path = tmp_path / "answers.jsonl"
    path.write_bytes(data)
    try:
        answers = list(read_exchange(path))
    except AnswerError as error:
        assert str(path) in str(error)
    else:
        assert not answers or b"model" in data


quotes = st.lists(st.builds(Quote, words, st.none() | st.integers(0, 50)), max_size=3).map(tuple)
labels, spans = st.dictionaries(words, st.booleans(), max_size=3), st.dictionaries(words, quotes, max_size=3)


@st.composite
def answers(draw):
    text = draw(st.text(min_size=2, max_size=30))
    about = {CharSpan(0, len(text)): Answer(text, "a model", draw(labels), draw(spans))} if draw(st.booleans()) else {}
    gold = Answer(text, "gold", draw(labels), draw(spans)) if draw(st.booleans()) else None
    return Answer(text, "a model", draw(labels), draw(spans), gold=gold, about=about)


@fuzz
@given(st.lists(answers(), max_size=4))
def test_answers_come_back_as_they_were_written(tmp_path, written):
    write_exchange(written, tmp_path / "answers.jsonl")
    assert list(read_exchange(tmp_path / "answers.jsonl")) == written


@fuzz
@given(json_values, st.sampled_from(["text", "model", "labels", "spans", "about", "gold"]))
def test_a_spoiled_answer_is_refused_or_kept(tmp_path, value, field):
    row = {
        "text": "Paid $25.",
        "model": "a model",
        "labels": {"A.": True},
        "spans": {"B.": [{"quote": "$25", "start": 5}]},
    }
    (tmp_path / "answers.jsonl").write_text(json.dumps({**row, field: value}))
    try:
        (answer,) = read_exchange(tmp_path / "answers.jsonl")
    except AnswerError as error:
        assert "line 1" in str(error)
    else:
        write_exchange([answer], tmp_path / "again.jsonl")
        assert list(read_exchange(tmp_path / "again.jsonl")) == [answer]


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="no .txt file or table"):
        list(read_items(tmp_path))
