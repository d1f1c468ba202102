from __future__ import annotations

import numpy
import pytest

from spacy_falconer.metamodel.threshold import Candidates, Target, choose_threshold, expect, pool


def draw(n, seed=0, missed=0):
    """Calibrated candidates: each is right as often as its score says."""
    random = numpy.random.default_rng(seed)
    scores = random.beta(0.4, 0.6, size=n)
    return candidates(scores, random.uniform(size=n) < scores, missed=missed)


def candidates(scores, hits, weights=None, missed=0):
    weights = numpy.ones(len(scores)) if weights is None else numpy.array(weights, dtype="float64")
    hits = numpy.array(hits, dtype=bool)
    n, wanted = int(hits.sum()) + missed, float(weights[hits].sum()) + missed
    return Candidates(numpy.array(scores, dtype="float64"), hits, weights, numpy.arange(len(hits)), n, wanted)


def measure(part, threshold):
    found = part.scores >= threshold
    return (found & part.hits).sum() / max(1, found.sum()), (found & part.hits).sum() / part.n_wanted


@pytest.mark.parametrize("least", [0.7, 0.8, 0.9])
def test_precision_is_what_was_wished_for_on_other_answers(least):
    choice = choose_threshold(draw(1000), Target("precision", least))
    p, r = measure(draw(20_000, seed=1), choice.threshold)
    assert p == pytest.approx(least, abs=0.03) and p == pytest.approx(choice.expected, abs=0.03)
    assert r > measure(draw(20_000, seed=1), choice.threshold + 0.05)[1]


@pytest.mark.parametrize("least", [0.7, 0.8, 0.9])
def test_recall_is_what_was_wished_for_on_other_answers(least):
    choice = choose_threshold(draw(1000), Target("recall", least))
    assert measure(draw(20_000, seed=1), choice.threshold)[1] == pytest.approx(least, abs=0.04)


def test_the_best_f1_is_at_half_of_it():
    choice = choose_threshold(draw(5000), Target())
    assert choice.threshold == pytest.approx(choice.expected / 2, abs=0.05)


def test_what_no_candidate_can_match_is_missing_from_recall():
    part = candidates([0.9] * 60, [True] * 60, missed=40)
    choice = choose_threshold(part, Target("recall", 0.9))
    assert choice.threshold <= 0.9 and choice.expected == pytest.approx(0.6, abs=0.05)


def test_one_lucky_answer_does_not_decide():
    """The six surest of a few are right by chance; their scores say that seven in ten are."""
    part = candidates([0.7] * 6 + [0.3] * 14, [True] * 6 + [False] * 14)
    assert choose_threshold(part, Target("precision", 0.95)).expected < 0.8


def test_few_to_find_tell_nothing_alone_and_something_together():
    few = candidates([0.4, 0.3, 0.1], [True, True, False])
    assert choose_threshold(few, Target()) is None
    assert choose_threshold(pool([few, few, few]), Target()).threshold <= 0.3


def test_texts_count_by_their_weight():
    scores, hits = [0.9] * 500 + [0.5] * 500, [True] * 500 + [False] * 250 + [True] * 250
    even = choose_threshold(candidates(scores, hits), Target("precision", 0.7))
    heavy = choose_threshold(
        candidates(scores, hits, [1.0] * 500 + [9.0] * 250 + [1.0] * 250), Target("precision", 0.7)
    )
    assert even.threshold <= 0.5 < heavy.threshold


@pytest.mark.parametrize(("least", "n"), [(0.95, 59), (0.9, 29), (0.8, 14)])
def test_a_high_target_takes_many_answers(least, n):
    assert Target("precision", least).n_needed == n
    assert least**n <= 0.05 < least ** (n - 1)


def test_more_is_found_and_more_is_wrong_at_a_lower_threshold():
    curve = expect(draw(2000))
    assert (numpy.diff(curve.recall) <= 0).all() and (numpy.diff(curve.n_found) <= 0).all()
    assert curve.precision[10] < curve.precision[50] < curve.precision[90]
