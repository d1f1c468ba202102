"""Each instruction's own threshold, from answers that it was not trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.metamodel.calibrate import best_threshold
from spacy_falconer.pipeline.callbacks import find_components
from spacy_falconer.pipeline.instructed import InstructedPipe
from spacy_falconer.pipeline.score import asked_keys, n_missed, places

Candidates = tuple[list[float], list[bool], int]  # scores, whether each was wanted, how many there were to find
Pairs = Sequence[tuple[Doc, Doc]]  # what was found, what was answered


def fit_thresholds(nlp: Language, docs: Sequence[Doc]) -> list[str]:
    """Set the thresholds of all instructions by best F.

    docs: Held-out answers, as `corpus.docbin` makes them.
    RETURNS (list[str]): The keys with too few positive answers to tell; they keep the default.
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
    asked = [(found.cats[key], wanted.cats[key] == 1.0) for found, wanted in pairs if key in wanted.cats]
    return [score for score, _ in asked], [hit for _, hit in asked], sum(hit for _, hit in asked)


def span_candidates(key: str, pairs: Pairs, *, spans_key: str) -> Candidates:
    """Every span found in a text that was asked is a candidate; answers that cannot be matched are to find, too."""
    scores, hits, n_wanted = [], [], 0
    for found, wanted in pairs:
        gold = wanted.spans.get(spans_key)
        if key not in asked_keys(gold):
            continue
        targets = places(gold).get(key, set())
        n_wanted += len(targets) + n_missed(gold, key)
        group = found.spans[spans_key]
        for span, score in zip(group, group.attrs["scores"], strict=True):
            if span.label_ == key:
                scores.append(float(score))
                hits.append((span.start_char, span.end_char) in targets)
    return scores, hits, n_wanted


def _fit(pipe: InstructedPipe, candidates: dict[str, Candidates]) -> list[str]:
    """Set what can be told; return the keys for which nothing can."""
    unsure = []
    for key, (scores, hits, n_wanted) in candidates.items():
        threshold = best_threshold(numpy.array(scores), numpy.array(hits), n_wanted, default=pipe.cfg["threshold"])
        if threshold is None:
            unsure.append(key)
        else:
            pipe.cfg["thresholds"][key] = threshold
    return unsure
