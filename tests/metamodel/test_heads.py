from __future__ import annotations

import pytest
import torch

from spacy_falconer.metamodel.heads import Instructed, LabelHead, SpanHead, pool_segments


@pytest.fixture(params=[LabelHead, SpanHead])
def head(request):
    torch.manual_seed(0)
    return request.param(width=16, hidden_width=8, dropout=0.0).eval()


def test_pooling_is_a_softmax_mean_within_each_text():
    attention, values = torch.randn(5, 2), torch.randn(5, 2)
    pooled = pool_segments(attention, values, torch.tensor([2, 0, 3]))
    for row, part in ((0, slice(0, 2)), (2, slice(2, 5))):
        expected = (attention[part].softmax(dim=0) * values[part]).sum(dim=0)
        assert torch.allclose(pooled[row], expected, atol=1e-6)
    assert pooled[1].tolist() == [0.0, 0.0]


def test_instructions_do_not_change_each_others_answers(head):
    tokens, lengths, instructions = torch.randn(6, 16), torch.tensor([4, 2]), torch.randn(3, 16)
    together = head(tokens, lengths, instructions)
    for k in range(3):
        assert torch.allclose(together[:, k], head(tokens, lengths, instructions[k : k + 1])[:, 0], atol=1e-6)


def test_no_instructions_send_a_zero_gradient(head):
    tokens = torch.randn(3, 16, requires_grad=True)
    out = Instructed(head, torch.zeros(0, 16))(tokens, torch.tensor([3]))
    out.sum().backward()
    assert out.shape[1] == 0 and not tokens.grad.any()


def test_both_heads_together_are_small():
    heads = [kind(width=384, hidden_width=192, dropout=0.1) for kind in (LabelHead, SpanHead)]
    assert sum(parameter.numel() for head in heads for parameter in head.parameters()) <= 800_000
