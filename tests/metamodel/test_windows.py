from __future__ import annotations

import numpy
import pytest
from transformers import AutoTokenizer

from spacy_falconer.metamodel.windows import align_tokens, cut_windows


@pytest.fixture(scope="module")
def tokenizer(encoder_folder):
    return AutoTokenizer.from_pretrained(encoder_folder)


def test_a_text_that_fits_is_one_window(tokenizer):
    windows = cut_windows(tokenizer, ["i paid for it", "love"], max_pieces=64, overlap=16)
    assert windows.n_per_text == [1, 1]
    assert [len(window) for window in windows.input_ids] == [6, 3]


def test_a_long_text_is_covered_to_its_last_character(tokenizer):
    text = "i paid for it " * 40
    windows = cut_windows(tokenizer, ["love", text], max_pieces=64, overlap=16)
    assert windows.n_per_text[0] == 1 and windows.n_per_text[1] > 2
    assert max(len(window) for window in windows.input_ids) == 64
    covered = {int(start) for window in windows.offsets[1:] for start, end in window if end > start}
    assert covered == {i for i, before in enumerate(" " + text[:-1]) if before == " " and text[i] != " "}


def test_neighbouring_windows_overlap(tokenizer):
    windows = cut_windows(tokenizer, ["love " * 100], max_pieces=64, overlap=16)
    first, second = ({tuple(place) for place in window.tolist() if place[1]} for window in windows.offsets[:2])
    assert len(first & second) == 16


@pytest.mark.parametrize(
    ("tokens", "pieces", "expected"),
    [
        ([(0, 4)], [(0, 0), (0, 2), (2, 4), (0, 0)], [[1, 2]]),
        ([(0, 2), (2, 4)], [(0, 0), (0, 4), (0, 0)], [[1], [1]]),  # one piece over two tokens
        ([(0, 1), (2, 3)], [(0, 0), (2, 3), (0, 0)], [[], [1]]),  # a token without pieces
        ([(0, 1)], [(0, 0), (0, 0)], [[]]),  # special pieces alone
    ],
)
def test_pieces_of_tokens(tokens, pieces, expected):
    found, lengths = align_tokens(numpy.array(tokens), [numpy.array(pieces)], row_width=len(pieces))
    assert [part.tolist() for part in numpy.split(found, numpy.cumsum(lengths)[:-1])] == expected


def test_a_token_in_two_windows_has_the_pieces_of_both():
    windows = [numpy.array([(0, 0), (0, 1), (2, 3), (0, 0)]), numpy.array([(0, 0), (2, 3), (4, 5), (0, 0)])]
    found, lengths = align_tokens(numpy.array([(0, 1), (2, 3), (4, 5)]), windows, row_width=4)
    assert (found.tolist(), lengths.tolist()) == ([1, 2, 5, 6], [1, 2, 1])
