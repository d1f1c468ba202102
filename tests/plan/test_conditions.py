from __future__ import annotations

import pytest

from spacy_falconer.errors import PlanError
from spacy_falconer.plan import parse_condition

VALUES = {"positive": True, "price": False}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("positive", True),
        ("price", False),
        ("not_run", False),
        ("not not_run", True),
        ("true", True),
        ("false", False),
        ("True and not False", True),
        ("positive and price", False),
        ("positive and not price", True),
        ("positive or price and false", True),
        ("(positive or price) and false", False),
        ("not positive or price", False),
        ("not (positive and price)", True),
        (" positive\n  and\tnot price ", True),
        ("(" * 50 + "positive" + ")" * 50, True),
        ("not " * 247 + "positive", False),
    ],
)
def test_evaluate(expression, expected):
    assert parse_condition(expression).evaluate(VALUES) is expected


def test_a_value_cannot_redefine_true():
    assert parse_condition("true").evaluate({"true": False}) is True


def test_names_are_the_ids_that_are_read():
    assert parse_condition("a and (not b or true) or a").names == {"a", "b"}


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("a and", "its parts do not fit together"),
        ("a b", "its parts do not fit together"),
        ("(a", "its parts do not fit together"),
        ("a)", "its parts do not fit together"),
        ("a AND b", "its parts do not fit together"),
        ("and", "its parts do not fit together"),
        ("a # and b", "it holds '#'"),
        ("a.b", r"it holds '\.'"),
        ("a\x00", r"it holds '\\x00'"),
        ("ａ and b", "it holds 'ａ'"),
        ("a \\\n and b", r"it holds '\\\\'"),
        ("a > 5", "it holds '>'"),
        ("a and 1", "it holds '1'"),
        ("0or a", "it holds '0or'"),
        ("9" * 900, "it holds '999"),
        ("None", "it holds 'None'"),
        ("a()", r"it holds 'a\(\)'"),
        ("()", r"it holds '\(\)'"),
        ("a in b", "it holds 'a in b'"),
        ("a if b else a", "it holds 'a if b else a'"),
        ("(yield a)", r"it holds '\(yield a\)'"),
        ("a" * 1_001, "it has 1,001 characters, more than 1,000"),
        ("(" * 51 + "a" + ")" * 51, "nested 51 deep, more than 50"),
    ],
)
def test_what_is_no_condition(expression, reason):
    with pytest.raises(PlanError, match=f"is no condition: .*{reason}.*Expected step ids.*Rewrite it"):
        parse_condition(expression)
