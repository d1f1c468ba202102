"""`falconer_span`: which passages answer the instruction? Writes `doc.spans[spans_key]` with scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from thinc.api import Model
from thinc.types import Floats2d, Floats3d

from spacy_falconer.metamodel.calibrate import calibrate
from spacy_falconer.metamodel.decode import FoundSpans, decode_spans, softmax
from spacy_falconer.metamodel.loss import SHARES, pair_weights, span_loss, span_targets
from spacy_falconer.pipeline.instructed import METAMODEL, InstructedPipe, check_encoded
from spacy_falconer.pipeline.score import is_asked


@Language.factory(
    "falconer_span",
    assigns=["doc.spans"],
    default_config={
        "instructions": {},
        "threshold": 0.5,
        "spans_key": "sc",
        "model": {**METAMODEL, "op": "get_span"},
        "scorer": {"@scorers": "spacy-falconer.span_scorer.v1"},
    },
    default_score_weights={"spans_sc_f": 1.0},
)
def make_falconer_span(
    nlp: Language,
    name: str,
    model: Model[list[Doc], Floats3d],
    instructions: dict[str, str],
    threshold: float,
    spans_key: str,
    scorer: Callable | None,
) -> FalconerSpan:
    """Make a component that answers span instructions.

    instructions (dict[str, str]): Requests by their key, the spans' label, read when the pipeline is initialized.
    threshold (float): Least score of a span, 0 to 1, for instructions without a threshold of their own.
    spans_key (str): Where in `doc.spans` they are written. With another key than "sc", set `[training.score_weights]`.
    """
    cfg = {"instructions": dict(instructions), "threshold": threshold, "spans_key": spans_key}
    return FalconerSpan(nlp, model, name, cfg=cfg, scorer=scorer)


class FalconerSpan(InstructedPipe):
    """Finds passages. Their scores, 0 to 1, are in `doc.spans[spans_key].attrs["scores"]`, in the spans' order."""

    op = "get_span"

    def predict(self, docs: Iterable[Doc]) -> Floats3d:
        """Return the B, I and O scores of all instructions, shape (n_tokens, K, 3), text after text."""
        docs = list(docs)
        check_encoded(docs, self)
        n_tokens = sum(len(doc) for doc in docs)
        if not self.labels or not n_tokens:
            return numpy.zeros((n_tokens, len(self.labels), 3))
        return self.to_scores(docs, self.model.predict(docs))

    def to_scores(self, docs: Sequence[Doc], logits: Floats3d) -> Floats3d:
        return softmax(self.model.ops.to_numpy(logits))

    def set_annotations(self, docs: Iterable[Doc], scores: Floats3d) -> None:
        docs = list(docs)
        kept = self.find_spans(scores, [len(doc) for doc in docs], self.labels)
        for doc, spans in zip(docs, split_by_text(kept, docs), strict=True):
            doc.spans[self.cfg["spans_key"]] = make_group(doc, spans, keys=self.labels, name=self.cfg["spans_key"])

    def find_spans(self, scores: Floats3d, lengths: Sequence[int], keys: Sequence[str]) -> FoundSpans:
        """Return the candidates that reach their instructions' thresholds. The arguments are those of `find_candidates`."""
        thresholds = numpy.array([self.threshold_of(key) for key in keys])
        return self.find_candidates(scores, lengths, keys).at_least(thresholds)

    def find_candidates(self, scores: Floats3d, lengths: Sequence[int], keys: Sequence[str]) -> FoundSpans:
        """Return all spans that B, I and O scores decode to, with calibrated scores, however low these are.

        scores: Of the tokens of all texts, shape (n_tokens, K, 3). lengths: Tokens of each text. keys: K of them.
        """
        found = decode_spans(scores, list(lengths))
        slopes, offsets = self.calibrations_of(keys)[:, found.instruction]
        return replace(found, score=calibrate(found.score, slopes, offsets))

    def get_loss(self, examples: Iterable[Example], scores: Floats3d) -> tuple[float, Floats3d]:
        """Return the cross-entropy over what was asked: the keys in the group's attrs["asked"], else all.

        If attrs["shares"] has B, I and O scores of a key's tokens, shape (n_tokens, 3), these are the targets.
        """
        examples, logits = list(examples), self.model.ops.to_numpy(scores)
        rows = [example_targets(eg, self.labels, self.cfg["spans_key"]) for eg in examples]
        targets = numpy.concatenate(rows).reshape(logits.shape)
        loss, gradient = span_loss(logits, targets, pair_weights(targets, [len(eg.predicted) for eg in examples]))
        return loss, self.model.ops.asarray3f(gradient)


def split_by_text(found: FoundSpans, docs: Sequence[Doc]) -> Iterator[FoundSpans]:
    """Yield the spans of each text, in tokens of that text, ordered by place."""
    firsts = numpy.cumsum([0, *(len(doc) for doc in docs)])
    order = numpy.lexsort((found.instruction, found.end, found.start))
    found = found.take(order)
    bounds = numpy.searchsorted(found.start, firsts)
    for first, low, high in zip(firsts, bounds, bounds[1:], strict=False):
        yield found.take(slice(low, high)).shift(-first)


def make_group(doc: Doc, found: FoundSpans, *, keys: Sequence[str], name: str) -> SpanGroup:
    """Make a group of the spans with their labels, and with their scores in its attrs."""
    rows = zip(found.instruction.tolist(), found.start.tolist(), found.end.tolist(), strict=True)
    group = SpanGroup(doc, name=name, spans=[Span(doc, start, end, label=keys[k]) for k, start, end in rows])
    group.attrs["scores"] = found.score.astype("float32")
    return group


def example_targets(eg: Example, keys: Sequence[str], spans_key: str) -> Floats3d:
    """Return a text's targets, shape (n_tokens, K, 3): shares of B, I and O, zeros where the answer is unknown."""
    group = eg.reference.spans.get(spans_key)
    shares = find_shares(eg, group)
    unasked = numpy.zeros((len(eg.predicted), 3))
    columns = [
        shares[key] if key in shares else _column(eg.predicted, group, key) if is_asked(group, key) else unasked
        for key in keys
    ]
    return numpy.stack(columns, axis=1) if columns else numpy.zeros((len(eg.predicted), 0, 3))


def find_shares(eg: Example, group: SpanGroup | None) -> dict[str, Floats2d]:
    """Return the B, I and O scores that a group holds, by key; none if the tokens differ."""
    shares = group.attrs.get("shares", {}) if group is not None else {}
    is_same = not shares or [token.idx for token in eg.predicted] == [token.idx for token in eg.reference]
    return shares if is_same else {}


def _column(doc: Doc, group: SpanGroup, key: str) -> Floats2d:
    """Return one instruction's targets. Tokens that an answer touches without fitting their boundaries are unknown."""
    places = [(span.start_char, span.end_char) for span in group if span.label_ == key]
    places += [(start, end) for start, end in group.attrs.get("missed", {}).get(key, ())]
    spans, unknown = [], []
    for start, end in places:
        fitting = doc.char_span(start, end)
        touched = fitting or doc.char_span(start, end, alignment_mode="expand")
        if touched is not None:
            (spans if fitting else unknown).append((touched.start, touched.end))
    return SHARES[span_targets(len(doc), spans, unknown)]
