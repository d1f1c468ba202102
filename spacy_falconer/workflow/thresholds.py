"""Fit each instruction's calibration and threshold to answers that the pipeline was not trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.corpus.docbin import SPANS_KEY
from spacy_falconer.metamodel.calibrate import calibrate, fit_calibrations
from spacy_falconer.metamodel.threshold import Candidates, append, choose_threshold, pool
from spacy_falconer.pipeline.components import find_instructed
from spacy_falconer.pipeline.instructed import InstructedPipe
from spacy_falconer.pipeline.score import is_asked, n_missed, places, weights_of
from spacy_falconer.workflow.fitted import Fitted, note_fitted
from spacy_falconer.workflow.targets import BEST_F1, Targets

Heard = list[tuple[InstructedPipe, dict[str, Candidates]]]
Pairs = Sequence[tuple[Doc, Doc]]  # What was found, and what was answered.


def fit_thresholds(nlp: Language, docs: Sequence[Doc], targets: Targets = BEST_F1) -> list[Fitted]:
    """Set the calibrations and, on calibrated scores, the thresholds of all instructions that have answers.

    docs: Held-out answers, as `corpus.docbin` makes them.
    RETURNS (list[Fitted]): What was set; the pipeline keeps it, too. An instruction without one positive answer keeps
        its scores as they are.
    """
    fitted = fit_candidates(read_candidates(nlp, docs), targets)
    note_fitted(nlp, fitted)
    return fitted


def fit_candidates(heard: Heard, targets: Targets = BEST_F1) -> list[Fitted]:
    """Set calibrations and thresholds from candidates that were read before. The result is for `note_fitted`."""
    fitted = []
    for pipe, candidates in heard:
        pipe.cfg["calibrations"].update({key: list(one) for key, one in fit_calibrations(candidates).items()})
        fitted += _fit(pipe, calibrate_all(pipe, candidates), targets)
    return fitted


def join_candidates(heard: Sequence[Heard]) -> Heard:
    """Join what pipelines with the same components said, each of its own texts, as if the first had said all of it."""
    joined = []
    for same in zip(*heard, strict=True):
        pipe, candidates = same[0][0], [found for _, found in same]
        joined.append((pipe, {key: append(found[key] for found in candidates) for key in candidates[0]}))
    return joined


def read_candidates(nlp: Language, docs: Sequence[Doc]) -> Heard:
    """Return for every component what its thresholds decide about in answered texts, by key, with raw scores."""
    with all_spans(nlp), raw_scores(nlp):
        pairs = list(zip(read_docs(nlp, [doc.text for doc in docs]), docs, strict=True))
    read = []
    for pipe in find_instructed(nlp, "get_label"):
        read.append((pipe, {key: label_candidates(key, pairs) for key in pipe.labels}))
    for pipe in find_instructed(nlp, "get_span"):
        group = pipe.cfg["spans_key"]
        read.append((pipe, {key: span_candidates(key, pairs, spans_key=group) for key in pipe.labels}))
    return read


def read_docs(nlp: Language, texts: Sequence[str]) -> Iterator[Doc]:
    """Yield docs as a pipeline annotates them, without the encoder's vectors, which would fill the memory."""
    for doc in nlp.pipe(nlp.make_doc(text) for text in texts):
        if Doc.has_extension("trf_data"):
            doc._.trf_data = None
        yield doc


def calibrate_all(pipe: InstructedPipe, candidates: dict[str, Candidates]) -> dict[str, Candidates]:
    """Return the candidates with the calibrated scores that the component writes."""
    return {
        key: part.with_scores(calibrate(part.scores, *pipe.calibrations_of([key]))) for key, part in candidates.items()
    }


@contextmanager
def without_plan(nlp: Language) -> Iterator[None]:
    """Inside the block, let the components answer, but run no plan on their answers."""
    plans = [name for name in nlp.pipe_names if nlp.get_pipe_meta(name).factory == "falconer_plan"]
    with nlp.select_pipes(disable=plans):
        yield


@contextmanager
def all_spans(nlp: Language) -> Iterator[None]:
    """Inside the block, let span components write every candidate, however low its score, and run no plan on them."""
    spans = find_instructed(nlp, "get_span")
    with without_plan(nlp), _changed(spans, threshold=0.0, thresholds={}):
        yield


@contextmanager
def raw_scores(nlp: Language) -> Iterator[None]:
    """Inside the block, let the components write scores as the model gives them."""
    with _changed(find_instructed(nlp), calibrations={}):
        yield


@contextmanager
def _changed(pipes: Sequence[InstructedPipe], **settings: object) -> Iterator[None]:
    own = [{name: pipe.cfg[name] for name in settings} for pipe in pipes]
    for pipe in pipes:
        pipe.cfg.update(settings)
    try:
        yield
    finally:
        for pipe, cfg in zip(pipes, own, strict=True):
            pipe.cfg.update(cfg)


def label_candidates(key: str, pairs: Pairs) -> Candidates:
    """Return the candidates of a label: every text that was asked."""
    weights = weights_of([wanted for _, wanted in pairs])
    rows = [
        (found.cats[key], wanted.cats[key] == 1.0, weight, i)
        for i, ((found, wanted), weight) in enumerate(zip(pairs, weights, strict=True)) if key in wanted.cats
    ]  # fmt: skip
    return _gather(rows, [weight for _, hit, weight, _ in rows if hit])


def span_candidates(key: str, pairs: Pairs, *, spans_key: str) -> Candidates:
    """Return the candidates of passages: every span found in a text that was asked. Answers that cannot be matched are
    counted as wanted, too.

    spans_key (str): The group of the spans that were found. Answers have a group of their own.
    """
    rows, to_find = [], []
    weights = weights_of([wanted for _, wanted in pairs])
    for i, ((found, wanted), weight) in enumerate(zip(pairs, weights, strict=True)):
        gold = wanted.spans.get(SPANS_KEY)
        if not is_asked(gold, key):
            continue
        targets = places(gold).get(key, set())
        to_find += [weight] * (len(targets) + n_missed(gold, key))
        group = found.spans[spans_key]
        rows += [
            (float(score), (span.start_char, span.end_char) in targets, weight, i)
            for span, score in zip(group, group.attrs["scores"], strict=True) if span.label_ == key
        ]  # fmt: skip
    return _gather(rows, to_find)


def _gather(rows: Sequence[tuple[float, bool, float, int]], to_find: Sequence[float]) -> Candidates:
    """Gather the scores, hits, weights and texts of candidates, and the weights of all that is wanted."""
    scores, hits, weights, texts = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Candidates(
        numpy.array(scores, dtype="float64"), numpy.array(hits, dtype=bool), numpy.array(weights, dtype="float64"),
        numpy.array(texts, dtype="int64"), n_wanted=len(to_find), wanted=sum(to_find),
    )  # fmt: skip


def _fit(pipe: InstructedPipe, candidates: dict[str, Candidates], targets: Targets) -> list[Fitted]:
    """Set the thresholds. Keys with too few answers get what is best for all keys together; those without any right
    candidate have raw scores, and keep their thresholds.
    """
    fitted, together = [], pool(candidates.values()) if candidates else None
    for key, found in candidates.items():
        if not len(found.scores):  # An earlier task's instruction was not asked: it keeps its own threshold.
            continue
        target, own = targets.of(key), choose_threshold(found, targets.of(key))
        choice = own or (choose_threshold(together, target) if found.hits.any() else None)
        if choice is not None:
            pipe.cfg["thresholds"][key] = choice.threshold
        fitted.append(Fitted(key, target, choice, is_shared=own is None))
    return fitted
