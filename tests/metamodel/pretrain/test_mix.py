from __future__ import annotations

import json
from random import Random

import pytest

from spacy_falconer.errors import CorpusError
from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain.data import Row
from spacy_falconer.metamodel.pretrain.mix import choose_rows, draw_example, draw_examples, make_mix, read_mix

MEANINGS = {"wikigold": {"PER": "names of people", "LOC": "names of places"}}
PEOPLE = Row("Kate left.", "wikigold", spans={"PER": ((0, 4),)})
PLACES = Row("Rome fell.", "wikigold", spans={"LOC": ((0, 4),)})


def test_what_is_held_out_or_in_the_corpora_is_never_drawn(data_folder, make_rows, write_rows, tmp_path):
    corpora = tmp_path / "corpora"
    corpora.mkdir()
    known = "Kate paid 1 dollars, for the wikigold!"
    (corpora / "bio.jsonl").write_text(json.dumps({"text": known}) + "\n")
    rows = make_rows("open_instructions")
    for row, source in zip(rows, ["dmaste", "goemotions", "policyqa", "gum"], strict=True):
        row["source"] = source
    write_rows(data_folder / "open_instructions", rows)
    mix = read_mix(data_folder, corpora, cap=10, seed=0)
    assert set(mix.rows) == set(sets.TRAINED_ON)
    assert [row.source for row in mix.rows["open_instructions"]] == ["gum"]
    assert sorted(row.text[10] for row in mix.rows["wikigold"]) == ["0", "2", "3"]


def test_a_draw_does_not_depend_on_the_draws_before(data_folder):
    mix = read_mix(data_folder, None, cap=10, seed=0)
    together = draw_examples(mix, seed=1, start=0, count=30)
    apart = draw_examples(mix, seed=1, start=0, count=11) + draw_examples(mix, seed=1, start=11, count=19)
    assert together == apart
    assert together != draw_examples(mix, seed=2, start=0, count=30)


def test_labels_are_asked_for_where_they_are_and_where_they_are_not():
    mix = make_mix({"wikigold": [PEOPLE, PLACES]}, MEANINGS)
    answers = [spans for number in range(20) for spans in draw_example(mix, Random(number)).spans.values()]
    assert set(answers) == {((0, 4),), ()}


@pytest.mark.parametrize("name", sets.INCOMPLETE)
def test_a_set_that_is_not_annotated_in_full_has_no_negatives_of_its_own(name):
    mix = make_mix({name: [PEOPLE, PLACES]}, MEANINGS)
    assert all(spans for number in range(20) for spans in draw_example(mix, Random(number)).spans.values())


def test_a_question_about_another_text_has_no_answer():
    rows = [
        Row("It cost nine euros.", "qamr", spans={"What did it cost?": ((8, 18),)}, worded=True),
        Row("Kate left at dawn.", "qamr", spans={"Who left?": ((0, 4),)}, worded=True),
    ]
    mix = make_mix({"qamr": rows}, {})
    drawn = [draw_example(mix, Random(number)) for number in range(20)]
    own = {row.text: row.spans for row in rows}
    for example in drawn:
        assert all(spans == own[example.text].get(question, ()) for question, spans in example.spans.items())
    assert any(len(example.spans) == 2 for example in drawn)


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
