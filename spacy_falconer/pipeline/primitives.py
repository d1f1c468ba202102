"""The paper's two functions, by the same components. Source: Falconer, arXiv 2510.01427."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import cache

import numpy
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.errors import ModelError
from spacy_falconer.metamodel.calibrate import calibrate
from spacy_falconer.pipeline.components import FACTORIES, find_first, find_instructed
from spacy_falconer.pipeline.instructed import InstructedPipe, check_words, encode
from spacy_falconer.pipeline.passages import scored_spans
from spacy_falconer.pipeline.source import find_base
from spacy_falconer.pipeline.span import split_by_text
from spacy_falconer.types import ScoredSpan

BATCH_SIZE = 64
ALIKE = 0.8  # How similar a word and a key must be, 0 to 1, for the word to be taken for a misspelled key.
WORD = re.compile(r"\s*([\w-]+)\s*")


def get_label(texts: Iterable[str], instruction: str, nlp: Language | None = None) -> Iterator[bool]:
    """Is a statement true of each text? Yields one answer per text, in order, lazily.

    instruction (str): A statement, or the key of one that the pipeline was trained on. Any other statement is answered
        without training, with a warning if it is a single word that is nearly a key.
    nlp (Language): A pipeline with `falconer_label`; by default the pre-trained `en_falconer_sm`.
    """
    pipe, nlp = _find(nlp, "get_label")
    key, vectors = _read(pipe, instruction, nlp)
    for docs in _encoded(texts, pipe, nlp):
        scores = calibrate(pipe.predict_vectors(docs, vectors), *pipe.calibrations_of([key]))
        for score in scores[:, 0]:
            yield bool(score >= pipe.threshold_of(key))


def get_span(texts: Iterable[str], instruction: str, nlp: Language | None = None) -> Iterator[list[ScoredSpan]]:
    """Which passages of each text answer the instruction? Yields one list per text, in order, lazily.

    instruction (str): A request, or the key of one that the pipeline was trained on. Any other request is answered
        without training, with a warning if it is a single word that is nearly a key.
    nlp (Language): A pipeline with `falconer_span`; by default the pre-trained `en_falconer_sm`.
    """
    pipe, nlp = _find(nlp, "get_span")
    key, vectors = _read(pipe, instruction, nlp)
    for docs in _encoded(texts, pipe, nlp):
        found = pipe.find_spans(pipe.predict_vectors(docs, vectors), [len(doc) for doc in docs], [key])
        for doc, spans in zip(docs, split_by_text(found, docs), strict=True):
            yield scored_spans(doc, spans)


def _find(nlp: Language | None, op: str) -> tuple[InstructedPipe, Language]:
    nlp = nlp if nlp is not None else _load_default()
    pipe = find_first(nlp, op)
    if pipe is None:
        raise ModelError(
            f"The pipeline has no {FACTORIES[op]!r}: {', '.join(nlp.component_names) or 'it is empty'}. Add it "
            "with its transformer: spacy_falconer.pipeline.source.add_falconer(nlp, spacy.load(...))."
        )
    return pipe, nlp


@cache
def _load_default() -> Language:
    return spacy.load(find_base())


def _read(pipe: InstructedPipe, instruction: str, nlp: Language) -> tuple[str, numpy.ndarray]:
    """Return the key and the vector of an instruction: the learned vector if the component holds it."""
    check_words(instruction, "The instruction")
    known = pipe.cfg["instructions"]
    key = next((key for key, text in known.items() if instruction in (key, text)), None)
    if key is not None:
        return key, pipe.vector_of(key)
    _warn_of_slip(instruction, pipe, nlp)
    return instruction, pipe.read_instruction(instruction, nlp=nlp).reshape(1, -1)


def _warn_of_slip(instruction: str, pipe: InstructedPipe, nlp: Language) -> None:
    """Warn if an instruction is a single word that is nearly a key, or a key of the other function."""
    meant = _find_meant(instruction, pipe, nlp)
    if meant is not None:
        warnings.warn(
            f"The pipeline was not trained on {instruction!r}; it is answered as a new instruction. Did you mean {meant}? "
            "If not, write it as a sentence.",
            stacklevel=4,  # The line that reads the answers.
        )


def _find_meant(instruction: str, pipe: InstructedPipe, nlp: Language) -> str | None:
    """Return the call whose key a word nearly is, preferably one of the same function; None if there is none."""
    word = WORD.fullmatch(instruction)
    for one in sorted(find_instructed(nlp), key=lambda one: one is not pipe) if word else ():
        keys = {key.casefold(): key for key in one.labels}
        for near in get_close_matches(word[1].casefold(), keys, n=1, cutoff=ALIKE):
            return f"{one.op}(texts, {keys[near]!r})"
    return None


def _encoded(texts: Iterable[str], pipe: InstructedPipe, nlp: Language) -> Iterator[list[Doc]]:
    """Yield batches of texts that the component's transformer has read.

    RAISES (ModelError): The texts are a single string, or one of them is no string.
    """
    if isinstance(texts, str):
        raise ModelError(f"The texts are one string, {texts[:60]!r}. Expected several: put it into a list, [text].")
    for batch in spacy.util.minibatch(texts, BATCH_SIZE):
        if wrong := [text for text in batch if not isinstance(text, str)]:
            raise ModelError(f"One of the texts is {wrong[0]!r:.60}. Expected strings: leave out those without a text.")
        docs = [nlp.make_doc(text) for text in batch]
        encode(docs, pipe, nlp)
        yield docs
