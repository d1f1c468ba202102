"""Answers as spaCy docs, and docs on disk. What was not asked of a text stays unknown, never "false"."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span, SpanGroup

from spacy_falconer.errors import AnswerError
from spacy_falconer.grounding import align, find_quotes
from spacy_falconer.plan import Plan
from spacy_falconer.types import Answer

LANGUAGE = "en"  # Its tokenizer is used if there is no pipeline yet.
SPANS_KEY = "sc"
GOLD = "gold"


@dataclass
class Placement:
    """How one instruction's quotes were placed."""

    n_texts: int = 0
    n_quotes: int = 0
    n_unplaced: int = 0  # not in the text, or ambiguous
    n_misaligned: int = 0  # in the text, but not on token boundaries

    @property
    def n_placed(self) -> int:
        return self.n_quotes - self.n_unplaced - self.n_misaligned


@dataclass
class GroundingReport:
    """How all quotes were placed, by step id."""

    placements: dict[str, Placement] = field(default_factory=dict)

    def count(self, group: SpanGroup) -> None:
        """Count one text's answers."""
        for key in group.attrs["asked"]:
            placement = self.placements.setdefault(key, Placement())
            n_missed, n_unplaced = len(group.attrs["missed"].get(key, ())), group.attrs["unplaced"].get(key, 0)
            placement.n_texts += 1
            placement.n_quotes += sum(span.label_ == key for span in group) + n_missed + n_unplaced
            placement.n_misaligned += n_missed
            placement.n_unplaced += n_unplaced

    def explain(self) -> str | None:
        """Return how many quotes could not be placed, and whose; None if all were."""
        lost = {key: one.n_quotes - one.n_placed for key, one in self.placements.items()}
        if not any(lost.values()):
            return None
        n_quotes = sum(one.n_quotes for one in self.placements.values())
        whose = ", ".join(f"{key} {n}" for key, n in lost.items() if n)
        return f"{sum(lost.values())} of {n_quotes} quoted passages do not stand in their texts as tokens: {whose}."

    def rows(self) -> list[tuple[str, int, int, int, int, int]]:
        """Return rows of step id, texts asked, quotes, placed, not in the text, not on token boundaries."""
        return [
            (key, one.n_texts, one.n_quotes, one.n_placed, one.n_unplaced, one.n_misaligned)
            for key, one in self.placements.items()
        ]


def make_docs(answers: Iterable[Answer], plan: Plan, nlp: Language) -> tuple[list[Doc], GroundingReport]:
    """Return docs of all answers, and how their quotes were placed."""
    report = GroundingReport()
    docs = [answer_to_doc(answer, plan, nlp) for answer in answers]
    for doc in docs:
        report.count(doc.spans[SPANS_KEY])
    return docs, report


def answer_to_doc(answer: Answer, plan: Plan, nlp: Language, *, spans_key: str = SPANS_KEY) -> Doc:
    """Make a doc that holds the answers about its text, by the plan's step ids.

    `doc.cats` has the label steps that were asked. The span group has the grounded spans; its attrs say which steps
    were asked ("asked"), which characters are not on token boundaries ("missed") and how many quotes have no place
    ("unplaced").
    People's answers are in `doc.spans["gold"]` and `doc.user_data["gold_cats"]`. Where people corrected the language
    model, `doc.user_data["human"]` has the steps whose answers are theirs, and `doc.user_data["replaced"]` the model's
    answers to these, as `{"labels": {id: 0 or 1}, "spans": {id: [[start, end], None where a quote has no place]}}`.
    `doc.user_data["asked"]` has the instructions that were answered, by step id.
    Steps with `for_each` ask about passages, not about the text, and are left out.
    RAISES (AnswerError): The text is longer than a pipeline reads.
    """
    if len(answer.text) > nlp.max_length:
        raise AnswerError(
            f"The answered text {answer.text[:60]!r} has {len(answer.text):,} characters; a pipeline reads at most "
            f"{nlp.max_length:,}. Remove it from the answers."
        )
    doc = nlp.make_doc(answer.text)
    doc.user_data["model"] = answer.model
    doc.user_data["asked"] = {key: plan.steps_by_id[key].instruction for key in list_answered(answer, plan)}
    doc.cats = read_labels(answer, plan)
    doc.spans[spans_key] = ground(doc, answer, plan, name=spans_key)
    if answer.gold is not None:
        doc.spans[GOLD] = ground(doc, answer.gold, plan, name=GOLD)
        doc.user_data["gold_cats"] = read_labels(answer.gold, plan)
    if answer.human is not None:
        doc.user_data["human"] = list_answered(answer.human, plan)
        doc.user_data["replaced"] = read_plain(answer.replaced or Answer(answer.text, ""), plan)
    return doc


