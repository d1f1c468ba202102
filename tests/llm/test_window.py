from __future__ import annotations

import pytest

from spacy_falconer.llm.tokens import count_tokens
from spacy_falconer.llm.window import MAX_CHARACTERS, MAX_TOKENS, cut_windows, find_borders, merge_windows
from spacy_falconer.types import Answer, Quote

LONG = " ".join(f"word{i}" for i in range(30_000))
TEXTS = {"words": LONG, "no space": "x" * 100_000, "Chinese": "我买了这个吸尘器" * 3000, "signs": "$%&/" * 20_000}


@pytest.mark.parametrize("text", ["", "short", "x" * 3000])
def test_a_text_that_fits_is_one_window(text):
    [window] = cut_windows(text)
    assert (window.start, window.end) == (0, len(text))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_windows_cover_the_text_overlap_and_fit(text):
    windows = cut_windows(text)
    assert windows[0].start == 0 and windows[-1].end == len(text)
    for one, after in zip(windows, windows[1:], strict=False):
        assert one.start < after.start < one.end < after.end
    for one in windows:
        assert one.end - one.start <= MAX_CHARACTERS
        assert count_tokens(text[one.start : one.end]) <= 1.2 * MAX_TOKENS


def test_words_are_cut_nowhere():
    words = set(LONG.split())
    for window in cut_windows(LONG):
        assert set(LONG[window.start : window.end].split()) <= words


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_each_character_belongs_to_one_window(text):
    windows = cut_windows(text)
    borders = find_borders(windows)
    assert "".join(text[one.start : one.end] for one in borders) == text
    for window, border in zip(windows, borders, strict=True):
        assert window.start <= border.start < border.end <= window.end


def test_what_two_windows_found_is_said_once_and_unplaced_quotes_come_last():
    windows = cut_windows(LONG)
    places = [i for i in range(len(LONG)) if LONG.startswith("word77", i)]
    answers = [
        Answer(
            LONG[one.start : one.end], "m", {"L": number == 3},
            {"S": (Quote("nowhere"), *(Quote("word77", i - one.start) for i in places if one.start <= i < one.end - 5))},
        )
        for number, one in enumerate(windows)
    ]  # fmt: skip
    merged = merge_windows(LONG, windows, answers)
    assert merged.labels == {"L": True} and merged.text == LONG
    assert merged.spans["S"] == (*(Quote("word77", i) for i in places), *[Quote("nowhere")] * len(windows))
