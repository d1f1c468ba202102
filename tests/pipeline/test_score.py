from __future__ import annotations

import pytest
from spacy.training import Example

from spacy_falconer.pipeline.score import score_labels, score_spans
from spacy_falconer.pipeline.span import example_targets

CFG = {"threshold": 0.5, "thresholds": {"defect": 0.9}}


@pytest.fixture
def example(nlp, answered, group_of):
    def make(cats, gold_cats, spans=(), gold=(), asked=("price", "praised"), **attrs):
        text = "I paid 25 dollars and love it"
        reference = answered(nlp, text, gold_cats, gold, asked=asked, **attrs)
        predicted = group_of(nlp.make_doc(text), spans)
        predicted.cats = cats
        return Example(predicted, reference)

    return make


def test_labels_that_were_not_asked_do_not_count(example):
    examples = [
        example({"positive": 0.9, "defect": 0.8}, {"positive": 1.0}),
        example({"positive": 0.2}, {"positive": 1.0}),
    ]
    found = score_labels(examples, labels=["positive", "defect"], **CFG)
    assert found["cats_f_per_type"]["positive"] == pytest.approx({"p": 1.0, "r": 0.5, "f": 2 / 3})
    assert found["cats_macro_f"] == pytest.approx(2 / 3)


def test_each_label_has_its_own_threshold(example):
    examples = [example({"positive": 0.8, "defect": 0.8}, {"positive": 1.0, "defect": 0.0})]
    assert score_labels(examples, labels=["positive", "defect"], **CFG)["cats_macro_f"] == 1.0


def test_spans_that_were_not_asked_do_not_count(example):
    found = [("price", 2, 4, 0.9), ("praised", 5, 6, 0.9)]
    examples = [example({}, {}, found, [("price", "25 dollars")], asked=["price"])]
    scores = score_spans(examples, labels=["price", "praised"], spans_key="sc", **CFG)
    assert (scores["spans_sc_f"], scores["spans_sc_macro_f"]) == pytest.approx((1.0, 1.0))


def test_where_nothing_says_what_was_asked_everything_was(example):
    """As in span data of anyone: a text without spans says that there are none."""
    examples = [example({}, {}, [("price", 2, 4, 0.9), ("praised", 5, 6, 0.9)], [("price", "25 dollars")])]
    examples.append(example({}, {}, [("price", 2, 4, 0.9)]))
    for eg in examples:
        del eg.reference.spans["sc"].attrs["asked"]
    scores = score_spans(examples, labels=["price", "praised"], spans_key="sc", **CFG)
    assert scores["spans_sc_per_type"]["price"] == pytest.approx({"p": 0.5, "r": 1.0, "f": 2 / 3})
    assert scores["spans_sc_per_type"]["praised"]["p"] == 0.0
    for eg in examples:
        assert example_targets(eg, ["price", "praised"], "sc").sum(axis=-1).all()
        del eg.reference.spans["sc"]
        assert not example_targets(eg, ["price", "praised"], "sc").any()


@pytest.mark.parametrize("miss", [{"missed": {"price": [[7, 8]]}}, {"unplaced": {"price": 1}}])
def test_answers_that_no_span_can_match_are_misses(example, miss):
    examples = [example({}, {}, [("price", 2, 4, 0.9)], [("price", "25 dollars")], **miss)]
    scores = score_spans(examples, labels=["price"], spans_key="sc", **CFG)
    assert scores["spans_sc_per_type"]["price"] == pytest.approx({"p": 1.0, "r": 0.5, "f": 2 / 3})


def test_nothing_asked_gives_no_score(example):
    assert score_labels([example({}, {})], labels=["positive"], **CFG)["cats_macro_f"] is None


def test_a_text_counts_by_its_weight(example):
    examples = [example({"positive": 0.9}, {"positive": 1.0}), example({"positive": 0.9}, {"positive": 0.0})]
    for eg, weight in zip(examples, (3.0, 1.0), strict=True):
        eg.reference.user_data["weight"] = weight
    found = score_labels(examples, labels=["positive"], **CFG)["cats_f_per_type"]["positive"]
    assert found == pytest.approx({"p": 0.75, "r": 1.0, "f": 6 / 7})
    del examples[0].reference.user_data["weight"]
    assert score_labels(examples, labels=["positive"], **CFG)["cats_p"] == pytest.approx(0.5)
