"""Less exact inside of the block, and as before outside of it and on disk."""

from __future__ import annotations

import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import pytest
import spacy
import torch
from spacy.training import Example
from transformers import PretrainedConfig

from spacy_falconer.errors import ModelError
from spacy_falconer.metamodel import architectures
from spacy_falconer.metamodel.accelerate import (
    PRECISIONS,
    accelerate,
    choose_precision,
    heads_in_bf16,
    large_batches,
    list_candidates,
    pad_to_step,
    read_as_trained,
)
from spacy_falconer.metamodel.read import PIECES_ON_CPU, PIECES_ON_GPU, pieces_at_once

TEXTS = ["i paid 5 dollars and love it", "", "the bad price broke. " * 30, "it is nice"]
needs_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="the extra is not installed")
LESS_EXACT = ["bf16", "int8", pytest.param("compiled", marks=needs_openvino)]


def read(nlp):
    return numpy.array([list(doc.cats.values()) for doc in nlp.pipe(TEXTS)])


def vectors(nlp):
    with nlp.select_pipes(enable="transformer"):
        return nlp(TEXTS[0])._.trf_data.token_vectors


@pytest.mark.parametrize("precision", LESS_EXACT)
def test_it_says_nearly_the_same_and_not_the_very_same(nlp, precision):
    exact = vectors(nlp)
    with accelerate(nlp, precision) as chosen:
        fast = vectors(nlp)
    assert chosen == precision
    cosines = (exact * fast).sum(1) / numpy.linalg.norm(exact, axis=1) / numpy.linalg.norm(fast, axis=1)
    assert cosines.min() > 0.99
    if precision != "compiled":  # In float32, where the processor has no bfloat16.
        assert not numpy.array_equal(fast, exact)


@pytest.mark.parametrize("precision", LESS_EXACT)
def test_outside_of_the_block_it_is_as_before(nlp, precision):
    before = read(nlp)
    with pytest.raises(ZeroDivisionError), accelerate(nlp, precision):
        read(nlp)
        1 / 0  # noqa: B018
    assert numpy.array_equal(read(nlp), before)


@pytest.mark.parametrize("precision", LESS_EXACT)
def test_what_is_saved_inside_of_the_block_is_exact(nlp, precision, tmp_path):
    before = read(nlp)
    with accelerate(nlp, precision):
        nlp.to_disk(tmp_path)
    assert read(spacy.load(tmp_path)) == pytest.approx(before, abs=1e-6)


@needs_openvino
def test_what_is_padded_for_openvino_does_not_change_what_is_read(nlp):
    exact = vectors(nlp)
    with accelerate(nlp, "compiled"):
        alone = vectors(nlp)
        docs = list(nlp.pipe(TEXTS))
    assert len(alone) == len(exact) == len(docs[0])
    assert docs[0]._.trf_data.token_vectors == pytest.approx(alone, abs=0.02)


@needs_openvino
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux tells it so")
def test_no_thread_is_held_to_a_core_that_other_processes_may_use(nlp):
    free, seen = os.sched_getaffinity(0), set()
    with accelerate(nlp, "compiled"), ThreadPoolExecutor(1) as others:
        reading = others.submit(lambda: [read(nlp) for _ in range(20)])
        while not reading.done():
            seen |= {frozenset(os.sched_getaffinity(int(task.name))) for task in Path("/proc/self/task").iterdir()}
    assert seen == {frozenset(free)}


@pytest.mark.parametrize(
    ("n_pieces", "most", "padded"), [(9, 512, 16), (16, 512, 16), (45, 50, 48), (49, 50, 50), (52, 50, 52)]
)
def test_windows_are_padded_within_the_encoders_positions(n_pieces, most, padded):
    ids, mask = torch.full((2, n_pieces), 5), torch.ones(2, n_pieces)
    longer, shown = pad_to_step(ids, mask, PretrainedConfig(pad_token_id=1, max_position_embeddings=most))
    assert longer.shape == shown.shape == (2, padded)
    assert torch.equal(longer[:, :n_pieces], ids) and torch.equal(shown[:, :n_pieces], mask)
    assert (longer[:, n_pieces:] == 1).all() and not shown[:, n_pieces:].any()


def test_an_accelerated_pipeline_is_not_trained(nlp, answered):
    example = Example(nlp.make_doc("it broke"), answered(nlp, "it broke", {"positive": 0.0}, []))
    with accelerate(nlp, "bf16"), pytest.raises(ModelError, match="outside of `accelerate`"):
        nlp.update([example])
    nlp.update([example])


