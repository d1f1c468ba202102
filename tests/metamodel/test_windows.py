from __future__ import annotations

import tracemalloc

import numpy
import pytest
from transformers import AutoTokenizer

from spacy_falconer.metamodel.layout import align_texts, make_layout
from spacy_falconer.metamodel.windows import Windows, align_tokens, cut_windows


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


def make_long(n_tokens, *, size=20, stride=15):
    """A text of words of four letters, each a piece, in overlapping windows between special pieces."""
    starts = numpy.arange(n_tokens) * 5
    tokens, special = numpy.stack([starts, starts + 4], axis=1), numpy.zeros((1, 2), dtype="int64")
    firsts = range(0, max(1, n_tokens - size + stride), stride)
    offsets = [numpy.concatenate([special, tokens[first : first + size], special]) for first in firsts]
    return tokens, Windows([[1] * len(window) for window in offsets], offsets, [len(offsets)])


def test_both_ways_to_align_say_the_same():
    texts = [make_long(n) for n in (1, 50, 7, 133)]
    every = Windows(
        [ids for _, one in texts for ids in one.input_ids],
        [window for _, one in texts for window in one.offsets],
        [n for _, one in texts for n in one.n_per_text],
    )
    layout = make_layout(every)
    tokens, n_tokens = numpy.concatenate([tokens for tokens, _ in texts]), numpy.array([len(one) for one, _ in texts])
    rows, counts = align_texts(tokens, n_tokens, every, layout)
    expected = [
        align_tokens(tokens, one.offsets, row_width=int(width))
        for (tokens, one), width in zip(texts, layout.widths, strict=True)
    ]
    starts = [own.start for own, _ in layout.blocks()]
    assert counts.tolist() == [n for _, lengths in expected for n in lengths]
    assert rows.tolist() == [start + row for start, (found, _) in zip(starts, expected, strict=True) for row in found]
    assert set(counts.tolist()) == {1, 2}


@pytest.mark.parametrize("align", ["to use", "to train"])
def test_the_memory_of_a_long_text_grows_with_its_length_alone(align):
    """By its square it would take a hundred times as much."""

    def peak(n_tokens):
        tokens, windows = make_long(n_tokens)
        layout = make_layout(windows)
        tracemalloc.start()
        if align == "to use":
            align_texts(tokens, numpy.array([n_tokens]), windows, layout)
        else:
            align_tokens(tokens, windows.offsets, row_width=22)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(20_000) < 20 * peak(2_000)
