"""What is promised holds, at less than the price of reading everything."""

from __future__ import annotations

from types import SimpleNamespace

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from spacy_falconer.workflow.guarantee.betting import find_most_tilt
from spacy_falconer.workflow.guarantee.cascade import Cascade, OverBudget
from spacy_falconer.workflow.guarantee.certify import certify
from spacy_falconer.workflow.guarantee.lanes import Lane
from spacy_falconer.workflow.guarantee.promise import Promise
from spacy_falconer.workflow.guarantee.questions import MISSED, Known, Question, list_kinds

N_TEXTS = 1500


def make_labels(seed, *, distance=3.0, share=0.3):
    """A metamodel's scores of texts, and which of them are true."""
    rng = numpy.random.default_rng([seed, 0])
    is_true = rng.random(N_TEXTS) < share
    logits = distance * rng.normal(distance * is_true, 1.0) - distance**2 / 2 + numpy.log(share / (1 - share))
    scores = 1 / (1 + numpy.exp(-logits))
    said = scores >= 0.5
    question = Question(said.astype("int64"), numpy.where(said, 1 - scores, 0.0), numpy.where(said, 0.0, scores))
    return question, (said & ~is_true).astype("int64"), (~said & is_true).astype("int64")


def make_spans(seed):
    """Passages: hard texts have more false and more missed ones."""
    rng = numpy.random.default_rng([seed, 0])
    wanted, hardness = rng.poisson(1.5, N_TEXTS), rng.beta(0.4, 6.0, N_TEXTS)
    missed, false = rng.binomial(wanted, hardness), rng.poisson(hardness * (0.2 + wanted))
    said = wanted - missed + false
    return Question(said, hardness * said, hardness * (0.2 + said), is_span=True), false, missed


def run(world, promise, seed=0, known=None):
    question, false, missed = world
    asked = []

    def ask(texts):
        asked.extend(texts.tolist())
        return Known(false[None, texts], missed[None, texts], *numpy.zeros((2, len(texts)), dtype=bool))

    known = known or Known.none(1, N_TEXTS)
    cascade = Cascade([question], promise, ask, known, numpy.random.default_rng([seed, 1]))
    return cascade.run(), asked


def measure(world, read):
    question, false, missed = world
    hidden_false, hidden_missed = (false * ~read).sum(), (missed * ~read).sum()
    n_wanted = (question.n_said - false + missed).sum()
    n_true = n_wanted - hidden_missed
    accuracy = 1 - ((false + missed > 0) & ~read).mean()
    return {"precision": n_true / (n_true + hidden_false), "recall": n_true / n_wanted, "accuracy": accuracy}


PROMISES = [
    Promise(precision=0.9, recall=0.9, delta=0.2),
    Promise(recall=0.9, delta=0.2),
    Promise(precision=0.95, delta=0.2),
    Promise(accuracy=0.95, delta=0.2),
]


@pytest.mark.parametrize("make", [make_labels, make_spans])
@pytest.mark.parametrize("promise", PROMISES, ids=str)
def test_a_promise_is_broken_no_more_often_than_it_says(make, promise):
    n_broken, n_asked, n_trials = 0, 0, 40
    for seed in range(n_trials):
        world = make(seed)
        outcome, asked = run(world, promise, seed)
        reached = measure(world, outcome.read)
        n_broken += any(reached[name] < target for name, target in promise.targets.items())
        n_asked += len(asked)
        assert all(outcome.certified[0][name] >= target for name, target in promise.targets.items())
    assert n_broken <= binom.ppf(0.999, n_trials, promise.delta)
    assert n_asked < 0.8 * n_trials * N_TEXTS


@pytest.mark.parametrize("promise", PROMISES, ids=str)
@pytest.mark.parametrize("is_long_known", [False, True])
def test_every_stake_stays_fair_also_where_the_texts_that_say_most_are_read_already(promise, is_long_known):
    """A text that is drawn too seldom for what it may hide would let errors pass."""
    rng = numpy.random.default_rng(5)
    said = numpy.minimum(rng.pareto(1.2, N_TEXTS).astype("int64"), 12)
    false, missed = rng.binomial(said, 0.05), rng.binomial(2, 0.02, N_TEXTS)
    question, known = Question(said, 0.05 * said, numpy.full(N_TEXTS, 0.04), is_span=True), Known.none(1, N_TEXTS)
    long = numpy.flatnonzero(said > 3)
    if is_long_known:
        known.update(long, Known(false[None, long], missed[None, long], *numpy.zeros((2, len(long)), dtype=bool)))

    def ask(texts):
        return Known(false[None, texts], missed[None, texts], *numpy.zeros((2, len(texts)), dtype=bool))

    cascade = Cascade([question], promise, ask, known, numpy.random.default_rng([5, 1]))
    cascade.run()
    for lane in cascade.lanes[0]:
        for kind, tilt in lane.tilts.items():
            fair = find_most_tilt(lane.rates[: lane.end], 1.0)
            assert (tilt * lane.most[kind][: lane.end] <= fair + 1e-9).all()
    assert sum(lane.end for lane in cascade.lanes[0]) > 100


def test_errors_that_another_instruction_uncovers_leave_no_fewer_than_none():
    order = numpy.arange(4)
    lane = Lane(
        order, numpy.full(4, 0.9), numpy.full(4, 0.5), {MISSED: 0.6}, {MISSED: 0.5}, {MISSED: numpy.ones(4)},
        numpy.ones(4), far=4, n_expected=2.0, end=4,
    )  # fmt: skip
    known = Known.none(1, 4)
    known.missed[:], known.is_read[:3] = 1, True  # None of them was drawn.
    assert lane.bound(MISSED, known, 0).min() == 0.0


