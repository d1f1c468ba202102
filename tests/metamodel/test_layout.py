"""All texts of a batch at once say what each says alone."""

from __future__ import annotations

import numpy
import pytest
import spacy
import torch

from spacy_falconer.metamodel import architectures
from spacy_falconer.metamodel.layout import batch_windows

TEXTS = [
    "i paid 5 dollars for it and love it", "", "it broke", "the price is nice and good. " * 25, "a",
    "bad\n\ncost of 9 dollars 🙂 ok ", "  ", "i love this " * 60, "nice price",
]  # fmt: skip


@pytest.fixture
def eager(make_nlp):
    """Thresholds at which even random weights find something."""
    return make_nlp(threshold=0.06)


def answers(nlp, texts, **options):
    """By text: its cats, its spans, their scores."""
    found = {}
    for doc in nlp.pipe(texts, **options):
        group = doc.spans["sc"]
        places = [(span.start_char, span.end_char, span.label_) for span in group]
        found[doc.text] = list(doc.cats.values()), places, list(group.attrs["scores"])
    return found


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for text, (cats, places, scores) in expected.items():
        assert found[text][1] == places
        assert found[text][0] == pytest.approx(cats, abs=1e-4) and found[text][2] == pytest.approx(scores, abs=1e-4)
    assert any(places for _, places, _ in expected.values())


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_equal_in_any_batch_and_order(eager, batch_size):
    expected = answers(eager, TEXTS)
    assert_same(answers(eager, TEXTS, batch_size=batch_size), expected)
    assert_same(answers(eager, TEXTS[::-1], batch_size=batch_size), expected)


@pytest.mark.parametrize("most", [1, 2000])
def test_equal_however_few_units_are_met_at_once(eager, monkeypatch, most):
    expected = answers(eager, TEXTS)
    monkeypatch.setattr(architectures, "MET_AT_ONCE", most)
    assert_same(answers(eager, TEXTS), expected)


def test_equal_on_several_processes(eager):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = answers(eager, TEXTS)
        assert_same(answers(eager, TEXTS, n_process=2, batch_size=3), expected)
    finally:
        torch.set_num_threads(before)


def test_equal_to_what_the_listener_makes_of_the_pieces(eager):
    docs = list(eager.pipe(TEXTS))
    tok2vec = eager.get_pipe("falconer_label").model.get_ref("tok2vec")
    for doc, vectors in zip(docs, tok2vec.predict(docs), strict=True):
        if len(doc):
            assert doc._.trf_data.token_vectors == pytest.approx(vectors, abs=1e-5)


def test_docs_keep_what_the_encoder_said_when_they_are_saved(eager):
    doc = eager(TEXTS[3])
    again = spacy.tokens.Doc(eager.vocab).from_bytes(doc.to_bytes())
    again.cats = {}
    eager.get_pipe("falconer_label").set_annotations([again], eager.get_pipe("falconer_label").predict([again]))
    assert list(again.cats.values()) == pytest.approx(list(doc.cats.values()), abs=1e-4)


def test_windows_of_like_length_are_read_together():
    batches = [batch.tolist() for batch in batch_windows(numpy.array([3, 9, 40, 9, 2]), 20)]
    assert batches == [[2], [1, 3], [0, 4]]
