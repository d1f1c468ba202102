from __future__ import annotations

import numpy
import pytest
import spacy
from transformers import AutoTokenizer

from spacy_falconer.metamodel.pretrain.read import TextReader
from spacy_falconer.metamodel.pretrain.score import (
    Found,
    average_scores,
    compute_f,
    find_spans,
    keep_best,
    read_held_out,
    word_held_out,
)


def test_a_span_is_found_with_the_probability_of_exactly_it(encoder_folder):
    tokenizer = AutoTokenizer.from_pretrained(encoder_folder)
    reading = TextReader(spacy.blank("en"), tokenizer).read("Kate paid nine dollars")
    scores = numpy.zeros((4, 2, 3))
    scores[..., 2] = 1.0
    scores[0, 0] = [0.9, 0.0, 0.1]
    scores[2, 1] = [0.7, 0.1, 0.2]
    scores[3, 1] = [0.1, 0.8, 0.1]
    found = find_spans(scores, reading, ["person", "money"])
    assert [(span.start, span.end, span.label) for span in found] == [(0, 4, "person"), (10, 22, "money")]
    assert [round(span.score, 2) for span in found] == [0.9, 0.7]


def test_of_spans_that_overlap_the_best_is_kept():
    spans = [Found(0, 4, "a", 0.6), Found(2, 8, "b", 0.9), Found(8, 9, "a", 0.5)]
    assert keep_best(spans) == [spans[1], spans[2]]


@pytest.mark.parametrize(
    ("counts", "expected"), [((1, 2, 2), 0.5), ((0, 0, 0), 0.0), ((0, 3, 0), 0.0), ((2, 2, 2), 1.0)]
)
def test_f_counts_right_found_and_wanted(counts, expected):
    assert compute_f(*counts) == expected


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("sms_spam", "spam", "an unsolicited message"),
        ("banking77", "card_arrival", "The customer asks about card arrival."),
        ("snips_intent", "GetWeather", "The user wants to get weather."),
        ("mams_categories", "food:negative", "The text speaks negatively about the food."),
        ("crossner_science", "academicjournal", "academicjournal"),
    ],
)
def test_held_out_labels_are_put_as_instructions(name, label, expected):
    assert word_held_out({"sms_spam": {"spam": "an unsolicited message"}}, name, label) == expected


def test_each_kind_of_set_counts_alike_in_the_mean():
    scores = {"crossner_politics_f": 0.2, "crossner_science_f": 0.4, "sms_spam_acc": 0.5, "sms_spam_f": 0.0}
    assert average_scores(scores) == pytest.approx({"spans": 0.3, "labels": 0.5, "mean": 0.4})


def test_a_sample_is_of_the_split_and_the_same_each_time(data_folder):
    first, second = (read_held_out(data_folder, ["banking77"], split="dev", n_texts=2, seed=0) for _ in range(2))
    assert first == second
    assert len(first[0].rows) == 2
    assert list(first[0].instructions) == ["ham:negative", "spam:positive"]
