"""Cut texts into sentences, as a pipeline does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import takewhile

import numpy
import spacy
from spacy.attrs import SENT_START
from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.types import CharSpan


def find_cutter(nlp: Language | None) -> Callable[[], AbstractContextManager[Language]]:
    """Return what cuts texts as a pipeline does, or by English rules without one. It is opened for some texts at a time."""
    names = [] if nlp is None else _find_cutters(nlp)
    if nlp is not None and any(nlp.get_pipe_meta(name).factory != "sentencizer" for name in names):
        return partial(_open_pipes, nlp, names)
    marks = nlp.get_pipe(names[-1]).punct_chars if nlp is not None and names else ()
    return partial(nullcontext, _make_rules(nlp.lang if nlp is not None else "en", marks))


def cut_text(text: str, cutter: Language) -> list[CharSpan]:
    """Return the sentences of a text; all of it, if the pipeline fails on it. Then it also fails to read it, and that is told."""
    try:
        return cut_sentences(cutter(text))
    except Exception:
        return [CharSpan(0, len(text))]


def cut_sentences(doc: Doc) -> list[CharSpan]:
    """Return the sentences of a text that are not blank."""
    return [CharSpan(sent.start_char, sent.end_char) for sent in doc.sents if sent.text.strip()]


def make_sentence(nlp: Language, text: str) -> Doc:
    """Make a doc of a text that is one sentence, so that spaCy's components do not cut it further."""
    doc = nlp.make_doc(text)
    starts = numpy.where(numpy.arange(len(doc)) == 0, 1, -1)
    return doc.from_array([SENT_START], starts.astype("int64").view("uint64").reshape(-1, 1))


def _find_cutters(nlp: Language) -> list[str]:
    """Return the components before the plan's that are not ours, less a transformer that only ours listen to."""
    factories = {name: nlp.get_pipe_meta(name).factory for name in nlp.pipe_names}
    before = list(takewhile(lambda name: factories[name] != "falconer_plan", factories))
    others = [name for name in before if not factories[name].startswith("falconer_")]
    heard_by = {name: {*getattr(nlp.get_pipe(name), "listening_components", ())} for name in others}
    return [name for name in others if not heard_by[name] or heard_by[name] & {*others}]


@contextmanager
def _open_pipes(nlp: Language, names: Sequence[str]) -> Iterator[Language]:
    with nlp.select_pipes(enable=names):
        yield nlp


def _make_rules(lang: str, marks: Sequence[str]) -> Language:
    """Make a pipeline of sentence rules alone, for texts of any length. marks: Those that end sentences, if not the usual."""
    rules = spacy.blank(lang)
    rules.add_pipe("sentencizer", config={"punct_chars": sorted(marks) or None})
    rules.max_length = sys.maxsize
    return rules
