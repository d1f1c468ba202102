from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy
import pytest

from spacy_falconer.corpus.choose import (
    choose_balanced,
    choose_diverse,
    choose_random,
    choose_uncertain,
    combine_rounds,
    estimate_f,
    estimate_share,
    has_stopped_growing,
)
from spacy_falconer.errors import FalconerError
from spacy_falconer.types import Record

RARE = numpy.arange(400) % 20 == 0  # One text in 20.


def make_records(n):
    return (Record(str(i), f"text {i}") for i in range(n))


def make_groups(sizes, *, seed=0):
    """Vectors in far apart groups, and each vector's group."""
    rng = numpy.random.default_rng(seed)
    groups = numpy.repeat(numpy.arange(len(sizes)), sizes)
    return rng.normal(0, 0.05, (len(groups), 8)) + 10 * numpy.eye(8)[groups], groups


def make_scores(truth, *, seed=0):
    """Scores of two instructions: the first finds the truth roughly, the second knows nothing."""
    rng = numpy.random.default_rng(seed)
    return numpy.stack([truth + rng.normal(0, 0.7, len(truth)), rng.random(len(truth))], axis=1)


@pytest.mark.parametrize(("n_records", "n", "n_chosen"), [(100, 10, 10), (5, 10, 5), (5, 5, 5), (0, 3, 0), (5, 0, 0)])
def test_no_more_than_there_are(n_records, n, n_chosen):
    chosen = choose_random(make_records(n_records), n, seed=0)
    assert len({record.id for record in chosen}) == len(chosen) == n_chosen


def test_the_order_of_the_corpus_is_kept():
    ids = [int(record.id) for record in choose_random(make_records(1000), 50, seed=1)]
    assert ids == sorted(ids)


def test_the_seed_decides():
    first, same, other = (choose_random(make_records(1000), 50, seed=seed) for seed in (1, 1, 2))
    assert first == same != other


def test_a_larger_sample_holds_the_smaller_one():
    """So that asking about more texts costs what they add."""
    samples = [{record.id for record in choose_random(make_records(2000), n, seed=1)} for n in (20, 40, 500, 1000)]
    assert all(less < more for less, more in pairwise(samples))


def test_every_record_is_as_likely():
    counts = Counter(record.id for seed in range(2000) for record in choose_random(make_records(10), 3, seed=seed))
    assert all(500 < counts[str(i)] < 700 for i in range(10))  # 600 expected, standard deviation 20


STRATEGIES = {
    "diverse": lambda vectors, n, seed: choose_diverse(vectors, n, seed=seed),
    "balanced": lambda vectors, n, seed: choose_balanced(vectors, n, seed=seed)[0],
    "balanced and spread": lambda vectors, n, seed: choose_balanced(vectors, n, seed=seed, vectors=vectors)[0],
    "uncertain": lambda vectors, n, seed: choose_uncertain(vectors, n, seed=seed)[0],
}


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
@pytest.mark.parametrize(("n_texts", "n"), [(300, 40), (7, 6), (7, 7), (7, 30), (7, 1), (7, 0), (1, 1)])
def test_exactly_as_many_as_asked_each_once_in_order(strategy, n_texts, n):
    vectors = numpy.random.default_rng(0).random((n_texts, 3))
    chosen = strategy(vectors, n, 0)
    assert len(chosen) == min(n, n_texts)
    assert (numpy.diff(chosen) > 0).all()
    assert all(0 <= place < n_texts for place in chosen)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_equal_texts_do_not_stop_any_strategy(strategy):
    assert len(set(strategy(numpy.ones((50, 3)), 20, 0))) == 20


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_a_seed_gives_the_same_texts_again(strategy):
    vectors = numpy.random.default_rng(0).random((300, 3))
    first, same, other = (list(strategy(vectors, 40, seed)) for seed in (1, 1, 2))
    assert first == same != other


def test_diverse_has_texts_of_every_group_however_small():
    vectors, groups = make_groups([900, 60, 30, 10])
    for seed in range(10):
        assert set(groups[choose_diverse(vectors, 12, seed=seed)]) == {0, 1, 2, 3}


def test_diverse_is_not_taken_over_by_texts_like_no_other():
    vectors, _ = make_groups([1000])
    vectors[:20] += 100 * numpy.random.default_rng(1).normal(size=(20, 8))
    chosen = [choose_diverse(vectors, 20, seed=seed) for seed in range(20)]
    assert numpy.mean([(places < 20).sum() for places in chosen]) < 14


def test_diverse_takes_the_middle_of_a_group():
    vectors, groups = make_groups([200, 200])
    means = numpy.stack([vectors[groups == group].mean(axis=0) for group in (0, 1)])
    distances = numpy.linalg.norm(vectors - means[groups], axis=1)
    assert distances[choose_diverse(vectors, 2, seed=0)].max() < numpy.quantile(distances, 0.05)


