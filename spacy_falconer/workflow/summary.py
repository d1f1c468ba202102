"""Summarize answers by instruction in a terminal, before anything is learned from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from spacy.tokens import Doc
from wasabi import table

from spacy_falconer.corpus.docbin import SPANS_KEY, GroundingReport

HEADER = ["instruction", "texts asked", "true of", "quotes", "placed", "not in the text", "between tokens"]


def format_answers(docs: Sequence[Doc], report: GroundingReport) -> str:
    """Return in how many texts each instruction is true, or has a placed passage, and how the quotes were placed."""
    n_true = count_true(docs)
    labels = [(key, n, n_true[key], "", "", "", "") for key, n in count_labels(docs).items()]
    spans = [(key, n, n_true[key], *quotes) for key, n, *quotes in report.rows()]
    return table([*labels, *spans], header=HEADER, divider=True, aligns=["l", *"r" * (len(HEADER) - 1)])


def list_never_true(docs: Sequence[Doc]) -> list[str]:
    """Return the instructions that were asked and are true of no text: they cannot be learned."""
    return [key for key, n in count_true(docs).items() if not n]


def list_always_true(docs: Sequence[Doc]) -> list[str]:
    """Return the labels that are true of every text asked: they cannot be learned either. Passages can be, by their places,
    even if every text has some."""
    n_true = count_true(docs)
    return [key for key, n in count_labels(docs).items() if n_true[key] == n]


def count_labels(docs: Sequence[Doc]) -> Counter[str]:
    """Return the number of texts that were asked, by label."""
    return Counter(key for doc in docs for key in doc.cats)


def count_true(docs: Sequence[Doc]) -> Counter[str]:
    """Count the texts in which a label is true or a passage was placed, by instruction; 0 if there are none."""
    n_true: Counter[str] = Counter()
    for doc in docs:
        group = doc.spans[SPANS_KEY]
        found = {span.label_ for span in group}
        n_true.update({key: int(value) for key, value in doc.cats.items()})
        n_true.update({key: int(key in found) for key in group.attrs["asked"]})
    return n_true
