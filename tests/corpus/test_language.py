from __future__ import annotations

import importlib

import pytest

from spacy_falconer.corpus.language import make_detector

TICKETS = [
    "printer offline again, error 0x8007, toner low", "Refund pls", "ORDER 4711 MISSING", "", "42", "ok",
    "The café in São Paulo sent the wrong jalapeño.", "Würzburg, Straße 5", "Amazing product!!! 👍👍",
]  # fmt: skip


@pytest.fixture(scope="module")
def detect():
    return make_detector("en")


@pytest.mark.parametrize("language", ["de", "fr", "es", "it", "pt", "cs"])
def test_other_languages_in_the_own_script(detect, language):
    """Of the sentences that spaCy has as examples, a few at a time."""
    sentences = importlib.import_module(f"spacy.lang.{language}.examples").sentences
    texts = [" ".join(sentences[i : i + 3]) for i in range(len(sentences) - 2)]
    found = [detect(text) for text in texts]
    assert sum(one is not None for one in found) >= 0.9 * len(texts) and found.count(language) >= len(texts) / 2


@pytest.mark.parametrize(
    ("text", "script"), [("Принтер не работает.", "cyrillic"), ("打印机坏了", "cjk"), ("ניר", "hebrew")]
)
def test_other_scripts(detect, text, script):
    assert detect(text) == script


@pytest.mark.parametrize("text", TICKETS)
def test_nothing_is_said_of_the_own_language_nor_of_what_says_little(detect, text):
    assert detect(text) is None


def test_the_own_language_may_be_another():
    detect = make_detector("ru")
    assert detect("Принтер не работает, и он не мой.") is None and detect("The printer does not work.") == "latin"


def test_nothing_is_said_where_the_own_language_is_unknown():
    assert make_detector("xx")("Принтер не работает.") is None