@pytest.mark.parametrize("make", [make_labels, make_spans])
def test_one_target_costs_fewer_answers_than_two(make):
    both, alone = PROMISES[:2]
    n_both, n_alone = (sum(len(run(make(seed), promise, seed)[1]) for seed in range(5)) for promise in (both, alone))
    assert n_alone < 0.9 * n_both


@given(st.integers(0, 12), st.integers(0, 12), st.floats(0.5, 0.95), st.floats(0.0, 6.0))
def test_the_recall_that_is_certain_is_the_least_that_may_be(n_true, n_kept, recall, hidden):
    kind = list_kinds(Promise(recall=recall))["recall"]
    known = Known.none(1, 3)
    known.is_read[0] = True
    question = Question(numpy.array([n_true, n_kept, 0]), numpy.zeros(3), numpy.zeros(3), is_span=True)
    lane = SimpleNamespace(deltas={kind: 0.05}, bound=lambda *_: numpy.array([0.0, hidden]))
    possible = [
        (n_true + n_kept - false) / max(n_true + n_kept - false + missed, 1)
        if n_true + n_kept - false + missed
        else 1.0
        for false in range(n_kept + 1)
        for missed in range(20)
        if kind.weigh(false, missed) <= hidden + 1e-9
    ]
    assert certify(question, known, 0, [lane], Promise(recall=recall))["recall"] == pytest.approx(min(possible))


def test_no_text_is_asked_about_twice_and_what_is_known_is_not_asked():
    world = make_labels(1)
    known = Known.none(1, N_TEXTS)
    some = numpy.arange(0, N_TEXTS, 3)
    known.update(some, Known(world[1][None, some], world[2][None, some], *numpy.zeros((2, len(some)), dtype=bool)))
    outcome, asked = run(world, PROMISES[0], known=known)
    assert len(asked) == len(set(asked)) == outcome.n_asked
    assert not set(asked) & set(some.tolist())
    assert outcome.read[some].all() and outcome.read.sum() == len(asked) + len(some)


@pytest.mark.parametrize("promise", [Promise(precision=0.9, recall=0.9), Promise(accuracy=0.9)], ids=str)
@pytest.mark.parametrize("n_texts", [0, 30])
def test_where_everything_is_known_nothing_is_asked(promise, n_texts):
    question = Question(numpy.ones(n_texts, dtype="int64"), numpy.full(n_texts, 0.1), numpy.full(n_texts, 0.1))
    known = Known.none(1, n_texts)
    known.is_read[:] = True
    known.false[0, :9] = 1
    outcome, asked = run((question, known.false[0], known.missed[0]), promise, known=known)
    assert (asked, outcome.n_asked, outcome.read.all()) == ([], 0, True)
    assert outcome.certified == [dict.fromkeys(promise.targets, 1.0)]


def test_where_little_is_true_everything_is_read():
    """With ten true texts no bound can say that nine of ten are found."""
    world = make_labels(2, share=0.007)
    outcome, _ = run(world, Promise(recall=0.95))
    assert outcome.read[world[0].n_said == 0].all() and outcome.certified[0]["recall"] == 1.0


def test_a_useless_metamodel_costs_answers_and_breaks_nothing():
    question, false, missed = make_labels(3)
    order = numpy.random.default_rng(0).permutation(N_TEXTS)
    lying = Question(question.n_said, question.risk_false[order], question.risk_missed[order])
    lying = Question(lying.n_said, lying.risk_false * (lying.n_said > 0), lying.risk_missed * (lying.n_said == 0))
    outcome, _ = run((lying, false, missed), Promise(precision=0.95, recall=0.95))
    reached = measure((lying, false, missed), outcome.read)
    assert reached["precision"] >= 0.95 and reached["recall"] >= 0.95


def test_texts_without_an_answer_count_against_it():
    question, false, missed = make_labels(4)

    def ask(texts):
        failed = texts % 3 == 0
        return Known(
            numpy.where(failed, question.n_said[texts], false[texts])[None],
            numpy.where(failed, 0, missed[texts])[None], numpy.ones(len(texts), dtype=bool), failed,
        )  # fmt: skip

    cascade = Cascade([question], Promise(accuracy=0.8), ask, Known.none(1, N_TEXTS), numpy.random.default_rng([0, 1]))
    outcome = cascade.run()
    assert outcome.certified[0]["accuracy"] <= 1 - cascade.known.is_failed.mean()


def test_a_budget_that_is_too_small_says_what_is_needed():
    with pytest.raises(OverBudget) as short:
        run(make_labels(5, distance=1.0), Promise(recall=0.95, precision=0.95, label_budget=200))
    assert 200 < short.value.n_needed <= N_TEXTS


def test_a_budget_is_never_exceeded():
    for budget in (100, 400, 900):
        try:
            _, asked = run(make_labels(6), Promise(recall=0.9, precision=0.9, label_budget=budget))
        except OverBudget:
            continue
        assert len(asked) <= budget


def test_several_instructions_share_what_is_read():
    worlds = [make_labels(seed) for seed in range(3)]
    false, missed = (numpy.stack([world[part] for world in worlds]) for part in (1, 2))

    def ask(texts):
        return Known(false[:, texts], missed[:, texts], *numpy.zeros((2, len(texts)), dtype=bool))

    known = Known.none(3, N_TEXTS)
    cascade = Cascade([world[0] for world in worlds], PROMISES[0], ask, known, numpy.random.default_rng([0, 1]))
    outcome = cascade.run()
    for world, certified in zip(worlds, outcome.certified, strict=True):
        reached = measure(world, outcome.read)
        assert all(reached[name] >= certified[name] >= 0.9 for name in ("precision", "recall"))
