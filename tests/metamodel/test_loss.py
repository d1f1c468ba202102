from __future__ import annotations

import numpy
import pytest
import torch
from torch.nn import functional

from spacy_falconer.metamodel.decode import softmax
from spacy_falconer.metamodel.loss import SHARES, UNKNOWN, label_loss, pair_weights, span_loss, span_targets

B, I, O = 0, 1, 2  # noqa: E741


def test_label_gradient_is_torchs_over_what_was_asked():
    logits = numpy.array([[0.3, -2.0], [1.5, 0.1]])
    targets = numpy.array([[1.0, numpy.nan], [0.0, 1.0]])
    loss, gradient = label_loss(logits, targets)
    known = torch.tensor(logits, requires_grad=True)
    asked = torch.tensor(~numpy.isnan(targets))
    expected = functional.binary_cross_entropy_with_logits(known[asked], torch.tensor(targets)[asked])
    expected.backward()
    assert loss == pytest.approx(expected.item())
    assert gradient == pytest.approx(known.grad.numpy(), abs=1e-6)


def test_what_was_not_asked_moves_nothing():
    _, gradient = label_loss(numpy.array([[5.0, -5.0]]), numpy.full((1, 2), numpy.nan))
    assert not gradient.any()
    targets = SHARES[numpy.full((4, 1), UNKNOWN)]
    loss, gradient = span_loss(numpy.ones((4, 1, 3)), targets, pair_weights(targets, [4]))
    assert loss == 0 and not gradient.any()


def test_span_gradient_is_torchs():
    logits = numpy.random.default_rng(0).normal(size=(4, 1, 3))
    targets = numpy.array([[B], [I], [UNKNOWN], [O]])
    weights = pair_weights(SHARES[targets], [4])
    loss, gradient = span_loss(logits, SHARES[targets], weights)
    known = torch.tensor(logits, requires_grad=True)
    rows = functional.cross_entropy(known[:, 0], torch.tensor(targets[:, 0]), ignore_index=UNKNOWN, reduction="none")
    expected = (rows * torch.tensor(weights[:, 0])).sum()
    expected.backward()
    assert loss == pytest.approx(expected.item())
    assert gradient == pytest.approx(known.grad.numpy(), abs=1e-6)


def test_scores_that_are_to_be_said_again_are_what_the_gradient_leads_to():
    logits, wanted = numpy.array([[[0.2, 1.0, -1.0]]]), numpy.array([[[0.5, 0.2, 0.3]]])
    for _ in range(200):
        loss, gradient = span_loss(logits, wanted, pair_weights(wanted, [1]))
        logits = logits - 2.0 * gradient
    assert softmax(logits) == pytest.approx(wanted, abs=1e-3)
    assert loss == pytest.approx(-(wanted * numpy.log(wanted)).sum(), abs=1e-3)
    loss, gradient = label_loss(numpy.array([[0.0]]), numpy.array([[0.5]]))
    assert loss == pytest.approx(numpy.log(2)) and not gradient.any()


@pytest.mark.parametrize(
    ("spans", "unknown", "expected"),
    [
        ([(1, 3)], [], [O, B, I, O]),
        ([(0, 1), (1, 2)], [], [B, B, O, O]),
        ([], [(2, 4)], [O, O, UNKNOWN, UNKNOWN]),  # an answer that fits no token boundary is not "false"
        ([(0, 4), (1, 2)], [], [B, I, I, I]),  # of nested answers the longest
        ([(0, 2), (1, 3)], [], [B, I, UNKNOWN, O]),
        ([(0, 2)], [(1, 4)], [B, I, UNKNOWN, UNKNOWN]),
    ],
)
def test_targets(spans, unknown, expected):
    assert span_targets(4, spans, unknown).tolist() == expected


def test_a_long_text_counts_by_the_root_of_its_length():
    weights = pair_weights(SHARES[[[O]] * 20], [4, 16])
    assert (weights[:4].sum(), weights[4:].sum()) == pytest.approx((1.0, 2.0))


def test_a_rare_yes_counts_more_than_each_of_many_nos():
    _, gradient = label_loss(
        numpy.zeros((5, 2)), numpy.array([[1.0, 1.0], [0, 1], [0, 0], [0, 0], [0, 1]], dtype=float)
    )
    assert gradient[:, 0] == pytest.approx(numpy.array([-2, 1, 1, 1, 1]) * 0.5 / 10)
    assert gradient[:, 1] == pytest.approx(numpy.array([-1, -1, 1, 1, -1]) * 0.5 / 10)
