from __future__ import annotations

import numpy
import pytest

from spacy_falconer.metamodel.reliability import measure_ece, measure_reliability, wilson


def draw(n, seed=0, bend=1.0):
    """Scores, and answers that are right as often as `score ** bend` says."""
    random = numpy.random.default_rng(seed)
    scores = random.uniform(size=n)
    return scores, random.uniform(size=n) < scores**bend


def test_honest_scores_have_a_small_error_and_bent_ones_a_large_one():
    honest, bent = measure_ece(*draw(5000)), measure_ece(*draw(5000, bend=3))
    assert honest.value < 0.02 and honest.low <= honest.value <= honest.high < 0.04
    assert bent.value == pytest.approx(0.25, abs=0.02)  # The integral of x - x ** 3.
    assert 0.2 < bent.low < bent.value < bent.high < 0.3


def test_the_error_by_hand():
    assert measure_ece([0.1, 0.3, 0.8, 0.8], [0, 1, 1, 0], n_bins=2).value == pytest.approx(0.3)


def test_a_heavy_answer_counts_as_often_as_it_weighs():
    once = measure_ece([0.2, 0.2, 0.2, 0.9], [0, 0, 0, 1], n_bins=2).value
    assert measure_ece([0.2, 0.9], [0, 1], weights=[3, 1], n_bins=2).value == pytest.approx(once)


def test_equal_scores_are_one_whatever_their_order():
    assert measure_ece([0.5] * 4, [1, 1, 0, 0]).value == measure_ece([0.5] * 4, [0, 1, 0, 1]).value == 0.0


def test_answers_of_one_text_say_less_than_those_of_many():
    scores, right = draw(200, bend=3)
    copies = numpy.tile(scores, 10), numpy.tile(right, 10)
    alone = measure_ece(*copies)
    together = measure_ece(*copies, texts=numpy.tile(numpy.arange(200), 10))
    assert together.value == alone.value
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_it_is_repeatable_and_nothing_is_not_measured():
    assert measure_ece(*draw(100)) == measure_ece(*draw(100))
    assert measure_ece([], []) is None and measure_reliability([], []) == []


def test_shapes_that_differ():
    with pytest.raises(ValueError, match=r"shapes \(1,\), \(2,\)"):
        measure_ece([0.5], [1, 0])


def test_the_curve_of_honest_scores_is_the_diagonal():
    bins = measure_reliability(*draw(5000))
    assert [one.n for one in bins] == [500] * 10
    assert all(one.low <= one.right <= one.high for one in bins)
    assert numpy.array([one.right for one in bins]) == pytest.approx(numpy.arange(0.05, 1, 0.1), abs=0.06)


def test_the_interval_of_no_hit_is_not_closed():
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.278), abs=1e-3)
