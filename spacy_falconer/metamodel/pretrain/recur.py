"""Make questions from raw text alone: words that recur in a passage are asked for where else they occur.

As in Cuckoo (arXiv 2502.11275), a sentence with the words blanked out is the instruction, the passage without that
sentence is the text, and the words there are the spans. Nothing has to be annotated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from random import Random

from spacy_falconer.metamodel.pretrain.data import Row

BLANK = "___"
MAX_WORDS, MIN_CHARACTERS = 4, 3
SHORTEST_SENTENCE = 30
PER_PASSAGE = 4
SENTENCE = re.compile(r"[^.!?]+[.!?]+[\"')\]]*(?:\s+|$)|[^.!?]+$")
PHRASE = re.compile(
    r"\b[A-Z][\w'-]*(?: (?:(?:of|the|de|von|and) )?[A-Z][\w'-]*){0,3}\b|\b\d[\d.,]*(?: \w+)?\b|\b[a-z]{7,}\b"
)
STARTERS = frozenset((
    "The", "A", "An", "In", "On", "It", "He", "She", "They", "This", "That", "These", "Those",
    "At", "By", "For", "From", "His", "Her", "Its", "As", "But", "And", "If",
))  # fmt: skip


def find_recurring(rows: Iterable[Row], rng: Random, *, shortest: int = 200) -> list[Row]:
    """Make rows of passages and blanked-out sentences from the texts of other rows. Texts without any are left out."""
    return [row for text in dict.fromkeys(row.text for row in rows) if len(text) >= shortest
            for row in _ask_passage(text, rng)]  # fmt: skip


def _ask_passage(text: str, rng: Random) -> Iterator[Row]:
    """Yield at most PER_PASSAGE rows, each with another sentence."""
    found = (match.span() for match in SENTENCE.finditer(text))
    sentences = [(start, end) for start, end in found if end - start >= SHORTEST_SENTENCE]
    for start, end in rng.sample(sentences, min(len(sentences), PER_PASSAGE)):
        rest = text[:start] + text[end:]
        words = [match.group() for match in PHRASE.finditer(text[start:end]) if _is_telling(match.group(), rest)]
        if words:
            chosen = rng.choice(words)
            question = text[start:end].strip().replace(chosen, BLANK)
            spans = tuple(found.span() for found in _find(chosen, rest))
            yield Row(rest, "recurring", spans={question: spans}, worded=True)


def _is_telling(words: str, rest: str) -> bool:
    """Return whether words are more than the opening of a sentence, and occur elsewhere, but not too often."""
    if words.split()[0] in STARTERS or len(words.split()) > MAX_WORDS or len(words) < MIN_CHARACTERS:
        return False
    return 1 <= sum(1 for _ in _find(words, rest)) <= 3


def _find(words: str, text: str) -> Iterator[re.Match[str]]:
    return re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", text)
