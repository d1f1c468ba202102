from __future__ import annotations

import json
from random import Random

import pytest

from spacy_falconer.errors import CorpusError
from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain.data import Row
from spacy_falconer.metamodel.pretrain.mix import choose_rows, make_mix, read_mix

PEOPLE = Row("Kate left.", "wikigold", spans={"PER": ((0, 4),)})


def test_what_is_held_out_or_in_the_corpora_is_never_drawn(data_folder, make_rows, write_rows, tmp_path):
    corpora = tmp_path / "corpora"
    corpora.mkdir()
    known = "Kate paid 1 dollars, for the wikigold!"
    (corpora / "bio.jsonl").write_text(json.dumps({"text": known}) + "\n")
    rows = make_rows("open_instructions")
    for row, source in zip(rows, ["dmaste", "goemotions", "xquad_en", "gum"], strict=True):
        row["source"] = source
    write_rows(data_folder / "open_instructions", rows)
    mix = read_mix(data_folder, corpora, cap=10, seed=0)
    assert set(mix.rows) == set(sets.TRAINED_ON)
    assert [row.source for row in mix.rows["open_instructions"]] == ["gum"]
    assert sorted(row.text[10] for row in mix.rows["wikigold"]) == ["0", "2", "3"]


def test_a_set_that_is_left_out_is_not_drawn(data_folder):
    mix = read_mix(data_folder, None, cap=10, seed=0, leave_out=["gum", "wikigold"])
    assert set(mix.rows) == set(sets.TRAINED_ON) - {"gum", "wikigold"}
    with pytest.raises(CorpusError, match="Cannot leave out .'gun'.: no such set"):
        read_mix(data_folder, None, cap=10, seed=0, leave_out=["gun"])


@pytest.mark.parametrize(
    ("n_full", "n_empty", "cap", "expected"), [(8, 8, 100, (8, 2)), (8, 8, 4, (4, 0)), (4, 0, 9, (4, 0))]
)
def test_rows_without_spans_are_a_fifth_at_most(n_full, n_empty, cap, expected):
    rows = [PEOPLE] * n_full + [Row("Nothing.", "wikigold")] * n_empty
    chosen = choose_rows(rows, cap, Random(0))
    assert (sum(bool(row.spans) for row in chosen), sum(not row.spans for row in chosen)) == expected


def test_nothing_to_train_on_is_refused():
    with pytest.raises(CorpusError, match="No text is left"):
        make_mix({"wikigold": []}, {})
