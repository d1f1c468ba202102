"""The mean of several models' weights."""

from __future__ import annotations

import numpy
import pytest
import torch
from thinc.api import Linear, Model, PyTorchWrapper, chain

from spacy_falconer.metamodel.average import average_models


def make_model(seed: int) -> Model:
    torch.manual_seed(seed)
    model = chain(PyTorchWrapper(torch.nn.Linear(3, 2)), Linear(1, 2))
    model.layers[1].set_param("W", numpy.full((1, 2), float(seed), dtype="float32"))
    model.layers[1].set_param("b", numpy.zeros(1, dtype="float32"))
    return model


def test_the_first_has_the_mean_of_all_weights():
    models, rows = [make_model(seed) for seed in (1, 2, 3)], numpy.ones((4, 3), dtype="float32")
    first = numpy.mean([model.layers[0].predict(rows) for model in models], axis=0)
    others = [model.predict(rows) for model in models[1:]]
    average_models(models)
    assert models[0].layers[0].predict(rows) == pytest.approx(first, abs=1e-6)
    assert models[0].layers[1].get_param("W").tolist() == [[2.0, 2.0]]
    assert all((model.predict(rows) == before).all() for model, before in zip(models[1:], others, strict=True))


def test_one_may_count_more_than_another():
    models = [make_model(seed) for seed in (1, 2)]
    average_models(models, (0.75, 0.25))
    assert models[0].layers[1].get_param("W").tolist() == [[1.25, 1.25]]


def test_one_alone_stays_as_it_is():
    model, rows = make_model(1), numpy.ones((4, 3), dtype="float32")
    before = model.predict(rows)
    average_models([model])
    assert (model.predict(rows) == before).all()
