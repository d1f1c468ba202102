from __future__ import annotations

import numpy
import pytest

from spacy_falconer.metamodel.decode import decode_spans, softmax

B, I, O = (0.9, 0.05, 0.05), (0.05, 0.9, 0.05), (0.02, 0.03, 0.95)  # noqa: E741


def decode(columns, lengths):
    scores = numpy.array(columns).transpose(1, 0, 2)  # (n_tokens, K, 3)
    found = decode_spans(scores, lengths)
    return list(zip(found.instruction.tolist(), found.start.tolist(), found.end.tolist(), strict=True)), found.score


@pytest.mark.parametrize(
    ("tokens", "lengths", "expected"),
    [
        ([B, I, I, O], [4], [(0, 3)]),
        ([O, B, B, I], [4], [(1, 2), (2, 4)]),  # a new span right after another
        ([O, I, I, O], [4], []),  # nothing begins
        ([O, B, I], [3], [(1, 3)]),  # to the end of the text
        ([B, I, I, I], [2, 2], [(0, 2)]),  # not into the next text
        ([O, O], [1, 1], []),
    ],
)
def test_spans_begin_go_on_and_end(tokens, lengths, expected):
    found, _ = decode([tokens], lengths)
    assert [(start, end) for _, start, end in found] == expected


def test_instructions_are_decoded_apart():
    found, _ = decode([[O, O, B], [B, I, O]], [3])
    assert found == [(0, 2, 3), (1, 0, 2)]


def test_the_score_is_the_probability_of_the_exact_span():
    columns = numpy.array([[[0.8, 0.0, 0.2], [0.0, 0.6, 0.4], [0.0, 0.12, 0.88]]])
    _, score = decode(columns, [3])
    assert score == pytest.approx([0.8 * (0.6 / 0.8) * (1 - 0.12 / 0.6)])


def test_nothing_to_decode():
    assert decode_spans(numpy.zeros((0, 2, 3)), [0, 0]).start.tolist() == []
    assert decode_spans(numpy.zeros((3, 0, 3)), [3]).start.tolist() == []


def test_batches_decode_like_single_texts():
    random = numpy.random.default_rng(0)
    lengths = [0, 5, 1, 0, 7, 0]
    scores = softmax(random.normal(size=(sum(lengths), 3, 3)) * 3)
    whole, alone, first = decode_spans(scores, lengths), [], 0
    for length in lengths:
        found = decode_spans(scores[first : first + length], [length]).shift(first)
        alone += zip(found.instruction.tolist(), found.start.tolist(), found.end.tolist(), strict=True)
        first += length
    assert sorted(alone) == sorted(
        zip(whole.instruction.tolist(), whole.start.tolist(), whole.end.tolist(), strict=True)
    )
