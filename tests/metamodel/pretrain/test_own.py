"""The project's own training texts: whole, and none of the demo's."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import srsly

import spacy_falconer
from spacy_falconer.errors import CorpusError
from spacy_falconer.metamodel.pretrain.data import remember_texts
from spacy_falconer.metamodel.pretrain.mix import read_mix
from spacy_falconer.metamodel.pretrain.own import read_corpora, read_types

ROOT = Path(spacy_falconer.__file__).parents[1]
DATA = ROOT / "pretraining" / "data"


@pytest.fixture(scope="module")
def own():
    return read_types(DATA / "types.jsonl.gz"), *read_corpora(DATA / "corpora.jsonl.gz")


def test_every_quote_has_its_place(own):
    types, corpora, _ = own
    rows = [*types, *(row for rows in corpora.values() for row in rows)]
    assert len(rows) > 10_000
    for row in rows:
        assert all(0 <= start < end <= len(row.text) for spans in row.spans.values() for start, end in spans)


def test_every_instruction_of_a_small_corpus_is_answered_of_all_its_texts(own):
    _, corpora, wordings = own
    for name, rows in corpora.items():
        for row in rows:
            assert {*row.spans, *row.labels} <= wordings[name].keys()
            assert row.labels.keys() == rows[0].labels.keys()


def test_no_text_of_the_demo_is_trained_on(own):
    is_known = remember_texts(row["text"] for row in srsly.read_jsonl(ROOT / "assets" / "reviews.jsonl"))
    types, corpora, _ = own
    known = [row.text for row in (*types, *(row for rows in corpora.values() for row in rows)) if is_known(row.text)]
    assert known == []


def test_they_are_drawn_beside_the_sets(data_folder):
    mix = read_mix(data_folder, None, DATA, cap=10, seed=0)
    assert sum(weight for name, weight in mix.weights.items() if name.startswith("corpus ")) == pytest.approx(0.35)
    assert mix.weights["open_types"] > 0


def test_a_quote_that_is_not_in_its_text_is_refused(tmp_path):
    line = {"text": "Nine euros.", "source": "a", "spans": {"sums": ["ten euros"]}, "labels": {}}
    with gzip.open(tmp_path / "types.jsonl.gz", "wt", encoding="utf8") as file:
        file.write(json.dumps(line))
    with pytest.raises(CorpusError, match="'ten euros' is not a quote.*Correct the line"):
        read_types(tmp_path / "types.jsonl.gz")
