from __future__ import annotations

from random import Random

import pytest

from spacy_falconer.metamodel.pretrain import instructions, wordings
from spacy_falconer.metamodel.pretrain.data import HELD_OUT, TRAINED_ON


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("card_payment_fee_charged", "card payment fee charged"),
        ("domain:small_talk", "small talk"),
        ("GetWeather", "get weather"),
        ("Brand Name", "brand name"),
        ("pH", "ph"),
    ],
)
def test_labels_are_spelled_as_words(label, expected):
    assert instructions.spell_label(label) == expected


def test_a_statement_that_nothing_is_there_holds_where_nothing_is():
    stated = [instructions.word_mention("temperatures", False, Random(number)) for number in range(200)]
    denied = {text for text, holds in stated if holds}
    assert denied and all("not" in text or text[:2].lower() == "no" or "without" in text.lower() for text in denied)
    assert any(not holds for _, holds in stated)


@pytest.mark.parametrize("meaning", ["names of people", "UI elements", "What is the date mentioned in this sentence?"])
def test_one_meaning_is_asked_for_in_many_ways(meaning):
    asked = {instructions.word_spans(meaning, Random(number)) for number in range(100)}
    assert len(asked) > 3
    assert all(text == text.strip() and "{}" not in text for text in asked)


def test_intents_become_questions_statements_and_topics():
    meanings = {"nlupp_intents": {"refund": "is the intent to ask about some refund?"}}
    worded = {instructions.word_label(meanings, "nlupp_intents", "refund", Random(i)).lower() for i in range(100)}
    assert {
        "is the intent to ask about some refund?",
        "the intent is to ask about some refund.",
        "some refund",
    } <= worded


def test_a_kind_of_text_holds_for_its_own_sets_alone():
    stated = [instructions.word_genre("btc", Random(number)) for number in range(100)]
    social = {text.rstrip(".").lower() for text in wordings.GENRES["social"]}
    assert all((text.rstrip(".").lower() in social) is holds for text, holds in stated)


def test_a_set_without_a_clear_kind_has_no_such_statement():
    assert instructions.word_genre("gum", Random(0)) is None


def test_wordings_name_only_sets_that_are_trained_on():
    named = {*wordings.GENRE_OF, *wordings.STATEMENTS, *wordings.MISSING_MEANINGS}
    assert named <= set(TRAINED_ON) and not named & set(HELD_OUT)
