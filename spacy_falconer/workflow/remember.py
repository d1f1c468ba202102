"""What an earlier pipeline knows, kept while it learns something new."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_falconer.errors import AnswerError
from spacy_falconer.pipeline.callbacks import find_components, find_instructed
from spacy_falconer.pipeline.instructed import InstructedPipe
from spacy_falconer.pipeline.score import asked_keys
from spacy_falconer.plan import Plan, parse_plan
from spacy_falconer.workflow.answers import read_answers

LANGUAGE = "en"
MOST_REPLAYED = 1.0  # Earlier answers, for each new one.


def remember(source: Path, plan: Plan, docs: Sequence[Doc], replay: Sequence[Doc], *, seed: int) -> list[Doc]:
    """New answers together with what must not be forgotten: earlier answers, or what the source finds in the new texts.

    source (Path): The earlier pipeline. replay: Answers to its instructions, where there are some.
    """
    if replay:
        n_most = round(MOST_REPLAYED * len(docs))
        return [*docs, *Random(seed).sample(list(replay), min(len(replay), n_most))]
    nlp = spacy.load(source)
    old = find_instructed(nlp)
    new = {step.id for step in plan.steps}
    if not any(set(pipe.labels) - new for pipe in old):
        return list(docs)
    for pipe in find_components(nlp, "falconer_label"):
        pipe.cfg["calibrations"] = {}  # What is learned is the score before it.
    found = nlp.pipe([nlp.make_doc(doc.text) for doc in docs])
    return [add_findings(doc.copy(), seen, old, new) for doc, seen in zip(docs, found, strict=True)]


def add_findings(doc: Doc, seen: Doc, pipes: Sequence[InstructedPipe], new: set[str]) -> Doc:
    """Put what the source found by its own instructions beside the answers to the new ones."""
    for pipe in pipes:
        keys = [key for key in pipe.labels if key not in new]
        if "spans_key" not in pipe.cfg:
            doc.cats = {**{key: seen.cats[key] for key in keys}, **doc.cats}
            continue
        group = doc.spans["sc"]
        spans = [span for span in seen.spans[pipe.cfg["spans_key"]] if span.label_ in keys]
        group.extend([Span(doc, span.start, span.end, label=span.label_) for span in spans])
        group.attrs["asked"] = [*asked_keys(group), *keys]
    return doc


def read_earlier(path: Path, source: Path) -> list[Doc]:
    """Answers to a pipeline's own instructions, by its keys.

    RAISES (AnswerError): The file answers none of them.
    """
    steps = list_steps(spacy.load(source))
    docs, _ = read_answers(path, parse_plan({"instruction": "Earlier tasks", "steps": steps}), spacy.blank(LANGUAGE))
    asked = [doc for doc in docs if doc.cats or asked_keys(doc.spans.get("sc"))]
    if not asked:
        known = "; ".join(step["instruction"] for step in steps)
        raise AnswerError(
            f"{str(path)!r} answers none of the instructions of {str(source)!r}: {known}. "
            "Give the answers that the pipeline was trained on, or leave --replay out."
        )
    return asked


def list_steps(nlp: Language) -> list[dict[str, str]]:
    """Every instruction that a pipeline holds, as the step of a plan."""
    found: dict[str, dict[str, str]] = {}
    for factory, op in (("falconer_label", "get_label"), ("falconer_span", "get_span")):
        for pipe in find_components(nlp, factory):
            for key, text in pipe.cfg["instructions"].items():
                found.setdefault(key, {"id": key, "op": op, "instruction": text})
    return list(found.values())
