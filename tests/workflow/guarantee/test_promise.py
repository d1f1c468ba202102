"""The words of a guarantee."""

from __future__ import annotations

import pytest

from spacy_falconer.errors import FalconerError, PlanError
from spacy_falconer.workflow.guarantee.promise import Promise, find_steps, parse_promise


def test_the_words_are_read():
    words = "precision=0.9, recall = 0.95, delta=0.1,label_budget=200, on=price+positive"
    expected = Promise(precision=0.9, recall=0.95, delta=0.1, label_budget=200, on=("price", "positive"))
    assert parse_promise(words) == expected
    assert parse_promise(str(expected)) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("recal=0.9", "has 'recal=0.9'; expected precision, recall"),
        ("recall", "has 'recall'; expected"),
        ("delta=0.05", "names no target"),
        ("recall=high", "recall is 'high'; expected a number"),
        ("recall=95", "recall is 95.0; expected a number between 0 and 1"),
        ("recall=0.9, delta=0", "delta is 0.0"),
        ("recall=0.9, recall=0.8", "names 'recall' twice"),
        ("recall=0.9, label_budget=many", "label_budget is 'many'; expected a whole number"),
        ("recall=0.9, label_budget=0", "label_budget is 0; expected 1 or more"),
    ],
)
def test_words_that_say_nothing_are_refused(words, message):
    with pytest.raises(FalconerError, match=message):
        parse_promise(words)


def test_it_is_promised_of_all_steps_or_of_those_that_are_named(review_plan):
    assert find_steps(parse_promise("recall=0.9"), review_plan) == ["positive", "gift", "price"]
    assert find_steps(parse_promise("recall=0.9, on=price"), review_plan) == ["price"]
    with pytest.raises(PlanError, match="wanted on 'prize'.*positive, gift, price"):
        find_steps(parse_promise("recall=0.9, on=prize"), review_plan)