def test_balanced_finds_more_of_what_is_rare_than_random():
    scores = make_scores(RARE)
    found = [RARE[choose_balanced(scores, 60, seed=seed)[0]].sum() for seed in range(30)]
    assert numpy.mean(found) > 1.7 * 60 * RARE.mean()


def test_balanced_gives_more_to_what_is_said_to_be_rare():
    scores = make_scores(RARE)
    more, alike = (
        numpy.mean([RARE[choose_balanced(scores, 60, seed=seed, shares=shares)[0]].sum() for seed in range(30)])
        for shares in ([0.05, 0.9], None)
    )
    assert more > alike + 2


@pytest.mark.parametrize("vectors", [None, make_groups([300, 100])[0]], ids=["", "spread"])
def test_weighted_shares_are_those_of_the_corpus(vectors):
    scores, plain, weighted = make_scores(RARE), [], []
    for seed in range(1000):
        places, weights = choose_balanced(scores, 60, seed=seed, vectors=vectors)
        plain.append(RARE[places].mean())
        weighted.append((weights * RARE[places]).sum() / len(RARE))
    assert numpy.mean(plain) > 0.1
    error = numpy.std(weighted) / numpy.sqrt(1000)
    assert numpy.mean(weighted) == pytest.approx(0.05, abs=4 * error)
    assert error < 0.001


def test_a_weight_is_one_over_how_often_the_text_is_chosen():
    scores, counts, weight_of = make_scores(RARE[:40]), numpy.zeros(40), {}
    for seed in range(4000):
        places, weights = choose_balanced(scores, 10, seed=seed)
        counts[places] += 1
        weight_of.update(zip(places.tolist(), weights, strict=True))
    chances = numpy.array([1 / weight_of[i] for i in range(40)])
    deviations = (counts - 4000 * chances) / numpy.sqrt(4000 * chances * (1 - chances) + 1e-9)
    assert chances.sum() == pytest.approx(10)
    assert numpy.abs(deviations).max() < 4


def test_a_text_that_is_certain_to_be_chosen_stands_for_itself_alone():
    scores = numpy.arange(1000.0)[:, None]
    for seed in range(20):
        places, weights = choose_balanced(scores, 300, seed=seed, share_random=0.1)
        assert len(places) == 300
        assert weights[-1] == 1 and places[-1] == 999
        assert (weights >= 1).all()


def test_where_no_text_looks_likelier_all_are_as_likely():
    assert choose_balanced(numpy.zeros((1000, 1)), 300, seed=0)[1] == pytest.approx(1000 / 300)


@pytest.mark.parametrize("share_random", [0.2, 0.5, 1.0])
def test_no_weight_is_larger_than_the_random_share_allows(share_random):
    weights = choose_balanced(make_scores(RARE), 60, seed=0, share_random=share_random)[1]
    assert weights.max() <= 400 / 60 / share_random + 1e-9


def test_like_texts_are_seldom_chosen_together_where_vectors_are_given():
    vectors, groups = make_groups([50] * 8)
    scores = numpy.random.default_rng(0).random((400, 1))
    counts = {
        name: [numpy.bincount(groups[choose_balanced(scores, 40, seed=s, share_random=1, vectors=given)[0]], minlength=8)
               for s in range(20)]
        for name, given in (("spread", vectors), ("alone", None))
    }  # fmt: skip
    assert numpy.std(counts["spread"]) < 0.5 * numpy.std(counts["alone"])
    assert numpy.ptp(counts["spread"]) <= 4


def test_uncertain_texts_are_near_their_own_threshold():
    scores = numpy.tile(numpy.linspace(0.001, 0.999, 999)[:, None], (1, 2))
    places = choose_uncertain(scores, 60, seed=0, thresholds=[0.2, 0.8], share_random=0.1)[0]
    near = [(numpy.abs(scores[places, 0] - threshold) < 0.1).sum() for threshold in (0.2, 0.5, 0.8)]
    assert near[0] > 15 < near[2]
    assert near[1] < 10


def test_a_score_of_nothing_is_surer_than_one_above_a_low_threshold():
    scores = numpy.array([1e-5] * 500 + [0.3] * 10)[:, None]
    places = choose_uncertain(scores, 20, seed=0, thresholds=0.1)[0]
    assert (places >= 500).sum() >= 8


