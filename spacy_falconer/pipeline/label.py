"""`falconer_label`: is a statement true of the text? Writes `doc.cats`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model
from thinc.types import Floats2d

from spacy_falconer.metamodel.calibrate import calibrate
from spacy_falconer.metamodel.decode import sigmoid
from spacy_falconer.metamodel.loss import label_loss
from spacy_falconer.pipeline.instructed import METAMODEL, InstructedPipe, check_encoded, listens

if TYPE_CHECKING:
    from spacy_transformers.data_classes import TransformerData


@Language.factory(
    "falconer_label",
    assigns=["doc.cats"],
    default_config={
        "instructions": {},
        "threshold": 0.5,
        "model": {**METAMODEL, "op": "get_label"},
        "scorer": {"@scorers": "spacy-falconer.label_scorer.v1"},
    },
    default_score_weights={"cats_macro_f": 1.0},
)
def make_falconer_label(
    nlp: Language,
    name: str,
    model: Model[list[Doc], Floats2d],
    instructions: dict[str, str],
    threshold: float,
    scorer: Callable | None,
) -> FalconerLabel:
    """Make a component that answers label instructions.

    instructions (dict[str, str]): Statements by their key in `doc.cats`, read when the pipeline is initialized.
    threshold (float): Least score, 0 to 1, that counts as true, for instructions without a threshold of their own.
    """
    cfg = {"instructions": dict(instructions), "threshold": threshold}
    return FalconerLabel(nlp, model, name, cfg=cfg, scorer=scorer)


class FalconerLabel(InstructedPipe):
    """Scores statements, 0 to 1, in `doc.cats`."""

    op = "get_label"

    def predict(self, docs: Iterable[Doc]) -> Floats2d:
        """Return the raw scores of all instructions, shape (n_texts, K). `set_annotations` calibrates them."""
        docs = list(docs)
        check_encoded(docs, self)
        if not self.labels or not any(len(doc) for doc in docs):
            return numpy.zeros((len(docs), len(self.labels)))
        return self.to_scores(docs, self.model.predict(docs))

    def to_scores(self, docs: Sequence[Doc], logits: Floats2d) -> Floats2d:
        """Turn logits into scores, which are 0 for a text in which nothing can be read."""
        is_listening = listens(self)
        has_words = [[any(find_words(doc, doc._.trf_data if is_listening else None))] for doc in docs]
        return sigmoid(self.model.ops.to_numpy(logits)) * numpy.array(has_words)

    def set_annotations(self, docs: Iterable[Doc], scores: Floats2d) -> None:
        calibrated = calibrate(scores, *self.calibrations_of(self.labels))
        for doc, row in zip(docs, calibrated.tolist(), strict=True):
            doc.cats.update(zip(self.labels, row, strict=True))

    def get_loss(self, examples: Iterable[Example], scores: Floats2d) -> tuple[float, Floats2d]:
        """Return the binary cross-entropy over the keys in the reference's cats; the others were not asked."""
        rows = [[eg.reference.cats.get(key, numpy.nan) for key in self.labels] for eg in examples]
        logits = self.model.ops.to_numpy(scores)
        loss, gradient = label_loss(logits, numpy.array(rows, dtype="float64").reshape(logits.shape))
        return loss, self.model.ops.asarray2f(gradient)


def find_words(doc: Doc, read: TransformerData | None) -> Iterator[bool]:
    """Yield of each token whether it is not a space and, if what the encoder `read` is known, has pieces in it."""
    if read is None:
        return (not token.is_space for token in doc)
    return (bool(n) and not token.is_space for token, n in zip(doc, read.align.lengths, strict=True))
