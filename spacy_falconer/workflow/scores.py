"""Read a pipeline's scores of texts for a plan's instructions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy
from spacy.language import Language
from spacy.tokens import Doc
from thinc.types import Floats1d, Floats2d

from spacy_falconer.pipeline.components import find_instructed
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.thresholds import all_spans, read_docs


def read_scores(nlp: Language, texts: Sequence[str], plan: Plan) -> tuple[Floats2d, Floats1d]:
    """Return each text's score for each step, that of the best one for passages, shape (n_texts, K), and thresholds, (K,).

    Steps that run for each passage are left out.
    """
    wanted = {step.id for step in plan.text_steps()}
    labels, spans = (
        [(pipe, key) for pipe in find_instructed(nlp, op) for key in pipe.labels if key in wanted]
        for op in ("get_label", "get_span")
    )
    thresholds = [pipe.threshold_of(key) for pipe, key in [*labels, *spans]]
    with all_spans(nlp):
        rows = [
            [doc.cats[key] for _, key in labels] + [_best_score(doc, key, pipe.cfg["spans_key"]) for pipe, key in spans]
            for doc in read_docs(nlp, texts)
        ]
    return numpy.array(rows), numpy.array(thresholds)


def _best_score(doc: Doc, key: str, spans_key: str) -> float:
    group = doc.spans[spans_key]
    scores = zip(group, group.attrs["scores"], strict=True)
    return max((float(score) for span, score in scores if span.label_ == key), default=0.0)
