from __future__ import annotations

import numpy
import pytest

from spacy_falconer.metamodel.calibrate import MIN_SLOPE, NOTHING, calibrate, fit_calibrations
from spacy_falconer.metamodel.reliability import measure_ece
from spacy_falconer.metamodel.threshold import Candidates


def draw(n, *, slope=1.0, offset=0.0, seed=0, weights=None):
    """Candidates whose scores' log odds must be stretched by `slope` and moved by `offset` to be true."""
    random = numpy.random.default_rng(seed)
    odds = random.normal(-1, 2.5, size=n)
    hits = random.uniform(size=n) < 1 / (1 + numpy.exp(-(slope * odds + offset)))
    return make(1 / (1 + numpy.exp(-odds)), hits, weights)


def make(scores, hits, weights=None):
    weights = numpy.ones(len(scores)) if weights is None else weights
    wanted = float(weights[hits].sum())
    return Candidates(scores, numpy.asarray(hits, bool), weights, numpy.arange(len(scores)), int(hits.sum()), wanted)


def measure(part, calibration):
    return measure_ece(calibrate(part.scores, *calibration), part.hits, n_resamples=2).value


@pytest.mark.parametrize(("slope", "offset"), [(0.4, -1.0), (1.5, 0.5), (1.0, -2.0)])
def test_many_answers_make_scores_true(slope, offset):
    fitted = fit_calibrations({"one": draw(3000, slope=slope, offset=offset)})["one"]
    assert fitted == pytest.approx((slope, offset), abs=0.15)
    test = draw(5000, slope=slope, offset=offset, seed=1)
    assert measure(test, fitted) < 0.02 < measure(test, NOTHING)


def test_what_is_true_stays():
    assert fit_calibrations({"one": draw(3000)})["one"] == pytest.approx(NOTHING, abs=0.1)


def test_twenty_answers_help_false_scores_more_than_they_harm_true_ones():
    honest, bent = draw(4000, seed=9), draw(4000, slope=0.4, offset=-1.0, seed=9)
    fits = [fit_calibrations({"one": draw(20, seed=seed)})["one"] for seed in range(20)]
    assert numpy.mean([measure(honest, fit) for fit in fits]) < 0.09
    fits = [fit_calibrations({"one": draw(20, slope=0.4, offset=-1.0, seed=seed)})["one"] for seed in range(20)]
    assert numpy.mean([measure(bent, fit) for fit in fits]) < 0.6 * measure(bent, NOTHING)


def test_an_instruction_with_few_answers_learns_from_the_others():
    many = {str(i): draw(500, slope=0.4, offset=-1.0, seed=i) for i in range(3)}
    few = draw(12, slope=0.4, offset=-1.0, seed=7)
    alone, together = fit_calibrations({"few": few})["few"], fit_calibrations({**many, "few": few})["few"]
    test = draw(4000, slope=0.4, offset=-1.0, seed=9)
    assert measure(test, together) < measure(test, alone)


def test_without_a_right_candidate_nothing_is_fitted():
    wrong = make(numpy.array([0.9, 0.8]), numpy.array([False, False]))
    assert fit_calibrations({"none": wrong}) == {}
    assert set(fit_calibrations({"none": wrong, "some": draw(50)})) == {"some"}
    assert fit_calibrations({}) == {}


def test_a_higher_score_never_means_less():
    part = draw(500, slope=-1.0)
    fitted = fit_calibrations({"one": part})["one"]
    assert fitted.slope == pytest.approx(MIN_SLOPE, rel=0.02)
    assert calibrate(part.scores, *fitted).mean() == pytest.approx(part.hits.mean(), abs=0.05)


def test_answers_count_by_their_weight():
    hits = numpy.arange(1000) % 2 == 0
    part = make(numpy.full(1000, 0.5), hits, numpy.where(hits, 1.0, 4.0))
    fitted = fit_calibrations({"one": part})["one"]
    assert calibrate(numpy.array([0.5]), *fitted)[0] == pytest.approx(0.2, abs=0.03)


def test_doing_nothing_does_nothing_and_zero_stays():
    scores = numpy.array([[0.0, 0.3], [0.7, 1.0]])
    assert calibrate(scores, [1.0, 1.0], [0.0, 0.0]) is scores
    moved = calibrate(scores, [1.0, 0.5], [2.0, 0.0])
    assert moved[0, 0] == 0.0 and moved[1, 0] > 0.9 and 0.3 < moved[0, 1] < 0.5 and 0.99 < moved[1, 1] <= 1.0


@pytest.mark.parametrize("scores", [[0.0] * 9 + [1.0], [1.0] * 10, [0.0] * 9 + [1e-300]])
def test_scores_at_the_ends_do_no_harm(scores):
    fitted = fit_calibrations({"one": make(numpy.array(scores), numpy.arange(10) > 8)})["one"]
    assert numpy.isfinite(fitted).all() and fitted.slope > 0
