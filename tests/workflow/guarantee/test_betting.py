"""The bounds are what exact arithmetic says, and they hold."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from spacy_falconer.workflow.guarantee.betting import bound_unseen, find_most_tilt, find_prices
from spacy_falconer.workflow.guarantee.schedule import find_rates


@pytest.mark.parametrize(("rate", "delta"), [(0.1, 0.05), (0.3, 0.025), (0.02, 0.1)])
def test_with_nothing_found_the_bound_is_the_exact_one(rate, delta):
    bound = bound_unseen(numpy.zeros(50), numpy.ones(50), rate=rate, tilt=find_most_tilt(rate, 1), delta=delta)[-1]
    assert binom.cdf(0, int(bound), rate) >= delta > binom.cdf(0, int(bound) + 1, rate)


@pytest.mark.parametrize("n_found", [1, 5, 20])
def test_with_errors_found_it_is_a_little_above_the_exact_one(n_found):
    rate, delta = 0.1, 0.05
    exact = next(n for n in range(n_found, 9999) if binom.cdf(n_found, n, rate) < delta) - n_found  # Unseen ones.
    tilts = numpy.linspace(0.05, 0.999, 50) * find_most_tilt(rate, 1)
    best = min(
        bound_unseen(numpy.ones(n_found), numpy.ones(n_found), rate=rate, tilt=t, delta=delta)[-1] for t in tilts
    )
    assert exact <= best <= 1.3 * exact


@given(st.floats(0.01, 0.9), st.floats(0.05, 1.0), st.integers(1, 5), st.data())
def test_every_stake_is_fair(rate, part, most, data):
    tilt, errors = part * find_most_tilt(rate, most), data.draw(st.integers(0, most))
    drawn = numpy.exp(-find_prices(errors, rate=rate, tilt=tilt))
    assert rate * drawn + (1 - rate) * numpy.exp(tilt * errors) == pytest.approx(1.0)


@given(st.floats(0.01, 0.9), st.integers(1, 9), st.integers(1, 9), st.floats(0.01, 1.0))
def test_a_text_that_may_hide_less_may_be_drawn_less(rate, most, of_any, grade):
    share = (min(most, of_any) / of_any) ** grade
    lower = find_rates(rate, numpy.array([share]))[0]
    assert lower <= rate + 1e-12
    assert find_most_tilt(lower, min(most, of_any)) >= find_most_tilt(rate, of_any) * (1 - 1e-9)


def test_the_bounds_of_all_prefixes_hold_at_once():
    """Whoever picks the prefix that looks best is still misled in at most a share delta of all draws."""
    errors = numpy.random.default_rng(0).binomial(2, 0.2, 400)
    n_wrong = 0
    for seed in range(1000):
        drawn = numpy.random.default_rng([seed, 1]).random(400) < 0.2
        bounds = bound_unseen(errors, drawn, rate=0.2, tilt=0.4 * find_most_tilt(0.2, 2), delta=0.1)
        n_wrong += bool((numpy.cumsum(numpy.where(drawn, 0, errors)) > bounds[1:]).any())
    assert 0 < n_wrong <= binom.ppf(0.999, 1000, 0.1)


def test_a_rate_may_change_on_the_way():
    drawn, rates = numpy.array([True, False, True]), numpy.array([0.2, 0.2, 0.5])
    tilt = 0.5 * find_most_tilt(0.2, 1)
    bounds = bound_unseen([1, 0, 1], drawn, rate=rates, tilt=tilt, delta=0.05)
    paid = find_prices(1, rate=0.2, tilt=tilt) + find_prices(1, rate=0.5, tilt=tilt)
    assert bounds[-1] == pytest.approx((numpy.log(20.0) + paid) / tilt)
    assert list(bounds) == sorted(bounds)


def test_what_is_not_drawn_is_not_looked_at():
    settings = {"rate": 0.2, "tilt": 0.1, "delta": 0.05}
    drawn = numpy.array([True, False, False])
    assert (bound_unseen([0, 1, 1], drawn, **settings) == bound_unseen([0, 0, 0], drawn, **settings)).all()
