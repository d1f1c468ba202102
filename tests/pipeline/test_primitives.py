"""The paper's two functions give what the pipeline gives."""

from __future__ import annotations

import itertools

import pytest

from spacy_falconer import get_label, get_span
from spacy_falconer.errors import ModelError
from spacy_falconer.pipeline.primitives import _load_default

TEXTS = ["I paid 25 dollars and love it", "", "It broke.", "the price is nice " * 20]


@pytest.mark.parametrize("instruction", ["positive", "The reviewer is satisfied."])
def test_get_label_is_the_component(nlp, instruction):
    expected = [doc.cats["positive"] >= 0.5 for doc in nlp.pipe(TEXTS)]
    assert list(get_label(TEXTS, instruction, nlp)) == expected


def test_get_span_is_the_component(make_nlp):
    nlp = make_nlp(threshold=0.06)
    for text, spans, doc in zip(TEXTS, get_span(TEXTS, "Amounts of money.", nlp), nlp.pipe(TEXTS), strict=True):
        expected = [span for span in doc.spans["sc"] if span.label_ == "price"]
        assert [(one.start, one.end) for one in spans] == [(one.start_char, one.end_char) for one in expected]
        assert [text[one.start : one.end] for one in spans] == [one.text for one in spans]


def test_a_new_instruction_leaves_the_pipeline_as_it_was(nlp):
    assert len(list(get_label(TEXTS, "It was a gift.", nlp))) == len(TEXTS)
    assert nlp.get_pipe("falconer_label").labels == ("positive", "defect")


def test_texts_are_read_lazily(nlp):
    endless = ("I love it" for _ in itertools.count())
    assert len(list(itertools.islice(get_label(endless, "positive", nlp), 3))) == 3


def test_without_a_pipeline_the_pre_trained_one_answers():
    assert list(
        get_label(["I love it, it is wonderful!", "It broke at once, I am angry."], "The writer is happy.")
    ) == [True, False]
    assert [[span.text for span in spans] for spans in get_span(["Paid $25 for it."], "Amounts of money.")] == [["$25"]]


def test_no_pipeline_at_hand(monkeypatch):
    monkeypatch.setattr("spacy_falconer.pipeline.source.BASE", "en_falconer_none")
    _load_default.cache_clear()
    with pytest.raises(ModelError, match="en_falconer_none.*--source"):
        next(get_label(TEXTS, "positive"))
