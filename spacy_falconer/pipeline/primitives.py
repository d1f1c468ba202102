"""The paper's two functions, over the same components. Source: Falconer, arXiv 2510.01427."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

import numpy
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.errors import ModelError
from spacy_falconer.metamodel.calibrate import calibrate
from spacy_falconer.pipeline.callbacks import find_components
from spacy_falconer.pipeline.instructed import InstructedPipe, encode
from spacy_falconer.pipeline.plan import scored_spans
from spacy_falconer.pipeline.source import find_base
from spacy_falconer.types import ScoredSpan

BATCH_SIZE = 64


def get_label(texts: Iterable[str], instruction: str, nlp: Language | None = None) -> Iterator[bool]:
    """Is a statement true of each text? One answer a text, in order, lazily.

    instruction (str): A statement, or the key of one that the pipeline was trained on.
    nlp (Language): A pipeline with `falconer_label`; by default the pre-trained `en_falconer_sm`.
    """
    pipe, nlp = _find(nlp, "falconer_label")
    key, vectors = _read(pipe, instruction, nlp)
    for docs in _encoded(texts, pipe, nlp):
        scores = calibrate(pipe.predict_vectors(docs, vectors), *pipe.calibrations_of([key]))
        for score in scores[:, 0]:
            yield bool(score >= pipe.threshold_of(key))


def get_span(texts: Iterable[str], instruction: str, nlp: Language | None = None) -> Iterator[list[ScoredSpan]]:
    """Which passages of each text answer the instruction? One list a text, in order, lazily.

    instruction (str): A request, or the key of one that the pipeline was trained on.
    nlp (Language): A pipeline with `falconer_span`; by default the pre-trained `en_falconer_sm`.
    """
    pipe, nlp = _find(nlp, "falconer_span")
    key, vectors = _read(pipe, instruction, nlp)
    for docs in _encoded(texts, pipe, nlp):
        for doc in docs:
            yield scored_spans(doc, pipe.find_spans(pipe.predict_vectors([doc], vectors), [len(doc)], [key]))


def _find(nlp: Language | None, factory: str) -> tuple[InstructedPipe, Language]:
    nlp = nlp if nlp is not None else _load_default()
    found = find_components(nlp, factory)
    if not found:
        raise ModelError(f"The pipeline has no {factory!r}: {', '.join(nlp.component_names) or 'empty'}. Add it first.")
    return found[0], nlp


@cache
def _load_default() -> Language:
    return spacy.load(find_base())


def _read(pipe: InstructedPipe, instruction: str, nlp: Language) -> tuple[str, numpy.ndarray]:
    """The key and the vector of an instruction; one that the component holds keeps what it learned."""
    known = pipe.cfg["instructions"]
    key = next((key for key, text in known.items() if instruction in (key, text)), None)
    if key is not None:
        return key, pipe.vector_of(key)
    return instruction, pipe.read_instruction(instruction, nlp=nlp).reshape(1, -1)


def _encoded(texts: Iterable[str], pipe: InstructedPipe, nlp: Language) -> Iterator[list[Doc]]:
    """Batches of texts that the component's transformer has read."""
    for batch in spacy.util.minibatch(texts, BATCH_SIZE):
        docs = [nlp.make_doc(text) for text in batch]
        encode(docs, pipe, nlp)
        yield docs
