from __future__ import annotations

import pytest
import spacy
import torch

from spacy_falconer.metamodel.pretrain.checkpoint import read_model
from spacy_falconer.metamodel.pretrain.collate import TextReader
from spacy_falconer.metamodel.pretrain.draw import Example
from spacy_falconer.metamodel.pretrain.model import average, compute_losses, measure_labels

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


def test_a_text_is_read_alike_alone_and_beside_others(parts):
    model, reader = parts
    together = answer(model, reader, EXAMPLES)
    for example, (_, spans, labels) in zip(EXAMPLES, together, strict=True):
        ((_, spans_alone, labels_alone),) = answer(model, reader, [example])
        assert torch.allclose(spans, spans_alone, atol=0.02)  # The encoder computes in bfloat16.
        assert torch.allclose(labels, labels_alone, atol=0.02)


def answer(model, reader, examples):
    batch = reader.collate(examples)
    return list(model.answer(batch, *model(batch)))


@pytest.mark.parametrize("kept", [["spans"], ["labels"], ["spans", "labels"]])
def test_every_part_learns_from_what_was_asked(parts, kept):
    model, reader = parts
    chosen = [Example(e.text, "a", **{kind: getattr(e, kind) for kind in kept}) for e in EXAMPLES]
    chosen = [example for example in chosen if example.spans or example.labels]
    losses = compute_losses(model, reader.collate(chosen))
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
    batch = reader.collate(EXAMPLES)
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
    ahead, behind = (measure_labels(torch.tensor([1.0, other]), torch.tensor([1.0, 0.0])) for other in (-3.0, 0.5))
    assert behind[0] > ahead[0]
    alone = measure_labels(torch.tensor([1.0, 0.5]), torch.tensor([1.0, 1.0]))
    assert alone[0].item() == pytest.approx(torch.nn.functional.softplus(torch.tensor(-1.0)).item())