@pytest.mark.parametrize("mixed", [True, False])
def test_what_trains_in_bfloat16_reads_in_it_while_it_trains(nlp, answered, monkeypatch, mixed):
    monkeypatch.setattr("spacy_falconer.metamodel.encoder.has_bf16", lambda: True)
    nlp.get_pipe("transformer").model.attrs["train_in_bf16"] = mixed
    exact = vectors(nlp)
    with accelerate(nlp, "bf16"):
        less = vectors(nlp)
    with read_as_trained(nlp):
        assert numpy.array_equal(vectors(nlp), less if mixed else exact)
        nlp.update([Example(nlp.make_doc("it broke"), answered(nlp, "it broke", {"positive": 0.0}, []))])
    assert numpy.array_equal(vectors(nlp), exact)


def test_heads_meet_in_bfloat16_for_as_long_as_the_block_lasts(nlp, monkeypatch):
    monkeypatch.setattr("spacy_falconer.metamodel.accelerate.has_bf16", lambda: True)
    with accelerate(nlp, "fp32"):
        exact = read(nlp)
    with heads_in_bf16(nlp, wanted=True):
        less = read(nlp)
    assert not numpy.array_equal(less, exact) and less == pytest.approx(exact, abs=0.02)
    with accelerate(nlp, "bf16"), heads_in_bf16(nlp, wanted=False):
        without = read(nlp)
    with accelerate(nlp, "bf16"):
        assert not numpy.array_equal(read(nlp), without)
    assert numpy.array_equal(read(nlp), exact)


def test_an_encoder_that_a_component_owns_is_accelerated_too(nlp):
    nlp.replace_listeners("transformer", "falconer_label", ["model.tok2vec"])
    before = read(nlp)
    with accelerate(nlp, "bf16"):
        assert not numpy.array_equal(read(nlp), before)


def test_auto_is_one_of_the_precisions_and_says_what_float32_says(nlp):
    before = read(nlp)
    with accelerate(nlp) as chosen:
        assert chosen in PRECISIONS[1:]
        assert read(nlp) == pytest.approx(before, abs=0.02)


def test_auto_leaves_alone_what_says_something_else(nlp, monkeypatch):
    monkeypatch.setattr("spacy_falconer.metamodel.accelerate.list_candidates", lambda device: ["fp32", "int8"])
    wrong = lambda encoder: lambda ids, mask: -encoder(input_ids=ids).last_hidden_state  # noqa: E731
    monkeypatch.setattr("spacy_falconer.metamodel.accelerate.read_in_int8", wrong)
    assert choose_precision(nlp) == "fp32"


def test_what_cannot_be_is_refused(nlp, monkeypatch):
    with pytest.raises(ModelError, match="no precision 'fp8'.*bf16"), accelerate(nlp, "fp8"):
        pass
    with pytest.raises(ModelError, match="no encoder"), accelerate(spacy.blank("en"), "bf16"):
        pass
    monkeypatch.setattr("spacy_falconer.metamodel.accelerate.has_openvino", lambda: False)
    with pytest.raises(ModelError, match="pip install"), accelerate(nlp, "compiled"):
        pass


@pytest.fixture
def on_a_gpu(monkeypatch):
    """Code that asks where it computes is told so; all stays on the CPU."""
    monkeypatch.setattr("spacy_falconer.metamodel.device.get_torch_default_device", lambda: torch.device("cuda"))


@pytest.mark.parametrize("precision", ["int8", "compiled"])
def test_what_is_for_the_cpu_alone_is_refused_on_a_gpu(nlp, on_a_gpu, precision):
    with pytest.raises(ModelError, match=f"'{precision}' is for the CPU.*'bf16' or 'auto'"), accelerate(nlp, precision):
        pass
    assert not {"int8", "compiled"} & set(list_candidates(torch.device("cuda")))


def test_on_a_gpu_texts_are_read_in_large_batches_for_as_long_as_the_block_lasts(nlp, on_a_gpu, monkeypatch):
    texts, read = [TEXTS[0]] * 900, []
    transformer = nlp.get_pipe("transformer")
    predict = transformer.predict
    monkeypatch.setattr(type(transformer), "predict", lambda self, docs: read.append(len(docs)) or predict(docs))
    for block in (large_batches(nlp), accelerate(nlp, "fp32")):
        with block, nlp.select_pipes(enable="transformer"):
            list(nlp.pipe(texts, batch_size=900))
        assert transformer.cfg["max_batch_items"] == 4096
    assert read == [900, 900]
    with nlp.select_pipes(enable="transformer"):
        list(nlp.pipe(texts, batch_size=900))
    assert len(read) > 3


def test_on_the_cpu_batches_stay_as_they_are(nlp):
    with large_batches(nlp):
        assert nlp.get_pipe("transformer").cfg["max_batch_items"] == 4096


def test_a_gpu_is_given_more_at_once():
    assert pieces_at_once(torch.device("cpu")) == PIECES_ON_CPU < PIECES_ON_GPU == pieces_at_once(torch.device("cuda"))
    cpu, gpu = (architectures.units_at_once(torch.device(name)) for name in ("cpu", "cuda"))
    assert cpu == architectures.MET_AT_ONCE < gpu
