from __future__ import annotations

import pytest
import spacy

from spacy_falconer.grounding import align, find_quotes
from spacy_falconer.types import CharSpan, Quote

NBSP = "\u00a0"


@pytest.fixture(scope="module")
def tokenizer():
    return spacy.blank("en")


def place(text, *quotes):
    """The (start, end) of each quote; a quote is its words, or its words and its start."""
    asked = [Quote(*one) if isinstance(one, tuple) else Quote(one) for one in quotes]
    return [found and (found.start, found.end) for found in find_quotes(text, asked)]


@pytest.mark.parametrize(
    ("text", "quote", "expected"),
    [
        ("It costs $1,299.99.", "$1,299.99", (9, 18)),
        ("In Washington, D.C., it rained.", "Washington, D.C.", (3, 19)),
        ("(see a.b*c)", "a.b*c", (5, 10)),  # no pattern, but words
        ("İstanbul İ costs $5", "$5", (17, 19)),  # "İ".lower() is longer than "İ"
        ("Great 👍🏽👨‍👩‍👧 for $5", "$5", (18, 20)),  # characters, not bytes or UTF-16 units
        ("e\u0301te\u0301 at $5", "$5", (9, 11)),  # combining accents are characters of their own
        ("very\nlong\r\n\tcord", "very long cord", (0, 16)),
        ("a long cord", "long\n cord", (2, 11)),
        (f"10{NBSP}mg daily", "10 mg", (0, 5)),
        ("10 mg daily", f"10{NBSP}mg", (0, 5)),
        (f"{NBSP}{NBSP}paid $5", "$5", (7, 9)),
        ("paid $5", " $5\n", (5, 7)),
        ("It costs $900.", "900 dollars", None),
        ("It costs $900.", "it", None),  # case counts
        ("longcord", "long cord", None),  # white space is none, or some; not both
        ("It costs $900.", "", None),
        ("It costs $900.", " \n", None),
        ("", "$900", None),
    ],
)
def test_a_quote_is_found_in_the_text_as_it_stands(text, quote, expected):
    assert place(text, quote) == [expected]


@pytest.mark.parametrize(
    ("text", "quotes", "expected"),
    [
        ("Ann met Ann and Ann.", ["Ann", "Ann", "Ann"], [(0, 3), (8, 11), (16, 19)]),
        ("Ann met Bob and Ann.", ["Bob", "Ann"], [(8, 11), (16, 19)]),
        ("one", ["one", "one"], [(0, 3), None]),  # said more often than it is there
        ("red, green, blue", ["blue", "red"], [(12, 16), (0, 3)]),  # out of order, but there is only one
        ("red, red, blue", ["blue", "red"], [(10, 14), None]),  # out of order, and which?
        ("red, red, blue", ["red", "blue", "red"], [(0, 3), (10, 14), (5, 8)]),  # the only one not yet taken
        ("the slow cooker", ["slow cooker", "cooker"], [(4, 15), (9, 15)]),  # one inside the other
        ("red, blue", ["green", "blue"], [None, (5, 9)]),  # one that is missing loses no other
    ],
)
def test_quotes_take_successive_occurrences(text, quotes, expected):
    assert place(text, *quotes) == expected


@pytest.mark.parametrize(
    ("text", "quotes", "expected"),
    [
        ("pancakes in the pan", ["pan"], [(16, 19)]),
        ("a span of the pan", ["pan"], [(14, 17)]),
        ("pancakes only", ["pan"], [(0, 3)]),  # a part of a word is better than nothing
        ("pans, a pan, pans", ["pan", "pan"], [(8, 11), (13, 16)]),
        ("under $300)Recommended", ["$300"], [(6, 10)]),
        ("我喜欢这个锅", ["锅"], [(5, 6)]),  # no word ends in sight
    ],
)
def test_whole_words_come_before_parts_of_words(text, quotes, expected):
    assert place(text, *quotes) == expected


@pytest.mark.parametrize(
    ("text", "quotes", "expected"),
    [
        ("Ann met Ann.", [("Ann", 8)], [(8, 11)]),
        ("Ann met Ann.", [("Ann", 8), ("Ann", 0)], [(8, 11), (0, 3)]),  # what it says goes before the order
        ("Ann met Ann.", [("Ann", 5)], [(0, 3)]),  # it does not stand there: sought
        ("Ann met Ann.", [("Ann", -4)], [(0, 3)]),
        ("Ann met Ann.", [(" Ann", 7)], [(8, 11)]),
        ("pancakes, pan", [("pan", 0)], [(0, 3)]),  # inside a word, if it says so
        ("Ann met Ann.", [("Bob", 8)], [None]),
    ],
)
def test_a_stated_start_is_taken_where_the_text_agrees(text, quotes, expected):
    assert place(text, *quotes) == expected


def test_a_long_text_with_many_mentions():
    text = "ha " * 500
    places = find_quotes(text, [Quote("ha")] * 100)
    assert [one.start for one in places] == list(range(0, 300, 3))


@pytest.mark.parametrize(
    ("text", "quote", "tokens"),
    [
        ("It costs $1,299.99.", "$1,299.99", ["$", "1,299.99"]),
        ("In Washington, D.C., it rained.", "Washington, D.C.", ["Washington", ",", "D.C."]),
        ("İ 👍 paid $5 today", "$5", ["$", "5"]),
        ("a very\n\nlong cord", "very long", ["very", "\n\n", "long"]),
        (f"10{NBSP}mg daily", "10 mg", ["10", NBSP, "mg"]),
    ],
)
def test_places_become_tokens(tokenizer, text, quote, tokens):
    doc = tokenizer(text)
    (span,) = align(doc, find_quotes(text, [Quote(quote)]))
    assert [token.text for token in span] == tokens


def test_a_place_between_token_boundaries_is_not_snapped(tokenizer):
    doc = tokenizer("Prices under $300)Recommended, but $20 is fine")
    places = find_quotes(doc.text, [Quote("$300"), Quote("$20")])
    assert places == [CharSpan(13, 17), CharSpan(35, 38)]
    assert [span and span.text for span in align(doc, places)] == [None, "$20"]
