"""How well a pipeline agrees with the language model, and with people where they answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_falconer.errors import AnswerError
from spacy_falconer.pipeline.callbacks import find_components
from spacy_falconer.pipeline.score import asked_keys

GOLD = "gold"


def evaluate(nlp: Language, docs: Sequence[Doc]) -> dict[str, Any]:
    """Score a pipeline on answers that it was not trained on. The answers are left as they are.

    docs: Answers, as `corpus.docbin` makes them.
    RETURNS: `{"labels": {"macro_f", "per_instruction": {key: {"p", "r", "f", "n"}}}, "spans": the same,
        "n_texts": ...}`. `n` counts the texts of which it was asked. Spans must match exactly; an answer that could
        not be placed is a miss. With answers of people, the same under "people".
    RAISES (AnswerError): There is no answer to compare with.
    """
    if not docs:
        raise AnswerError("There are no answers to evaluate on. Give a file whose instructions are the plan's own.")
    found = list(nlp.pipe([nlp.make_doc(doc.text) for doc in docs]))
    scores = score_all(nlp, found, docs)
    people = [as_people_said(doc) for doc in docs if GOLD in doc.spans]
    if people:
        of_people = [doc for doc, answer in zip(found, docs, strict=True) if GOLD in answer.spans]
        scores["people"] = score_all(nlp, of_people, people)
    return scores


def score_all(nlp: Language, found: Sequence[Doc], wanted: Sequence[Doc]) -> dict[str, Any]:
    """Both components' scores. `found` are fresh docs that the pipeline annotated."""
    examples = [Example(one, other) for one, other in zip(found, wanted, strict=True)]
    scores: dict[str, Any] = {"labels": empty_scores(), "spans": empty_scores(), "n_texts": len(examples)}
    for pipe in find_components(nlp, "falconer_label"):
        asked = {key: sum(key in eg.reference.cats for eg in examples) for key in pipe.labels}
        scores["labels"] = summarize(pipe.score(examples), "cats", "cats_f_per_type", asked)
    for pipe in find_components(nlp, "falconer_span"):
        group = pipe.cfg["spans_key"]
        asked = {key: sum(key in asked_keys(eg.reference.spans.get(group)) for eg in examples) for key in pipe.labels}
        scores["spans"] = summarize(pipe.score(examples), f"spans_{group}", f"spans_{group}_per_type", asked)
    return scores


def empty_scores() -> dict[str, Any]:
    return {"macro_f": None, "per_instruction": {}}


def summarize(scores: dict[str, Any], prefix: str, per_type: str, asked: dict[str, int]) -> dict[str, Any]:
    """What was asked, of the component's own scores."""
    rows = {key: {**scores[per_type][key], "n": n} for key, n in asked.items() if n}
    return {"macro_f": scores[f"{prefix}_macro_f"], "per_instruction": rows}


def as_people_said(doc: Doc) -> Doc:
    """A copy of an answered text whose answers are those of people."""
    people = doc.copy()
    people.cats = dict(doc.user_data.get("gold_cats", {}))
    group = doc.spans[GOLD].copy(doc=people)
    group.attrs.update(doc.spans[GOLD].attrs)
    people.spans["sc"] = group
    return people
