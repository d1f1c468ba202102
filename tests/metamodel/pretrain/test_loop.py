from __future__ import annotations

import itertools
import json

import pytest
import torch
from torch import nn

from spacy_falconer.errors import ModelError
from spacy_falconer.metamodel.pretrain.checkpoint import find_checkpoint, read_checkpoint
from spacy_falconer.metamodel.pretrain.loop import compute_factor, pretrain, start_model


def stop_after(n_calls):
    """A clock that stops the run: it raises at its next call."""
    yield from range(n_calls)
    raise KeyboardInterrupt


def same_weights(folder, other):
    first, second = (read_checkpoint(path)[0].state_dict() for path in (folder, other))
    return all(torch.equal(value, second[name]) for name, value in first.items())


def read_log(settings):
    return [json.loads(line) for line in (settings.output / "log.jsonl").read_text().splitlines()]


def test_one_seed_gives_one_model(make_settings):
    first, second, third = (pretrain(make_settings(name, seed=seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert same_weights(first, second)
    assert not same_weights(first, third)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # More workers than processors.
def test_workers_draw_what_the_run_itself_would(make_settings):
    alone, beside = (pretrain(make_settings(name, n_workers=n)) for name, n in (("alone", 0), ("beside", 2)))
    assert same_weights(alone, beside)


def test_a_run_that_was_stopped_goes_on_as_if_it_was_not(make_settings):
    whole = pretrain(make_settings("whole", max_steps=9))
    stopped = make_settings("stopped", max_steps=9, minutes_per_checkpoint=1e-6)
    with pytest.raises(KeyboardInterrupt):
        pretrain(stopped, clock=stop_after(8).__next__)
    assert find_checkpoint(stopped.output / "last")
    assert same_weights(whole, pretrain(stopped))
    assert read_log(stopped)[-1]["step"] == 9


def test_a_run_from_a_checkpoint_has_its_own_dropout(make_settings):
    first = pretrain(make_settings("first", max_steps=1))
    model, _ = start_model(make_settings("second", start=first, encoder_dropout=0.3))
    layers = [layer for layer in model.encoder.modules() if isinstance(layer, nn.Dropout)]
    assert layers and {layer.p for layer in layers} == {0.3}


def test_cudnn_attention_which_is_slow_for_every_new_shape_is_left_out(make_settings):
    torch.backends.cuda.enable_cudnn_sdp(True)
    pretrain(make_settings(max_steps=1))
    assert not torch.backends.cuda.cudnn_sdp_enabled()


def test_a_budget_of_minutes_ends_the_run(make_settings):
    settings = make_settings(max_steps=None, minutes=0.1)
    pretrain(settings, clock=itertools.count().__next__)  # Each step takes one second of six.
    assert read_log(settings)[-1]["step"] == 6


def test_a_run_scores_zero_shot_and_keeps_the_best(make_settings):
    settings = make_settings(n_score_texts=2)
    pretrain(settings)
    scores = read_log(settings)[-1]
    assert {"crossner_politics_f", "banking77_acc", "spans", "labels", "mean"} <= scores.keys()
    record = json.loads((settings.output / "best" / "settings.json").read_text())
    assert round(record["scores"]["mean"], 4) == scores["mean"]
    assert not {"data", "output", "encoder"} & record.keys()


def test_a_run_goes_on_only_under_its_own_settings(make_settings):
    pretrain(make_settings(max_steps=1))
    with pytest.raises(ModelError, match="seed = 0, now it is 1"):
        pretrain(make_settings(max_steps=1, seed=1))


@pytest.mark.parametrize("budget", [{"minutes": 0}, {"max_steps": 0}])
def test_a_budget_of_nothing_is_refused(make_settings, budget):
    with pytest.raises(ModelError, match="trains nothing"):
        make_settings(**budget)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.02), (0.05, 0.5), (0.1, 1.0), (0.55, 0.505), (1.0, 0.01)])
def test_the_rate_rises_and_falls(share, expected):
    assert compute_factor(share, 0.1) == pytest.approx(expected)
