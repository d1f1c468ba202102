"""The pipeline that tasks start from, loaded once: its untrained answers, its vectors, and what its heads can learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Adam, fix_random_seed
from thinc.types import Floats1d, Floats2d

from spacy_falconer.pipeline.callbacks import add_instructions
from spacy_falconer.pipeline.components import find_instructed
from spacy_falconer.pipeline.source import find_parts, load_pipeline
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.embed import mean_vector
from spacy_falconer.workflow.scoring.said import Said, read_findings, read_thresholds
from spacy_falconer.workflow.thresholds import all_spans
from spacy_falconer.workflow.train import BATCH_TEXTS, SOURCE_RATE

ENCODE_TEXTS = 16
HEAD_READS = 600  # How many texts, with repetition, the heads learn from.


@dataclass(frozen=True)
class Base:
    """A pre-trained pipeline with a plan's instructions, and its components' weights before any training."""

    nlp: Language
    untrained: Mapping[str, bytes]


@dataclass(frozen=True)
class Encoded:
    """Texts that the encoder has read.

    docs: Some still hold the encoder's vectors. said: What the untrained heads say.
    vectors: A unit vector of each text, shape (n, width).
    """

    docs: list[Doc]
    said: list[Said]
    vectors: Floats2d

    def take(self, rows: Sequence[int]) -> Encoded:
        return Encoded([self.docs[row] for row in rows], [self.said[row] for row in rows], self.vectors[rows])


def load_base(source: Path, plan: Plan) -> Base:
    """Load the pipeline, and add the plan's instructions.

    RAISES (ModelError): The pipeline is not one of ours.
    """
    nlp = load_pipeline(source, enable=find_parts(source))
    add_instructions(nlp, plan)
    return Base(nlp, {pipe.name: pipe.model.to_bytes() for pipe in find_instructed(nlp)})


def encode(
    base: Base, texts: Sequence[str], *, n_kept: int, tick: Callable[[int], Any] = lambda n_texts: None
) -> Encoded:
    """Read texts with the untrained pipeline. Only the first `n_kept` docs keep the encoder's vectors, which are large.

    tick: Called with the number of texts read since the last call.
    """
    docs = [base.nlp.make_doc(text) for text in texts]
    order = sorted(range(len(docs)), key=lambda place: len(docs[place]))  # Of similar length, so that little is padded.
    thresholds, found = read_thresholds(base.nlp), {}
    with all_spans(base.nlp):
        read = base.nlp.pipe((docs[place] for place in order), batch_size=ENCODE_TEXTS)
        for place, doc in zip(order, read, strict=True):
            found[place] = read_findings(base.nlp, doc, thresholds), find_vector(doc)
            if place >= n_kept:
                doc._.trf_data = None
            tick(1)
    said, vectors = zip(*(found[place] for place in range(len(docs))), strict=True)
    return Encoded(docs, list(said), stack(vectors))


def find_vector(doc: Doc) -> Floats1d | None:
    return mean_vector(doc._.trf_data) if len(doc) else None


def stack(vectors: Sequence[Floats1d | None]) -> Floats2d:
    """Return unit vectors; that of a text without tokens is 0."""
    width = next((len(vector) for vector in vectors if vector is not None), 1)
    rows = numpy.stack([numpy.zeros(width) if vector is None else vector for vector in vectors])
    return rows / numpy.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)


def train_heads(base: Base, encoded: Sequence[Doc], answers: Sequence[Doc], *, seed: int) -> None:
    """Train both heads from scratch on encoded texts. The encoder stays as it is, so this takes seconds, not minutes."""
    fix_random_seed(seed)
    random, optimizer = Random(seed), Adam(SOURCE_RATE)
    for pipe in find_instructed(base.nlp):
        pipe.model.from_bytes(base.untrained[pipe.name])
    order: list[int] = []
    for _ in range(max(1, HEAD_READS // BATCH_TEXTS)):
        if len(order) < BATCH_TEXTS:
            order += random.sample(range(len(encoded)), len(encoded))
        batch, order = order[:BATCH_TEXTS], order[BATCH_TEXTS:]
        for pipe in find_instructed(base.nlp):
            pipe.update([Example(encoded[place], answers[place]) for place in batch], sgd=optimizer)


def ask_heads(base: Base, encoded: Sequence[Doc]) -> list[Said]:
    """Return what the heads now say of encoded texts, at the default threshold."""
    thresholds = {key: pipe.cfg["threshold"] for pipe in find_instructed(base.nlp) for key in pipe.labels}
    said = []
    with all_spans(base.nlp):
        for doc in encoded:
            for pipe in find_instructed(base.nlp):
                pipe.set_annotations([doc], pipe.predict([doc]))
            said.append(read_findings(base.nlp, doc, thresholds))
    return said
