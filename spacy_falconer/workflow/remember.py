"""Keep what a pipeline knows while it learns something new."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from random import Random

import numpy
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.util import minibatch
from thinc.types import FloatsXd

from spacy_falconer.corpus.docbin import LANGUAGE, SPANS_KEY
from spacy_falconer.errors import AnswerError
from spacy_falconer.pipeline.callbacks import add_instructions
from spacy_falconer.pipeline.components import find_instructed
from spacy_falconer.pipeline.instructed import InstructedPipe, take_turns
from spacy_falconer.pipeline.score import places
from spacy_falconer.pipeline.source import load_pipeline
from spacy_falconer.plan import Plan
from spacy_falconer.plan.schema import Step
from spacy_falconer.workflow.answers import list_asked, read_answers

MAX_REPLAYED = 1.0  # The most earlier answers per new one.
BATCH_TEXTS = 32

Kept = Sequence[tuple[InstructedPipe, list[str]]]  # Components, and their instructions that must stay as they are.


def remember(
    source: Path, plan: Plan, docs: Sequence[Doc], replay: Sequence[Doc], *, silent: Collection[str] = (), seed: int
) -> list[Doc]:
    """Return new answers together with what must not be forgotten: some earlier answers, and what the source itself finds.

    An earlier instruction is learned again from its earlier answers, if any of them is positive. For the others, and for
    new instructions without a positive answer, what the source finds takes the place of answers.

    source (Path): The earlier pipeline. replay: Answers to its instructions, if there are any.
    silent: Keys of the plan without a positive answer. The answers to them are left out of `docs`.
    """
    again = sample(replay, round(MAX_REPLAYED * len(docs)), seed=seed)
    said = find_said(again)
    again = [leave_out(doc, list_asked(doc) - said["get_label"] - said["get_span"]) for doc in again]
    nlp = load_pipeline(source)
    if silent:
        add_instructions(nlp, plan)
    taught = {op: said[op] | {step.id for step in plan.text_steps(op)} - set(silent) for op in said}
    kept = [(pipe, [key for key in pipe.labels if key not in taught[pipe.op]]) for pipe in find_instructed(nlp)]
    return add_findings([*docs, *again], nlp, [(pipe, keys) for pipe, keys in kept if keys])


def sample(docs: Sequence[Doc], n: int, *, seed: int) -> list[Doc]:
    return Random(seed).sample(list(docs), min(len(docs), n))


def find_silent(plan: Plan, docs: Sequence[Doc]) -> list[str]:
    """Return the steps that have no positive answer."""
    said = find_said(docs)
    return [step.id for step in plan.text_steps() if step.id not in said[step.op]]


def find_said(docs: Sequence[Doc]) -> dict[str, set[str]]:
    """Return the keys that have a positive answer, by primitive."""
    labels = {key for doc in docs for key, value in doc.cats.items() if value}
    return {"get_label": labels, "get_span": {key for doc in docs for key in places(doc.spans.get(SPANS_KEY))}}


def leave_out(doc: Doc, keys: Collection[str]) -> Doc:
    """Return a copy of an answered text without the answers to some instructions: a pre-trained pipeline knows them
    better than answers that are all negative.
    """
    left = doc.copy()
    left.cats = {key: value for key, value in doc.cats.items() if key not in keys}
    group = left.spans[SPANS_KEY]
    group.attrs["asked"] = [key for key in group.attrs["asked"] if key not in keys]
    return left


def add_findings(docs: Sequence[Doc], nlp: Language, kept: Kept) -> list[Doc]:
    """Return copies of answered texts that also hold what a pipeline finds in them for some of its instructions."""
    if not kept:
        return list(docs)
    found = []
    for some in minibatch(docs, BATCH_TEXTS):
        answered = [doc.copy() for doc in some]
        seen = [Doc(nlp.vocab, [t.text for t in doc], [bool(t.whitespace_) for t in doc]) for doc in answered]
        for pipe, (_, keys) in zip(take_turns(seen, [pipe for pipe, _ in kept], nlp), kept, strict=True):
            columns = [pipe.labels.index(key) for key in keys]
            add = add_spans if pipe.op == "get_span" else add_labels
            add(answered, pipe, keys, pipe.predict(seen)[:, columns])
        found += answered
    return found


def add_labels(docs: Sequence[Doc], pipe: InstructedPipe, keys: Sequence[str], scores: FloatsXd) -> None:
    """Add the scores as they are before calibration, as these are learned."""
    for doc, row in zip(docs, scores.tolist(), strict=True):
        doc.cats = {**dict(zip(keys, row, strict=True)), **doc.cats}


def add_spans(docs: Sequence[Doc], pipe: InstructedPipe, keys: Sequence[str], scores: FloatsXd) -> None:
    """Add the spans, and the tokens' scores that they were decoded from."""
    ends = numpy.cumsum([len(doc) for doc in docs])
    for doc, own in zip(docs, numpy.split(scores.astype("float32"), ends[:-1]), strict=True):
        found = pipe.find_spans(own, [len(doc)], keys)
        rows = zip(found.instruction.tolist(), found.start.tolist(), found.end.tolist(), strict=True)
        group = doc.spans[SPANS_KEY] if SPANS_KEY in doc.spans else SpanGroup(doc, name=SPANS_KEY, attrs={"asked": []})
        group.extend([Span(doc, start, end, label=keys[k]) for k, start, end in rows])
        if "asked" in group.attrs:  # Without it, everything counts as asked.
            group.attrs["asked"] = [*group.attrs["asked"], *keys]
        group.attrs["shares"] = {key: own[:, k] for k, key in enumerate(keys)}
        doc.spans[SPANS_KEY] = group


def find_earlier(replay: Path | None, source: Path | None) -> list[Doc]:
    """Return answers to the source's own instructions; none if there is no `replay`.

    RAISES (AnswerError): Training does not start from a pipeline, or they answer none of its instructions.
    """
    if replay is None:
        return []
    if source is None:
        raise AnswerError(
            f"The answers of {str(replay)!r} are to be learned again, but a training config does not start from a pipeline. "
            "Name the one that learned them by --source, or leave --replay out."
        )
    return read_earlier(replay, source)


def read_earlier(path: Path, source: Path) -> list[Doc]:
    """Read answers to a pipeline's own instructions, by its keys.

    RAISES (AnswerError): The file answers none of them.
    """
    plan = plan_of(load_pipeline(source))
    if not plan.steps:
        raise AnswerError(
            f"{str(source)!r} holds no instructions, so no earlier answers can be learned again. Name the pipeline that "
            "learned them by --source, or leave --replay out."
        )
    docs, _ = read_answers(path, plan, spacy.blank(LANGUAGE))
    asked = [doc for doc in docs if list_asked(doc)]
    if not asked:
        known = "; ".join(step.instruction for step in plan.steps)
        raise AnswerError(
            f"{str(path)!r} answers none of the instructions of {str(source)!r}: {known}. "
            "Give the answers that the pipeline was trained on, or leave --replay out."
        )
    return asked


def plan_of(nlp: Language) -> Plan:
    """Return every instruction that a pipeline holds, as a plan. Unlike in a user's plan, its keys may be any words."""
    instructed = find_instructed(nlp)
    found = {key: (pipe.op, text) for pipe in instructed for key, text in pipe.cfg["instructions"].items()}
    steps = tuple(Step.model_construct(id=key, op=op, instruction=text) for key, (op, text) in found.items())
    return Plan.model_construct(instruction="All instructions of the pipeline", steps=steps)
