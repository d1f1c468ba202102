"""Answers without a model: by words of the plan, by patterns that they name, and by passages that were answered before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from spacy.lang.en.stop_words import STOP_WORDS
from spacy.tokens import Doc, Token

from spacy_falconer.plan import Plan, Step
from spacy_falconer.workflow.scoring.said import Place, Said, read_answers

Phrase = tuple[str, ...]
MIN_STEM, MAX_STEM = 4, 6  # First letters by which the forms of a word are recognized.
MAX_WORDS = 12  # Longer passages do not recur word for word.
NAMES = r"[A-Z][\w&'-]*(?:\s+(?:of\s+)?[A-Z][\w&'-]*)*"
# Beginnings of words in an instruction, and what the passages then look like in a text. What may begin at any character has a
# limited length: else a long text without spaces takes time quadratic in its length.
PATTERNS = {
    "money price cost dollar euro fee": r"[$€£¥]\s?\d[\d.,]*\d|[$€£¥]\s?\d|\b\d[\d.,]{0,30}\s?(?:dollars?|bucks|cents|euros?|pounds|usd|eur)\b",
    "percent": r"\b\d[\d.,]{0,30}\s?(?:%|percent\b|per cent\b)",
    "date year month when": r"\b(?:\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}|(?:(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s)?\d{0,2},?\s?(?:19|20)\d\d)\b",
    "email mail": r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]+\.[\w.-]*\w",
    "url link website": r"\b(?:https?://|www\.)\S+",
    "phone telephone": r"\+?\d[\d ()/-]{6,}\d",
    "dose amount quantit measure size weight length unit concentration": r"\b\d[\d.,]{0,30}\s?(?:[a-zµμ]{1,4}(?:/[a-z]{1,4})?\b|%)",
    "name person people compan organi place countr city": NAMES,
}


def ask_keywords(plan: Plan, texts: Sequence[str], train_docs: Sequence[Doc]) -> list[Said]:
    """Answer by keywords: a label is true if enough of its instruction's words are in the text; a passage is what they name.

    How many words are enough is fitted to the training answers; without any, one is.
    """
    labels = {step.id: find_words(step) for step in plan.text_steps("get_label")}
    least = {key: fit_least(key, words, train_docs) for key, words in labels.items()}
    patterns = {step.id: find_pattern(step) for step in plan.text_steps("get_span")}
    return [
        Said(
            {key: count_words(text, words) >= least[key] for key, words in labels.items()},
            {key: frozenset(find_places(text, pattern)) for key, pattern in patterns.items()},
        )
        for text in texts
    ]


def find_words(step: Step) -> list[re.Pattern]:
    """Return patterns for the instruction's content words, each by its beginning, so that other forms are found, too."""
    words = re.findall(r"[^\W\d_]+", step.instruction.lower())
    stems = dict.fromkeys(
        word[: max(MIN_STEM, min(MAX_STEM, len(word) - 1))] for word in words if word not in STOP_WORDS
    )
    return [re.compile(rf"\b{re.escape(stem)}\w*", re.IGNORECASE) for stem in stems if len(stem) >= MIN_STEM]


def count_words(text: str, words: Sequence[re.Pattern]) -> int:
    return sum(word.search(text) is not None for word in words)


def fit_least(key: str, words: Sequence[re.Pattern], train_docs: Sequence[Doc]) -> int:
    """Return the number of words with the best F1 on the training answers; the least one if several are equal."""
    rows = [(count_words(doc.text, words), doc.cats[key] == 1.0) for doc in train_docs if key in doc.cats]
    n_wanted = sum(wanted for _, wanted in rows)

    def f_score(least: int) -> float:
        found = [wanted for n, wanted in rows if n >= least]
        return 2 * sum(found) / (len(found) + n_wanted) if n_wanted else 0.0

    return max(range(len(words) + 1), key=lambda n: (f_score(n), -n)) if n_wanted else 1


def find_pattern(step: Step) -> re.Pattern:
    """Return the pattern of the kind of passage that the instruction names, if it is known; else that of its own words."""
    words = re.findall(r"[^\W\d_]+", step.instruction.lower())
    for beginnings, pattern in PATTERNS.items():
        if any(word.startswith(tuple(beginnings.split())) for word in words):
            return re.compile(pattern, 0 if pattern == NAMES else re.IGNORECASE)
    own = [word.pattern for word in find_words(step)]
    return re.compile("|".join(own) or r"(?!)", re.IGNORECASE)


def find_places(text: str, pattern: re.Pattern) -> Iterator[Place]:
    return (found.span() for found in pattern.finditer(text) if found.group().strip())


def ask_dictionary(plan: Plan, docs: Sequence[Doc], train_docs: Sequence[Doc]) -> list[Said]:
    """Find passages that were answers in training wherever they recur, unless they were mostly not an answer there."""
    known = {step.id: learn_phrases(step.id, train_docs) for step in plan.text_steps("get_span")}
    return [
        Said({}, {key: frozenset(place for place, _ in find_phrases(doc, phrases)) for key, phrases in known.items()})
        for doc in docs
    ]


def learn_phrases(key: str, docs: Sequence[Doc]) -> set[Phrase]:
    """Return the phrases that were an answer at least half of the times that they occurred in training texts."""
    answers = [(doc, read_answers(doc).spans[key]) for doc in docs if key in read_answers(doc).spans]
    spans = [doc.char_span(*place) for doc, places in answers for place in places if place[0] >= 0]
    phrases = {words(span) for span in spans if span is not None and len(span) <= MAX_WORDS}
    n_seen, n_right = Counter[Phrase](), Counter[Phrase]()
    for doc, places in answers:
        for place, phrase in find_phrases(doc, phrases):
            n_seen[phrase] += 1
            n_right[phrase] += place in places
    return {phrase for phrase in phrases if n_right[phrase] and 2 * n_right[phrase] >= n_seen[phrase]}


def find_phrases(doc: Doc, phrases: AbstractSet[Phrase]) -> Iterator[tuple[Place, Phrase]]:
    """Yield, from left to right and without overlaps, the longest phrase at each token, with its characters."""
    tokens, start = words(doc), 0
    while start < len(tokens):
        lengths = range(min(MAX_WORDS, len(tokens) - start), 0, -1)
        length = next((n for n in lengths if tokens[start : start + n] in phrases), 0)
        if length:
            last = doc[start + length - 1]
            yield (doc[start].idx, last.idx + len(last)), tokens[start : start + length]
        start += length or 1


def words(tokens: Iterable[Token]) -> Phrase:
    return tuple(token.lower_ for token in tokens)
