"""How many texts are read at once, and by how many processes."""

from __future__ import annotations

import pytest
import torch

from spacy_falconer.errors import ModelError
from spacy_falconer.workflow.mining import reading


@pytest.fixture
def on_a_gpu(monkeypatch):
    monkeypatch.setattr("spacy_falconer.metamodel.device.get_torch_default_device", lambda: torch.device("cuda"))


@pytest.fixture
def sizes(nlp, monkeypatch):
    """The sizes of the batches in which chunks of texts are read."""
    nlp.add_pipe("falconer_plan")
    seen, pipe = [], type(nlp).pipe
    monkeypatch.setattr(
        type(nlp),
        "pipe",
        lambda self, texts, **options: seen.append(options["batch_size"]) or pipe(self, texts, **options),
    )
    return seen


def read(nlp, texts, **settings):
    with reading.open_reader(nlp, **{"n_process": 1, "batch_size": 64, **settings}) as read_chunks:
        return list(read_chunks([texts]))


def test_several_processes_are_refused_on_a_gpu(nlp, on_a_gpu):
    with pytest.raises(ModelError, match="2 processes were to read on a GPU.*Leave --n-process out, or --gpu-id"):
        read(nlp, ["it broke"], n_process=2)


def test_a_gpu_reads_more_texts_at_once(nlp, sizes, on_a_gpu):
    read(nlp, ["it broke"] * 3)
    read(nlp, ["it broke"] * 3, batch_size=2)
    read(nlp, ["it broke" + " " * (2**17 - 8)])
    assert sizes == [128, 4, 1]
    assert nlp.get_pipe("transformer").cfg["max_batch_items"] == 4096


def test_the_cpu_reads_as_many_as_it_is_told_and_fewer_long_ones(nlp, sizes):
    read(nlp, ["it broke"] * 3)
    read(nlp, ["it broke " * 3000])
    assert sizes == [64, 9]


def test_few_texts_are_read_by_all_processes_and_come_back_in_order(monkeypatch):
    """Texts of one chunk are shared: longer ones, which cost more, in smaller parts."""
    monkeypatch.setattr(reading, "MIN_CHARACTERS", 10)
    monkeypatch.setattr(reading, "_read", lambda texts: [reading.Reading(failure=text) for text in texts])
    taken = []

    class Pool:
        def map(self, read, pieces):
            taken.extend(map(len, pieces))
            return map(read, pieces)

    texts = [f"{i} " + "word " * (40 - i) for i in range(40)]
    said = list(reading._read_among(Pool(), 2, [texts[:25], texts[25:]]))
    assert [one.failure for chunk in said for one in chunk] == texts and list(map(len, said)) == [25, 15]
    assert len(taken) >= 12 and taken[0] < taken[-1]
