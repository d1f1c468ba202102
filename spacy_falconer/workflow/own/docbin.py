"""spaCy's own training data: entities, span groups and categories of a DocBin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import spacy
from spacy.tokens import Doc, Span

from spacy_falconer.corpus.docbin import GOLD, LANGUAGE, read_docbin
from spacy_falconer.errors import AnswerError
from spacy_falconer.plan.show import show
from spacy_falconer.workflow.own.names import Names
from spacy_falconer.workflow.review.files import Found, Reject
from spacy_falconer.workflow.review.work import ANSWERED, OPEN, Mark, Work

ENTITIES = "ents"
MIN_TRUE = 0.5  # The least value of a category that counts as true.

Vocabulary = dict[str, tuple[str, ...]]  # By the source of passages: the steps that it marks anywhere in the file.


def read(path: Path, names: Names, *, complete: bool | None) -> Iterator[Found | Reject]:
    """Yield each doc as a text. Its entities, and each of its groups, answer all labels that they mark anywhere in the file.
    Its categories answer the labels that they hold, true or not.

    complete (bool): If not None, docs whose entities are only partly annotated are taken, too.
    RAISES (AnswerError): The file is not a DocBin.
    """
    docs = read_docbin(path, spacy.blank(LANGUAGE))
    vocabulary = find_vocabulary(docs, names)
    for number, doc in enumerate(docs, start=1):
        where = f"{path}, doc {number}"
        try:
            yield Found(where, read_doc(doc, names, vocabulary, by=path.name, complete=complete), None)
        except AnswerError as error:
            yield Reject(where, str(error), doc.text)


def find_vocabulary(docs: Sequence[Doc], names: Names) -> Vocabulary:
    labels: dict[str, dict[str, None]] = {}
    for doc in docs:
        for source, spans in find_sources(doc).items():
            labels.setdefault(source, {}).update(dict.fromkeys(span.label_ for span in spans))
    return {source: names.find_all(found, "get_span") for source, found in labels.items()}


def find_sources(doc: Doc) -> dict[str, Sequence[Span]]:
    """Return all that marks passages of a doc, except people's gold answers beside our own."""
    groups = {f"spans {key}": group for key, group in doc.spans.items() if key != GOLD or "asked" not in group.attrs}
    return {ENTITIES: doc.ents, **groups} if doc.has_annotation("ENT_IOB") else groups


def read_doc(doc: Doc, names: Names, vocabulary: Vocabulary, *, by: str, complete: bool | None) -> Work:
    """Read a doc's entities, groups and categories.

    RAISES (AnswerError): Only some of its tokens say whether they are entities, or its values are not of a known form.
    """
    check_stated(doc)
    if complete is None and is_half_annotated(doc):
        raise AnswerError(
            "Only some of its tokens say whether they are entities, so it is not known what else there is. Expected all or "
            "none. Add --complete (what is not marked is not there) or --partial (only what is marked is known)."
        )
    marks = [
        Mark(key, span.start_char, span.end_char)
        for span in chain.from_iterable(find_sources(doc).values()) for key in names.take(span.label_, "get_span")
    ]  # fmt: skip
    true = [name for name, value in doc.cats.items() if value >= MIN_TRUE]
    labels = dict.fromkeys(key for name in true for key in names.take(name, "get_label"))
    asked = () if complete else find_asked(doc, names, vocabulary)
    outcome = ANSWERED if (asked or complete) and doc.text.strip() else OPEN
    return Work(doc.text, by, outcome, tuple(labels), tuple(marks), asked=asked)


def check_stated(doc: Doc) -> None:
    """Check a doc's categories and groups: spaCy keeps whatever is set on a doc.

    RAISES (AnswerError): A category has no name or no number, or what a group was asked is not a list of names.
    """
    for name, value in doc.cats.items():
        if not isinstance(name, str) or not isinstance(value, (bool, int, float)) or value != value:
            raise AnswerError(
                f"Its category {show(name)} is {show(value)}; expected a number from 0 (false) to 1 (true). Correct the doc."
            )
    for key, group in doc.spans.items():
        asked = group.attrs.get("asked", [])
        if not isinstance(asked, (list, tuple)) or not all(isinstance(one, str) for one in asked):
            raise AnswerError(
                f"Its group {show(key)} has {show(asked)} as 'asked'; expected a list of names. Remove it."
            )


def find_asked(doc: Doc, names: Names, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the steps that a doc says anything about, even that there is nothing. Our own groups list what was asked."""
    asked = list(names.find_all(doc.cats, "get_label"))
    for source, spans in find_sources(doc).items():
        stated = spans.attrs.get("asked") if source != ENTITIES else None
        asked += vocabulary[source] if stated is None else names.find_all(stated, "get_span")
    return tuple(dict.fromkeys(asked))


def is_half_annotated(doc: Doc) -> bool:
    tagged = {token.ent_iob != 0 for token in doc if not token.is_space}
    return len(tagged) == 2