@pytest.mark.parametrize("choose", [choose_balanced, choose_uncertain])
def test_texts_that_were_not_asked_come_last(choose):
    scores = numpy.full((500, 1), numpy.nan)
    scores[:25] = 0.5
    places, _ = choose(scores, 20, seed=0)
    assert (places < 25).sum() >= 8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: choose_balanced(numpy.ones((5, 1)), 2, seed=0, share_random=0), "share_random is 0; expected above 0"),
        (lambda: choose_balanced(numpy.ones((5, 1)), 2, seed=0, share_random=1.5), "share_random is 1.5"),
        (lambda: choose_balanced(numpy.ones(5), 2, seed=0), r"scores has the shape \(5,\)"),
        (lambda: choose_balanced(numpy.ones((5, 2)), 2, seed=0, shares=[0.5]), "expected 2 numbers from 0 to 1"),
        (lambda: choose_balanced(numpy.ones((5, 2)), 2, seed=0, vectors=numpy.ones((4, 3))), "4 vectors .* 5 texts"),
        (lambda: choose_diverse(numpy.ones(5), 2, seed=0), r"vectors has the shape \(5,\)"),
        (lambda: estimate_share([], []), "0 answers and 0 weights"),
        (lambda: estimate_share([True, False], [1.0]), "2 answers and 1 weights"),
        (lambda: estimate_share([True, False], [1.0, 0.0]), "1 of them above 0"),
    ],
)
def test_what_cannot_be_chosen_from_is_said(call, message):
    with pytest.raises(FalconerError, match=message):
        call()


def test_a_share_counts_every_answer_by_its_weight():
    assert estimate_share([True, False, False], [1, 2, 3]).share == pytest.approx(1 / 6)


def test_the_error_of_a_share_is_how_much_it_varies():
    scores, shares = make_scores(RARE), []
    for seed in range(500):
        places, weights = choose_balanced(scores, 60, seed=seed)
        shares.append(estimate_share(RARE[places], weights))
    varied = numpy.std([one.share for one in shares])
    expected = numpy.sqrt(numpy.mean([one.error**2 for one in shares]))
    assert expected == pytest.approx(varied, rel=0.25)


def test_f_of_chosen_texts_is_that_of_the_corpus_by_weight_and_not_without():
    found, scores = make_scores(RARE, seed=1)[:, 0] > 0.8, make_scores(RARE)
    counts = numpy.stack([found & RARE, found & ~RARE, ~found & RARE])  # right, wrong, missed
    true = estimate_f(*counts, numpy.ones(400))
    assert true == pytest.approx(2 * counts[0].sum() / (2 * counts[0].sum() + counts[1:].sum()))
    chosen = [choose_balanced(scores, 100, seed=seed) for seed in range(300)]
    weighted = numpy.mean([estimate_f(*counts[:, places], weights) for places, weights in chosen])
    plain = numpy.mean([estimate_f(*counts[:, places], numpy.ones(100)) for places, _ in chosen])
    assert abs(weighted - true) < 0.03 < plain - true


def test_f_where_there_is_nothing_to_find_is_nothing():
    assert estimate_f([0], [0], [0], [1]) == 0.0


def test_shares_over_rounds_are_those_of_the_corpus():
    rough, better = make_scores(RARE), make_scores(RARE, seed=1)
    shares = []
    for seed in range(1000):
        first, weights = choose_balanced(rough, 30, seed=seed)
        rest = numpy.setdiff1d(numpy.arange(400), first)
        second, later = choose_uncertain(1 / (1 + numpy.exp(-better[rest])), 60, seed=seed)
        combined = combine_rounds([weights, later])
        hits = RARE[numpy.concatenate([first, rest[second]])]
        shares.append((numpy.concatenate(combined) * hits).sum() / 400)
    assert numpy.mean(shares) == pytest.approx(0.05, abs=4 * numpy.std(shares) / numpy.sqrt(1000))


def test_rounds_that_took_all_weigh_one_each():
    combined = combine_rounds([[5.0, 5.0], [4.0, 4.0], [1.0] * 6])
    assert sum(map(sum, combined)) == pytest.approx(10)
    assert combine_rounds([[3.0, 5.0]])[0].tolist() == [3.0, 5.0]


@pytest.mark.parametrize(
    ("scores", "stopped"),
    [
        ([], False),
        ([0.5, 0.5], False),
        ([0.5, 0.5, 0.5], True),
        ([0.5, 0.6, 0.7], False),
        ([0.5, 0.6, 0.605, 0.602], True),
        ([0.5, 0.6, 0.58, 0.65], False),
        ([0.7, 0.5, 0.6], True),
        ([0.5, None, 0.5, float("nan")], False),
        ([None, 0.5, None, 0.5, 0.5], True),
    ],
)
def test_rounds_stop_when_two_have_brought_nothing(scores, stopped):
    assert has_stopped_growing(scores) is stopped


def test_patience_and_the_least_gain_can_be_set():
    assert has_stopped_growing([0.5, 0.505], patience=1)
    assert not has_stopped_growing([0.5, 0.505], patience=1, least_gain=0.001)
