"""Turn texts into vectors, with the encoder that tasks start from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy
import spacy
from spacy.language import Language
from spacy.util import load_config
from thinc.types import Floats2d

from spacy_falconer.pipeline.source import find_parts, load_pipeline
from spacy_falconer.workflow.train import find_default_config

MAX_CHARACTERS = 600  # The beginning shows what a text is about; reading all of it would take long.
BATCH_SIZE = 64


def embed(texts: Sequence[str], *, config: Path | None = None, source: Path | None = None) -> Floats2d:
    """Return a unit vector for the beginning of each text, the mean of its pieces' vectors, shape (n_texts, width).

    source (Path): A pipeline whose encoder is used.
    config (Path): A training config whose encoder is used if there is no source; by default the package's own.
    """
    nlp = load_encoder(config) if source is None else load_pipeline(source, enable=find_parts(source)[:1])
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # Of similar length, so that little is padded.
    docs = nlp.pipe((texts[i][:MAX_CHARACTERS] or " " for i in order), batch_size=BATCH_SIZE)
    by_length = numpy.stack([mean_vector(doc._.trf_data) for doc in docs])
    vectors = by_length[numpy.argsort(order)]
    return vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)


def load_encoder(config: Path | None) -> Language:
    """Make a pipeline of only the config's transformer."""
    settings = load_config(config or find_default_config())
    nlp = spacy.blank(settings["nlp"]["lang"])
    component = {key: value for key, value in settings["components"]["transformer"].items() if key != "factory"}
    nlp.add_pipe("transformer", config=component)
    nlp.initialize()
    return nlp


def mean_vector(data) -> numpy.ndarray:
    """Return the mean vector of the pieces of all windows, without padding, shape (width,)."""
    vectors = numpy.asarray(data.model_output.last_hidden_state)  # (n_windows, n_pieces, width)
    mask = numpy.asarray(data.wordpieces.attention_mask)[..., None]
    return (vectors * mask).sum(axis=(0, 1)) / mask.sum().clip(1)
