"""Counts, intervals and rows of two sides that say things of the same texts."""

from __future__ import annotations

import numpy
import pytest

from spacy_falconer.plan import parse_plan
from spacy_falconer.workflow.scoring.agreement import agree, find_interval, make_texts
from spacy_falconer.workflow.scoring.said import FIRST, SECOND, Said, drop_passage_steps, find_row


def said(positive, *prices):
    return Said({"positive": positive}, {"price": frozenset(prices)})


def compare(found, wanted, *, plan=None, texts=None, weights=None, seed=0):
    names = texts or [str(n) for n in range(len(found))]
    return agree(found, wanted, make_texts(names, weights or [1.0] * len(found)), plan=plan, seed=seed)


FOUND = [said(True, (0, 2)), said(True, (0, 2), (5, 6)), said(False)]
WANTED = [said(True, (0, 2)), said(False, (0, 3)), said(True, (1, 2))]


def test_counts_by_hand():
    scores = compare(FOUND, WANTED)
    label, price = (scores[kind]["per_instruction"] for kind in ("labels", "spans"))
    assert (label["positive"]["p"], label["positive"]["r"], label["positive"]["n"]) == (0.5, 0.5, 3)
    assert (price["price"]["p"], price["price"]["r"]) == pytest.approx((1 / 3, 1 / 3))
    assert (price["price"]["n_found"], price["price"]["n_wanted"]) == (3, 3)
    assert scores["labels"]["macro_f"] == label["positive"]["f"] and "rows" not in scores


def test_what_was_not_asked_is_not_counted():
    scores = compare([said(True), said(True)], [said(True), Said({}, {"price": frozenset()})])
    assert scores["labels"]["per_instruction"]["positive"]["n"] == 1
    assert scores["labels"]["per_instruction"]["positive"]["p"] == 1.0
    assert compare([Said({"positive": True})], [said(True)])["spans"]["per_instruction"] == {}


def test_a_weight_counts_as_often():
    weighted = compare(FOUND, WANTED, weights=[2.0, 1.0, 1.0])
    often = compare([*FOUND, FOUND[0]], [*WANTED, WANTED[0]])
    assert weighted["labels"]["macro_f"] == pytest.approx(often["labels"]["macro_f"])


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Labels that are right four times in five, 200 studies of 60 texts."""
    random, held = numpy.random.default_rng(1), 0
    for study in range(200):
        right = random.random(60) < 0.8
        scores = compare([said(bool(one)) for one in right], [said(True)] * 60, seed=study)
        low, high = scores["labels"]["per_instruction"]["positive"]["r_ci"]
        held += low <= 0.8 <= high
    assert 0.89 <= held / 200 <= 0.99


def test_equal_texts_are_drawn_together():
    found, wanted = [said(n % 2 == 0) for n in range(40)], [said(True)] * 40
    alone = compare(found, wanted)["labels"]["macro_f_ci"]
    together = compare(found, wanted, texts=[str(n // 10 if n % 2 else 9) for n in range(40)])["labels"]["macro_f_ci"]
    assert together[1] - together[0] > 1.3 * (alone[1] - alone[0])


def test_the_interval_of_no_mistake_is_not_a_point():
    low, high = find_interval(1.0, numpy.ones(100), 3)
    assert high == 1.0 and low == pytest.approx(0.025 ** (1 / 3))
    assert find_interval(0.0, numpy.zeros(100), 3)[1] == pytest.approx(1 - 0.025 ** (1 / 3))
    assert find_interval(0.0, numpy.zeros(100), 0) is None


def test_the_same_seed_gives_the_same():
    assert compare(FOUND, WANTED) == compare(FOUND, WANTED)


def test_rows_of_the_plan(review_plan):
    """The plan keeps positive texts with a price, which is its only column."""
    plan = drop_passage_steps(review_plan)
    full = [Said({**one.labels, "gift": False}, one.spans) for one in (*FOUND, said(True, (0, 2), (4, 5)))]
    other = [Said({**one.labels, "gift": False}, one.spans) for one in (*WANTED, said(True, (0, 2)))]
    rows = compare(full, other, plan=plan)["rows"]
    assert (rows["kept"]["p"], rows["kept"]["r"]) == pytest.approx((2 / 3, 2 / 3))
    assert (rows["values"]["p"], rows["values"]["r"]) == pytest.approx((2 / 5, 2 / 3))
    assert (rows["whole"]["p"], rows["whole"]["r"]) == pytest.approx((1 / 3, 1 / 3))


def test_a_quote_without_a_place_is_wanted_and_never_found(review_plan):
    wanted = Said({"positive": True, "gift": False}, {"price": frozenset([(FIRST, 0)])})
    second = Said({"positive": True, "gift": False}, {"price": frozenset([(SECOND, 0)])})
    scores = compare([second], [wanted], plan=review_plan)
    assert scores["spans"]["per_instruction"]["price"]["f"] == 0.0
    assert scores["rows"]["kept"]["f"] == 1.0  # It was said that there is a price.


def test_passages_steps_are_left_out_where_the_result_does_not_need_them():
    steps = [
        {"id": "price", "op": "get_span", "instruction": "Money."},
        {"id": "high", "op": "get_label", "instruction": "{span} is high.", "for_each": "price"},
    ]
    plan = parse_plan({"instruction": "x", "steps": steps, "output": ["price", "high"]})
    assert [step.id for step in drop_passage_steps(plan).steps] == ["price"]
    assert find_row(drop_passage_steps(plan), said(True, (0, 2))) == {"price": {(0, 2)}}
    assert drop_passage_steps(parse_plan({"instruction": "x", "steps": steps, "keep": "high"})) is None
