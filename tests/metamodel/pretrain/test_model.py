from __future__ import annotations

import pytest
import spacy
import torch

from spacy_falconer.metamodel.pretrain.checkpoint import read_model
from spacy_falconer.metamodel.pretrain.collate import collate
from spacy_falconer.metamodel.pretrain.draw import Example
from spacy_falconer.metamodel.pretrain.model import average, compute_losses, measure_labels
from spacy_falconer.metamodel.pretrain.read import TextReader

EXAMPLES = [
    Example("Kate paid nine dollars.", "a", {"people": ((0, 4),), "money": ((10, 22),)}, {"It is good.": True}),
    Example("nice", "a", {"money": ()}),
    Example("the price is good and it works and works and works", "a", {}, {"It is bad.": False}),
]


@pytest.fixture(scope="module")
def parts(encoder_folder):
    torch.manual_seed(0)
    model, tokenizer = read_model(encoder_folder, hidden_width=8, dropout=0.0)
    return model, TextReader(spacy.blank("en"), tokenizer)


def test_a_text_is_answered_alike_alone_and_beside_others(parts):
    model, reader = parts
    together = model(collate(EXAMPLES, reader))
    alone = [model(collate([example], reader)) for example in EXAMPLES]
    for kind in ("spans", "labels"):
        joined = torch.cat([getattr(answers, kind) for answers in alone])
        assert torch.allclose(getattr(together, kind), joined, atol=0.02)  # The encoder computes in bfloat16.


def test_pairs_are_answered_as_the_heads_answer_all_instructions(parts):
    """What is pre-trained is what the pipeline's components compute."""
    model, reader = parts
    batch = collate(EXAMPLES, reader)
    tokens, means = model.encode(batch.texts), model.read_means(batch.instructions)
    spans = model.span(tokens, batch.texts.lengths, means)[batch.spans.token, batch.spans.instruction[batch.spans.pair]]
    labels = model.label(tokens, batch.texts.lengths, means)[batch.labels.text, batch.labels.instruction]
    answers = model(batch)
    assert torch.allclose(answers.spans, spans, atol=1e-5) and torch.allclose(answers.labels, labels, atol=1e-5)


@pytest.mark.parametrize("kept", [["spans"], ["labels"], ["spans", "labels"]])
def test_every_part_learns_from_what_was_asked(parts, kept):
    model, reader = parts
    chosen = [Example(e.text, "a", **{kind: getattr(e, kind) for kind in kept}) for e in EXAMPLES]
    chosen = [example for example in chosen if example.spans or example.labels]
    losses = compute_losses(model, collate(chosen, reader))
    model.zero_grad()
    (losses.spans + losses.labels).backward()
    moved = {name for name, value in model.named_parameters() if value.grad is not None and value.grad.abs().sum() > 0}
    assert any(name.startswith("encoder.") for name in moved)
    for head, kind in (("span", "spans"), ("label", "labels")):
        assert any(name.startswith(f"{head}.") for name in moved) is (kind in kept)


def test_the_mean_of_no_rows_is_zero():
    values = torch.tensor([[1.0], [3.0], [5.0]])
    assert average(values, torch.tensor([0, 0, 2]), 3).tolist() == [[2.0], [0.0], [5.0]]


def test_drift_is_none_from_itself_and_pulls_back_to_the_teacher(parts, encoder_folder):
    model, reader = parts
    batch = collate(EXAMPLES, reader)
    assert compute_losses(model, batch, model).drift.item() == pytest.approx(0, abs=1e-3)
    moved, _ = read_model(encoder_folder, hidden_width=8, dropout=0.0)
    with torch.no_grad():
        for weights in moved.encoder.parameters():
            weights += 0.2 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(moved.encoder.parameters(), lr=1e-2)
    drifts = []
    for _ in range(5):
        drift = compute_losses(moved, batch, model).drift
        optimizer.zero_grad()
        drift.backward()
        optimizer.step()
        drifts.append(drift.item())
    assert drifts[0] > 0.01 and drifts[-1] < drifts[0]


def test_an_instruction_that_holds_costs_more_behind_one_that_does_not():
    one = torch.tensor([0, 0])
    ahead, behind = (
        measure_labels(torch.tensor([1.0, other]), torch.tensor([1.0, 0.0]), one, 1) for other in (-3.0, 0.5)
    )
    assert behind[0] > ahead[0]
    alone = measure_labels(torch.tensor([1.0, 0.5]), torch.tensor([1.0, 1.0]), one, 1)
    assert alone[0].item() == pytest.approx(torch.nn.functional.softplus(torch.tensor(-1.0)).item())
    beside = measure_labels(torch.tensor([1.0, 0.5]), torch.tensor([1.0, 0.0]), torch.tensor([0, 1]), 2)
    assert beside[0].item() == pytest.approx(alone[0].item())  # Those of another text do not count.


def test_a_logit_that_is_sure_costs_no_infinity():
    losses = measure_labels(torch.tensor([200.0, -200.0]), torch.tensor([0.0, 1.0]), torch.tensor([0, 0]), 1)
    assert losses.tolist() == pytest.approx([200.0, 200.0 + 0.5 * 400.0])
