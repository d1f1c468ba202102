"""The paper's two functions give what the pipeline gives."""

from __future__ import annotations

import itertools
import warnings

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


@pytest.mark.parametrize("instruction", ["", " ", 5, None])
def test_an_instruction_has_words(nlp, instruction):
    for ask in (get_label, get_span):
        with pytest.raises(ModelError, match="The instruction is .*; expected a statement or request in words"):
            next(ask(["I love it"], instruction, nlp))


def test_a_text_that_is_none(nlp):
    with pytest.raises(ModelError, match="One of the texts is None. Expected strings"):
        next(get_label(["I love it", None], "positive", nlp))


def test_one_text_is_not_taken_for_many(nlp):
    with pytest.raises(ModelError, match=r"texts are one string, 'I love it'.*\[text\]"):
        next(get_label("I love it", "positive", nlp))
    with pytest.raises(ModelError, match="texts are one string"):
        next(get_span("I love it", "price", nlp))


def test_a_new_instruction_leaves_the_pipeline_as_it_was(nlp):
    assert len(list(get_label(TEXTS, "It was a gift.", nlp))) == len(TEXTS)
    assert nlp.get_pipe("falconer_label").labels == ("positive", "defect")


@pytest.mark.parametrize(
    ("function", "word", "meant"),
    [
        (get_label, "postive", r"get_label\(texts, 'positive'\)"),
        (get_label, "Defects", r"get_label\(texts, 'defect'\)"),
        (get_span, "prices", r"get_span\(texts, 'price'\)"),
        (get_label, "price", r"get_span\(texts, 'price'\)"),
    ],
)
def test_a_misspelt_key_is_answered_but_not_in_silence(function, word, meant, nlp):
    with pytest.warns(UserWarning, match=f"not trained on '{word}'.*Did you mean {meant}") as caught:
        assert len(list(function(TEXTS, word, nlp))) == len(TEXTS)
    assert len(caught) == 1 and caught[0].filename == __file__


@pytest.mark.parametrize("instruction", ["positive", "It was a gift.", "Prices.", "colour", "the price"])
def test_keys_and_new_instructions_are_answered_without_a_word(instruction, nlp):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert len(list(get_label(TEXTS, instruction, nlp))) == len(TEXTS)


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
