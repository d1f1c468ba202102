"""spaCy's own training data as answers; what it does not say stays open."""

from __future__ import annotations

import pytest
import spacy
from spacy.tokens import DocBin, Span, SpanGroup

from spacy_falconer.errors import AnswerError
from spacy_falconer.workflow.own.bring import bring_answers

TEXT = "Bob won in New York."


@pytest.fixture
def bring(store, news_plan, tmp_path):
    """Write docs as users do, and bring them in: of each text, what is set on its doc."""

    def write(*docs, **settings):
        path = tmp_path / "train.spacy"
        DocBin(docs=docs).to_disk(path)
        return bring_answers(path, news_plan, store, **settings)

    return write


@pytest.fixture
def make_doc():
    nlp = spacy.blank("en")

    def make(text=TEXT, ents=None, spans=None, cats=None):
        doc = nlp.make_doc(text)
        if ents is not None:
            doc.ents = [
                doc.char_span(text.index(words), text.index(words) + len(words), label) for words, label in ents
            ]
        if spans is not None:
            found = [doc.char_span(text.index(words), text.index(words) + len(words), label) for words, label in spans]
            doc.spans["sc"] = SpanGroup(doc, name="sc", spans=found)
        doc.cats = cats or {}
        return doc

    return make


def test_entities_answer_span_steps_under_the_name_of_the_step(bring, make_doc, said):
    brought = bring(make_doc(ents=[("Bob", "PERSON"), ("New York", "GPE")]), names=["GPE=place"])
    assert said(TEXT) == {"person": [("Bob", 0)], "place": [("New York", 11)]}
    assert brought.form == "docbin" and brought.unanswered == ["sports"] and not brought.foreign


def test_an_annotated_doc_without_entities_has_none_and_another_is_open(bring, make_doc, said):
    brought = bring(make_doc(ents=[("Bob", "PERSON")]), make_doc("It rained.", ents=[]), make_doc("Who knows?"))
    assert said("It rained.") == {"person": []} and said("Who knows?") == {}
    assert brought.taken.outcomes == {"answered": 2, "open": 1}


def test_a_group_speaks_of_its_own_labels_alone(bring, make_doc, said):
    only_people = make_doc("Ada left.", ents=[("Ada", "PERSON")])
    bring(make_doc(spans=[("New York", "PLACE")]), only_people)
    assert said(TEXT) == {"place": [("New York", 11)]} and said("Ada left.") == {"person": [("Ada", 0)]}


def test_passages_of_a_group_may_overlap(bring, make_doc, said):
    bring(make_doc(spans=[("New York", "Place"), ("York", "Place"), ("York", "Place")]))
    assert said(TEXT) == {"place": [("New York", 11), ("York", 15)]}


def test_categories_that_are_not_there_are_unknown_and_complete_says_they_are_false(bring, make_doc, said):
    docs = [
        make_doc(cats={"SPORTS": 1.0}),
        make_doc("It rained.", cats={"SPORTS": 0.0}),
        make_doc("Hm.", cats={"x": 1.0}),
    ]
    brought = bring(*docs)
    assert (said(TEXT), said("It rained."), said("Hm.")) == ({"sports": True}, {"sports": False}, {})
    assert brought.foreign == {"x": 1}
    bring(*docs, complete=True)
    assert said("Hm.") == {"sports": False}


def test_several_labels_may_be_one_step_and_one_label_several(bring, make_doc, said):
    bring(make_doc(ents=[("Bob", "X"), ("New York", "Y")]), names=["X=person", "Y=person", "Y=place"])
    assert said(TEXT) == {"person": [("Bob", 0), ("New York", 11)], "place": [("New York", 11)]}


def test_a_doc_annotated_in_part_needs_a_word(bring, make_doc, said):
    doc = make_doc()
    doc.set_ents([Span(doc, 0, 1, "PERSON")], default="missing")
    with pytest.raises(AnswerError, match="Only some of its tokens.*--complete.*--partial"):
        bring(doc)
    bring(doc, complete=False)
    assert said(TEXT) == {"person": [("Bob", 0)]}


def test_a_label_of_the_other_primitive_is_no_answer(bring, make_doc):
    with pytest.raises(AnswerError, match=r"labels PERSON, expected.*sports \(get_label\), person \(get_span\).*--map"):
        bring(make_doc(cats={"PERSON": 1.0}))


def test_nothing_in_common_is_told_with_both_sides(bring, make_doc):
    with pytest.raises(AnswerError, match=r"its 1 texts have the labels ORG, expected.*place.*--map LABEL=STEP"):
        bring(make_doc(ents=[("Bob", "ORG")]))


@pytest.mark.parametrize("name", ["GPE", "GPE=nowhere", "GPE=wins", "=place"])
def test_a_map_to_nothing_is_refused(name, bring, make_doc):
    with pytest.raises(AnswerError, match=f"--map '{name}' names no step.*sports, person, place"):
        bring(make_doc(ents=[]), names=[name])


def test_what_was_brought_before_makes_way_and_a_models_answers_do_not_win(bring, make_doc, said, store):
    bring(make_doc(ents=[("Bob", "PERSON")]))
    bring(make_doc(ents=[("New York", "PERSON")]), model="a tagger")
    assert said(TEXT) == {"person": [("Bob", 0)]} and store.models() == ["a tagger", "human"]
    assert bring(make_doc(ents=[("New York", "PERSON")])).taken.n_changed == 1
    assert said(TEXT) == {"person": [("New York", 11)]}
