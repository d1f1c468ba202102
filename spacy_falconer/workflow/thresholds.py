"""Each instruction's own threshold, from answers that it was not trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.metamodel.calibrate import Candidates, best_threshold, pool
from spacy_falconer.pipeline.callbacks import find_components
from spacy_falconer.pipeline.instructed import InstructedPipe
from spacy_falconer.pipeline.score import asked_keys, n_missed, places, weights_of

Pairs = Sequence[tuple[Doc, Doc]]  # what was found, what was answered


def fit_thresholds(nlp: Language, docs: Sequence[Doc]) -> list[str]:
    """Set the thresholds of all instructions by best F.

    docs: Held-out answers, as `corpus.docbin` makes them.
    RETURNS (list[str]): The keys with too few positive answers to tell; they share one threshold.
    """
    with all_spans(nlp):
        found = nlp.pipe([nlp.make_doc(doc.text) for doc in docs])
        pairs = list(zip(found, docs, strict=True))
    unsure = []
    for pipe in find_components(nlp, "falconer_label"):
        unsure += _fit(pipe, {key: label_candidates(key, pairs) for key in pipe.labels})
    for pipe in find_components(nlp, "falconer_span"):
        group = pipe.cfg["spans_key"]
        unsure += _fit(pipe, {key: span_candidates(key, pairs, spans_key=group) for key in pipe.labels})
    return unsure


@contextmanager
def all_spans(nlp: Language) -> Iterator[None]:
    """Let the span components write every candidate, however low its score."""
    pipes = find_components(nlp, "falconer_span")
    own = [dict(pipe.cfg) for pipe in pipes]
    for pipe in pipes:
        pipe.cfg.update(threshold=0.0, thresholds={})
    try:
        yield
    finally:
        for pipe, cfg in zip(pipes, own, strict=True):
            pipe.cfg.update(cfg)


def label_candidates(key: str, pairs: Pairs) -> Candidates:
    """Every text that was asked is a candidate."""
    weights = weights_of([wanted for _, wanted in pairs])
    rows = [
        (found.cats[key], wanted.cats[key] == 1.0, weight)
        for (found, wanted), weight in zip(pairs, weights, strict=True) if key in wanted.cats
    ]  # fmt: skip
    return _gather(rows, [weight for _, hit, weight in rows if hit])


def span_candidates(key: str, pairs: Pairs, *, spans_key: str) -> Candidates:
    """Every span found in a text that was asked is a candidate; answers that cannot be matched are to find, too."""
    rows, to_find = [], []
    weights = weights_of([wanted for _, wanted in pairs])
    for (found, wanted), weight in zip(pairs, weights, strict=True):
        gold = wanted.spans.get(spans_key)
        if key not in asked_keys(gold):
            continue
        targets = places(gold).get(key, set())
        to_find += [weight] * (len(targets) + n_missed(gold, key))
        group = found.spans[spans_key]
        rows += [
            (float(score), (span.start_char, span.end_char) in targets, weight)
            for span, score in zip(group, group.attrs["scores"], strict=True) if span.label_ == key
        ]  # fmt: skip
    return _gather(rows, to_find)


def _gather(rows: Sequence[tuple[float, bool, float]], to_find: Sequence[float]) -> Candidates:
    """Scores, hits and weights of candidates, and the weights of all that is to find."""
    scores, hits, weights = zip(*rows, strict=True) if rows else ((), (), ())
    return Candidates(
        numpy.array(scores, dtype="float64"), numpy.array(hits, dtype=bool), numpy.array(weights, dtype="float64"),
        n_wanted=len(to_find), wanted=sum(to_find),
    )  # fmt: skip


def _fit(pipe: InstructedPipe, candidates: dict[str, Candidates]) -> list[str]:
    """Set the thresholds; return the keys whose own answers do not tell. They get what is best for all keys together."""
    default, unsure = pipe.cfg["threshold"], []
    shared = best_threshold(pool(candidates.values()), default=default) if candidates else None
    for key, found in candidates.items():
        threshold = best_threshold(found, default=default)
        if threshold is None:
            unsure.append(key)
        threshold = shared if threshold is None else threshold
        was_asked = len(found.scores) > 0  # An earlier task's instruction was not: it keeps its own threshold.
        if threshold is not None and was_asked:
            pipe.cfg["thresholds"][key] = threshold
    return unsure