def list_answered(answer: Answer, plan: Plan) -> list[str]:
    return [step.id for step in plan.text_steps() if step.instruction in answer.said(step.op)]


def read_plain(answer: Answer, plan: Plan) -> dict[str, dict[str, Any]]:
    """Return an answer by the plan's step ids, with passages as characters of the text."""
    steps = [step for step in plan.text_steps("get_span") if step.instruction in answer.spans]
    placed = {step.id: find_quotes(answer.text, answer.spans[step.instruction]) for step in steps}
    spans = {key: [one and [one.start, one.end] for one in places] for key, places in placed.items()}
    return {"labels": read_labels(answer, plan), "spans": spans}


def read_labels(answer: Answer, plan: Plan) -> dict[str, float]:
    steps = [step for step in plan.text_steps("get_label") if step.instruction in answer.labels]
    return {step.id: float(answer.labels[step.instruction]) for step in steps}


def ground(doc: Doc, answer: Answer, plan: Plan, *, name: str) -> SpanGroup:
    """Return the answer's quotes as spans of the doc; the attrs of the group tell what became of the others."""
    steps = [step for step in plan.text_steps("get_span") if step.instruction in answer.spans]
    spans, missed, unplaced = [], {}, {}
    for step in steps:
        places = find_quotes(doc.text, answer.spans[step.instruction])
        found = [place for place in places if place is not None]
        fitting = align(doc, found)
        spans += [Span(doc, span.start, span.end, label=step.id) for span in fitting if span is not None]
        missed[step.id] = [[place.start, place.end] for place, span in zip(found, fitting, strict=True) if span is None]
        unplaced[step.id] = len(places) - len(found)
    group = SpanGroup(doc, name=name, spans=spans)
    group.attrs.update(
        asked=[step.id for step in steps],
        missed={key: places for key, places in missed.items() if places},
        unplaced={key: n for key, n in unplaced.items() if n},
    )
    return group


def write_docbin(docs: Iterable[Doc], path: str | Path) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    DocBin(docs=docs, store_user_data=True).to_disk(path)


def read_docbin(path: str | Path, nlp: Language) -> list[Doc]:
    """RAISES (AnswerError): The file is not a DocBin."""
    try:
        return list(DocBin(store_user_data=True).from_disk(path).get_docs(nlp.vocab))
    except Exception as error:  # spaCy raises whatever zlib and msgpack raise.
        raise AnswerError(
            f"{str(path)!r} cannot be read as a DocBin ({error}). Expected a .spacy file, such as the one that annotate writes."
        ) from error


def split_docs(docs: Sequence[Doc], *, dev_share: float, seed: int) -> tuple[list[Doc], list[Doc]]:
    """Split docs into a larger and a smaller part; docs of the same text stay together."""
    ranked = rank_texts(docs, seed=seed)
    return hold_out(docs, set(ranked[: max(1, round(dev_share * len(ranked)))]))


def fold_docs(docs: Sequence[Doc], *, n_folds: int, seed: int) -> list[tuple[list[Doc], list[Doc]]]:
    """Split docs several times, so that each text is once in the smaller part; docs of the same text stay together."""
    ranked = rank_texts(docs, seed=seed)
    return [hold_out(docs, set(ranked[i::n_folds])) for i in range(n_folds)]


def rank_texts(docs: Sequence[Doc], *, seed: int) -> list[str]:
    """Return the texts in random order. With the same seed, two texts keep their order, whatever other texts there are."""
    return sorted({doc.text for doc in docs}, key=lambda text: hashlib.sha256(f"{seed}\0{text}".encode()).digest())


def hold_out(docs: Sequence[Doc], texts: set[str]) -> tuple[list[Doc], list[Doc]]:
    return [doc for doc in docs if doc.text not in texts], [doc for doc in docs if doc.text in texts]
