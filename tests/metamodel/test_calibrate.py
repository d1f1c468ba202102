from __future__ import annotations

import numpy
import pytest

from spacy_falconer.metamodel.calibrate import Candidates, best_threshold, pool

SCORES = [0.9, 0.8, 0.7, 0.6, 0.55, 0.3, 0.2, 0.1]
HITS = [True, True, True, True, True, False, False, False]


def candidates(scores, hits, weights=None, n_wanted=None):
    weights = numpy.array(weights or [1.0] * len(scores))
    hits = numpy.array(hits, dtype=bool)
    wanted = float(weights[hits].sum()) if n_wanted is None else float(n_wanted)
    return Candidates(numpy.array(scores), hits, weights, n_wanted or int(hits.sum()), wanted)


def test_the_default_stays_where_it_is_as_good_as_any():
    assert best_threshold(candidates(SCORES, HITS), default=0.5) == 0.5


def test_a_threshold_moves_to_where_f_is_best():
    halves = [s / 2 for s in SCORES]
    assert best_threshold(candidates(20 * halves, 20 * HITS), default=0.5) == pytest.approx(0.25)


def test_few_answers_move_it_no_further_than_one_of_them_is_worth():
    assert best_threshold(candidates([s / 2 for s in SCORES], HITS), default=0.5) == pytest.approx(0.3)


def test_few_to_find_tell_nothing():
    assert best_threshold(candidates(SCORES, HITS[:4] + [False] * 4), default=0.5) is None


def test_texts_count_by_their_weight():
    scores, hits = [0.9] * 5 + [0.4] * 5 + [0.3] * 5, [True] * 5 + [False] * 5 + [True] * 5
    assert best_threshold(candidates(scores, hits), default=0.5) < 0.3 + 1e-9
    assert best_threshold(candidates(scores, hits, [1.0] * 5 + [9.0] * 5 + [0.1] * 5), default=0.5) == 0.5


def test_instructions_with_few_answers_are_judged_together():
    few = candidates([0.4, 0.3, 0.1], [True, True, False])
    assert best_threshold(few, default=0.5) is None
    assert best_threshold(pool([few, few, few]), default=0.5) == pytest.approx(0.3)
