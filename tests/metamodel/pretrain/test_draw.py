from __future__ import annotations

from random import Random

import pytest

from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain.data import Row
from spacy_falconer.metamodel.pretrain.draw import draw_group, draw_groups
from spacy_falconer.metamodel.pretrain.mix import make_mix, read_mix

MEANINGS = {"wikigold": {"PER": "names of people", "LOC": "names of places"}}
PEOPLE = Row("Kate left.", "wikigold", spans={"PER": ((0, 4),)})
PLACES = Row("Rome fell.", "wikigold", spans={"LOC": ((0, 4),)})


def draw(mix, n_draws=20):
    return [example for number in range(n_draws) for example in draw_group(mix, Random(number))]


def test_a_draw_does_not_depend_on_the_draws_before(data_folder):
    mix = read_mix(data_folder, None, cap=10, seed=0)
    together = draw_groups(mix, seed=1, start=0, count=30)
    apart = draw_groups(mix, seed=1, start=0, count=11) + draw_groups(mix, seed=1, start=11, count=19)
    assert together == apart
    assert together != draw_groups(mix, seed=2, start=0, count=30)


def test_labels_are_asked_for_where_they_are_and_where_they_are_not():
    mix = make_mix({"wikigold": [PEOPLE, PLACES]}, MEANINGS)
    for example in draw(mix):
        assert {((0, 4),), ()} <= set(example.spans.values())


def test_the_texts_of_a_group_are_asked_the_same(data_folder):
    mix = make_mix({"wikigold": [PEOPLE, PLACES]}, MEANINGS)
    for number in range(20):
        first, second = draw_group(mix, Random(number))
        assert first.spans.keys() == second.spans.keys() and first.labels.keys() == second.labels.keys()


def test_a_statement_holds_of_the_texts_that_have_the_spans():
    mix = make_mix({"wikigold": [PEOPLE, PLACES]}, MEANINGS)
    said = [(example, words, holds) for example in draw(mix, 60) for words, holds in example.labels.items()]
    about_people = [one for one in said if "people" in one[1] or "person" in one[1]]
    assert about_people
    for example, words, holds in about_people:
        is_negated = any(word in words.lower() for word in ("not ", "no ", "without"))
        assert holds == ((example.text == PEOPLE.text) != is_negated)


@pytest.mark.parametrize("name", sets.INCOMPLETE)
def test_a_set_that_is_not_annotated_in_full_has_no_negatives_of_its_own(name):
    mix = make_mix({name: [PEOPLE, PLACES]}, MEANINGS)
    assert all(spans for example in draw(mix) for spans in example.spans.values())


def test_a_question_about_another_text_has_no_answer():
    rows = [
        Row("It cost nine euros.", "qamr", spans={"What did it cost?": ((8, 18),)}, worded=True),
        Row("Kate left at dawn.", "qamr", spans={"Who left?": ((0, 4),)}, worded=True),
    ]
    own = {row.text: row.spans for row in rows}
    for example in draw(make_mix({"qamr": rows}, {})):
        assert len(example.spans) == 2
        assert all(spans == own[example.text].get(question, ()) for question, spans in example.spans.items())


def test_a_small_corpus_is_asked_each_of_its_instructions_in_one_of_its_wordings():
    row = Row("Nine euros.", "corpus bills", spans={"sum": ((0, 10),), "payer": ()}, labels={"paid": False})
    wordings = {"corpus bills": {"sum": ("the sum", "how much"), "payer": ("who pays",), "paid": ("It was paid",)}}
    mix = make_mix({"corpus bills": [row]}, {}, wordings)
    drawn = draw(mix)
    asked = {words.lower().rstrip(".") for example in drawn for words in example.spans}
    assert asked == {"the sum", "how much", "who pays"}
    assert all(len(example.spans) == 2 and list(example.labels.values()) == [False] for example in drawn)
