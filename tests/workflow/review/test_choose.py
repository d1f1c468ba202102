"""Which texts are shown to people."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import spacy

from spacy_falconer.plan import parse_plan
from spacy_falconer.types import Answer, Quote, Record
from spacy_falconer.workflow.review.choose import (
    Lead,
    Reader,
    choose_items,
    find_contradiction,
    find_unsure,
    measure_margin,
    pick_leads,
    read_found,
    take_turns,
)

TEXT = "i paid 5 dollars , it broke"
PIPE = SimpleNamespace(cfg={"spans_key": "sc"})


@pytest.fixture
def readers(review_plan):
    return {
        key: Reader(review_plan.steps_by_id[key], PIPE, least) for key, least in (("positive", 0.4), ("price", 0.5))
    }


@pytest.fixture
def doc(group_of):
    doc = spacy.blank("en")(TEXT)
    doc.cats = {"positive": 0.7}
    return group_of(doc, [("price", 2, 4, 0.45), ("price", 1, 4, 0.9)])


@pytest.mark.parametrize(
    ("score", "threshold", "margin"),
    [(0.4, 0.4, 0.0), (1.0, 0.4, 1.0), (0.7, 0.4, 0.5), (0.2, 0.4, 0.5), (0.0, 0.0, 0.0)],
)
def test_a_margin_is_a_share_of_its_side(score, threshold, margin):
    assert measure_margin(score, threshold) == pytest.approx(margin)


def test_the_passage_nearest_to_the_threshold_makes_a_text_unsure(readers, doc):
    [lead] = find_unsure(readers["price"], doc, 3)
    assert (lead.place, lead.key, lead.strength) == (3, "price", pytest.approx(0.9))
    assert lead.why == "price: unsure, score 0.45 at threshold 0.50"


def test_a_label_that_is_answered_otherwise(readers, doc):
    assert find_contradiction(readers["positive"], doc, 0, True) == []
    assert find_contradiction(readers["positive"], doc, 0, None) == []
    [lead] = find_contradiction(readers["positive"], doc, 0, False)
    assert (lead.strength, lead.why) == (pytest.approx(0.5), "positive: score 0.70, but the answer is no")


@pytest.mark.parametrize(
    ("quotes", "why"),
    [
        ([Quote("paid 5 dollars")], None),
        ([], "price: 'paid 5 dollars' has score 0.90, but is not answered"),
        ([Quote("paid 5 dollars"), Quote("it broke")], "price: 'it broke' has score 0.00, but is answered"),
        ([Quote("paid 5 dollars"), Quote("bro")], None),  # No pipeline can find it.
    ],
)
def test_passages_that_are_answered_otherwise(readers, doc, quotes, why):
    assert [lead.why for lead in find_contradiction(readers["price"], doc, 0, tuple(quotes))] == ([why] if why else [])


def test_instructions_take_turns_and_a_text_is_taken_once():
    leads = [
        Lead(0, "a", 0.9, ""),
        Lead(1, "a", 0.8, ""),
        Lead(2, "a", 0.7, ""),
        Lead(0, "b", 0.2, ""),
        Lead(3, "b", 0.1, ""),
    ]
    assert [(one.place, one.key) for one in take_turns(leads, 3, set())] == [(0, "a"), (3, "b"), (1, "a")]


def test_half_are_contradictions_as_far_as_there_are_such():
    unsure = [Lead(place, "a", 0.5, "unsure") for place in range(10)]
    contradicting = [Lead(place, "a", 0.5, "contradicting") for place in range(6, 10)]
    assert [one.why for one in pick_leads(contradicting, unsure, 4)].count("contradicting") == 2
    assert [one.why for one in pick_leads(contradicting[:1], unsure, 4)].count("contradicting") == 1
    assert [one.why for one in pick_leads(contradicting, [], 4)].count("contradicting") == 4


def test_of_a_group_the_highest_score_is_shown(group_of):
    steps = [{"id": key, "op": "get_label", "instruction": key, "one_of": "mood"} for key in ("glad", "sad")]
    plan = parse_plan({"instruction": "Moods", "steps": steps})
    doc = spacy.blank("en")("text")
    doc.cats = {"glad": 0.6, "sad": 0.9}
    assert read_found(doc, [Reader(step, PIPE, 0.5) for step in plan.steps]).labels == ("sad",)


def test_texts_of_a_corpus(reader_nlp, review_plan, review_answers, store):
    store.put_many(review_answers[:20])
    store.put(Answer(review_answers[0].text, "human", review_answers[0].labels, review_answers[0].spans))
    texts = [answer.text for answer in review_answers[:30]]
    records = [Record(str(number), text) for number, text in enumerate([*texts, " ", texts[5]])]
    items = choose_items(reader_nlp, review_plan, records, store, n=12)
    assert len({item.text for item in items}) == len(items) == 12
    assert review_answers[0].text not in {item.text for item in items}  # A person has answered it.
    assert sum("unsure" in item.why for item in items) >= 6 and not all("unsure" in item.why for item in items)
    answered = {item.text: item.answered for item in items}
    assert all((answered[text] is not None) == (text in texts[:20]) for text in answered)
    again = choose_items(reader_nlp, review_plan, records, store, n=12)
    assert [(one.id, one.why, one.found) for one in again] == [(one.id, one.why, one.found) for one in items]


def test_without_answers_only_what_is_unsure(reader_nlp, review_plan, review_answers):
    records = [Record(str(number), answer.text) for number, answer in enumerate(review_answers[:10])]
    items = choose_items(reader_nlp, review_plan, records, None, n=50)
    assert len(items) == 10 and all("unsure" in item.why and item.answered is None for item in items)
    assert {item.why.split(":")[0] for item in items} == {"positive", "gift", "price"}
    assert all(item.why.endswith("at threshold 0.50") for item in items)  # Passages too, of which all were looked at.
