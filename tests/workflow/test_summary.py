"""What answers came to, before anything is learned from them."""

from __future__ import annotations

import pytest
import spacy

from spacy_falconer.corpus.docbin import make_docs
from spacy_falconer.types import Answer, Quote
from spacy_falconer.workflow.summary import list_always_true, list_never_true

POSITIVE, GIFT, PRICE = "The reviewer is satisfied.", "It was a gift.", "Amounts of money."
TEXT = "i paid 5 dollars"


@pytest.fixture
def read(review_plan):
    return lambda *answers: make_docs([Answer(TEXT, "m", *said) for said in answers], review_plan, spacy.blank("en"))[0]


def test_what_has_the_same_answer_everywhere_is_named(read):
    docs = read(({POSITIVE: True, GIFT: False}, {}), ({POSITIVE: True, GIFT: False}, {}))
    assert (list_always_true(docs), list_never_true(docs)) == (["positive"], ["gift"])


def test_one_other_answer_is_enough(read):
    docs = read(({POSITIVE: True, GIFT: False}, {}), ({POSITIVE: False, GIFT: True}, {}))
    assert (list_always_true(docs), list_never_true(docs)) == ([], [])


def test_only_texts_that_were_asked_count(read):
    docs = read(({POSITIVE: True}, {}), ({GIFT: False}, {}), ({}, {}))
    assert (list_always_true(docs), list_never_true(docs)) == (["positive"], ["gift"])


def test_passages_in_every_text_can_be_learned_and_quotes_without_a_place_cannot(read):
    assert list_always_true(read(({}, {PRICE: (Quote("5 dollars"),)}))) == []
    assert list_never_true(read(({}, {PRICE: (Quote("9 dollars"),)}))) == ["price"]
