"""Patterns of what passages look like, for any text."""

from __future__ import annotations

import pytest

from spacy_falconer.plan import Step
from spacy_falconer.workflow.scoring.keywords import PATTERNS, find_pattern


def find(words, text):
    return [found.group() for found in find_pattern(make_step(words)).finditer(text)]


def make_step(words):
    return Step(id="x", op="get_span", instruction=words)


@pytest.mark.parametrize(
    ("words", "text", "found"),
    [
        ("E-mails", "write to a.b+c@mail.example.org, or x@y.de.", ["a.b+c@mail.example.org", "x@y.de"]),
        ("E-mails", "no@body and @home.de", []),
        ("Prices", "1,299.50 dollars, or $3 a day", ["1,299.50 dollars", "$3"]),
        ("Percentages", "12.5 % of 3 percent", ["12.5 %", "3 percent"]),
        ("Doses", "take 0.5 mg/kg twice", ["0.5 mg/kg"]),
    ],
)
def test_what_a_kind_of_passage_looks_like(words, text, found):
    assert find(words, text) == found


@pytest.mark.parametrize("beginnings", PATTERNS)
@pytest.mark.parametrize("part", ["a", "1", "1,", "-", "A ", "1 ", "a@", "jan", "www.", " "])
def test_a_long_text_without_spaces_is_searched_in_a_moment(beginnings, part):
    """By its square it would take hours."""
    assert len(find(beginnings.split()[0], part * (300_000 // len(part)))) <= 300_000
