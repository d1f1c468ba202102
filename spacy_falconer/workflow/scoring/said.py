"""What was said of texts, in one form, whether by a language model, people, a pipeline or a baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, SpanGroup

from spacy_falconer.corpus.docbin import GOLD, SPANS_KEY
from spacy_falconer.errors import PlanError
from spacy_falconer.llm.store import HUMAN
from spacy_falconer.pipeline.components import find_instructed
from spacy_falconer.pipeline.score import asked_keys, places
from spacy_falconer.plan import Plan, Step, parse_plan
from spacy_falconer.plan.execute import execute
from spacy_falconer.types import ScoredSpan
from spacy_falconer.workflow.answers import list_asked
from spacy_falconer.workflow.thresholds import all_spans, read_docs

Place = tuple[int, int]
FIRST, SECOND = -1, -2  # Mark whose a quote without a place is: those of one side never match those of another.


@dataclass(frozen=True)
class Said:
    """What was said of one text, by the steps' ids. A missing key was not asked, or was not answered by this side.

    labels: Whether each is true. spans: Characters of each passage; a quote without a place has a negative start.
    scores, candidates: A model's scores of labels, and of all passages that it considered.
    """

    labels: Mapping[str, bool] = field(default_factory=dict)
    spans: Mapping[str, frozenset[Place]] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    candidates: Mapping[str, Mapping[Place, float]] = field(default_factory=dict)


def read_answers(doc: Doc, *, side: int = FIRST) -> Said:
    """Return the answers that are learned from, whoever gave them. `side`: `SECOND` if they are compared with others."""
    return Said(_read_cats(doc.cats), _read_group(doc.spans.get(SPANS_KEY), side))


def read_llm(doc: Doc, *, side: int = FIRST) -> Said:
    """Return the language model's answers: what it said before people corrected it, and nothing if it was not asked."""
    said, corrected, before = read_answers(doc, side=side), list_corrected(doc), doc.user_data.get("replaced", {})
    spans = {
        key: frozenset((side, number) if place is None else tuple(place) for number, place in enumerate(places))
        for key, places in before.get("spans", {}).items()
    }
    labels = _read_cats(before.get("labels", {}))
    return Said(_take_back(said.labels, corrected, labels), _take_back(said.spans, corrected, spans))


def read_people(doc: Doc) -> Said:
    """Return what people said, in corrections and in separate gold answers; nothing for a text that they did not read."""
    said, corrected = read_answers(doc), list_corrected(doc)
    labels = {key: value for key, value in said.labels.items() if key in corrected}
    spans = {key: places for key, places in said.spans.items() if key in corrected}
    beside = _read_cats(doc.user_data.get("gold_cats", {}))
    return Said({**labels, **beside}, {**spans, **_read_group(doc.spans.get(GOLD), FIRST)})


def list_corrected(doc: Doc) -> set[str]:
    """Return the steps that people answered, among the answers that are learned from.

    Files of earlier versions only name who answered the first step.
    """
    if "human" in doc.user_data or doc.user_data.get("model") != HUMAN:
        return set(doc.user_data.get("human", ()))
    return list_asked(doc)


def _take_back(said: Mapping[str, Any], corrected: set[str], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was said before corrections, in the same order."""
    own = {**said, **before}
    return {key: own[key] for key in said if key in before or key not in corrected}


def _read_cats(cats: Mapping[str, float]) -> dict[str, bool]:
    return {key: value == 1.0 for key, value in cats.items()}


def _read_group(group: SpanGroup | None, side: int) -> dict[str, frozenset[Place]]:
    found = places(group)
    attrs = group.attrs if group is not None else {}
    for key, missed in attrs.get("missed", {}).items():
        found.setdefault(key, set()).update((start, end) for start, end in missed)
    for key, n_unplaced in attrs.get("unplaced", {}).items():
        found.setdefault(key, set()).update((side, number) for number in range(n_unplaced))
    asked = attrs["asked"] if "asked" in attrs else sorted(asked_keys(group))  # In the plan's order.
    return {key: frozenset(found.get(key, ())) for key in asked}


def ask_pipeline(nlp: Language, texts: Sequence[str], tick: Callable[[int], Any] = lambda n_texts: None) -> list[Said]:
    """Return a pipeline's answers to texts, by each instruction's own threshold. The plan is not run."""
    thresholds, said = read_thresholds(nlp), []
    with all_spans(nlp):
        for doc in read_docs(nlp, texts):
            said.append(read_findings(nlp, doc, thresholds))
            tick(1)
    return said


def read_thresholds(nlp: Language) -> dict[str, float]:
    """Return each instruction's least score that counts. Inside `all_spans`, it is not known."""
    return {key: pipe.threshold_of(key) for pipe in find_instructed(nlp) for key in pipe.labels}


def read_findings(nlp: Language, doc: Doc, thresholds: Mapping[str, float]) -> Said:
    """Return what a pipeline's components wrote to a doc; inside `all_spans`, with all candidates."""
    said = Said({}, {}, {}, {})
    for pipe in find_instructed(nlp, "get_label"):
        said.scores.update({key: float(doc.cats[key]) for key in pipe.labels})
    for pipe in find_instructed(nlp, "get_span"):
        said.candidates.update({key: {} for key in pipe.labels})
        group = doc.spans[pipe.cfg["spans_key"]]
        for span, score in zip(group, group.attrs["scores"], strict=True):
            said.candidates[span.label_][span.start_char, span.end_char] = float(score)
    return decide(said, thresholds)


def decide(said: Said, thresholds: Mapping[str, float]) -> Said:
    """Decide by the thresholds which labels are true, and which candidates are passages."""
    labels = {key: score >= thresholds[key] for key, score in said.scores.items()}
    spans = {
        key: frozenset(place for place, score in found.items() if score >= thresholds[key])
        for key, found in said.candidates.items()
    }
    return Said(labels, spans, said.scores, said.candidates)


def drop_passage_steps(plan: Plan) -> Plan | None:
    """Return the plan without the steps that run for each passage: there are no held-out answers about passages.

    RETURNS: None if the plan's other steps or its result depend on them.
    """
    kept = plan.text_steps()
    if len(kept) == len(plan.steps):
        return plan
    fields = plan.model_dump(mode="json", exclude_none=True)
    ids = {step.id for step in kept}
    fields.update(steps=[step for step in fields["steps"] if step["id"] in ids])
    fields.update(output=[key for key in plan.output if key in ids])
    try:
        return parse_plan(fields)
    except PlanError:
        return None


def find_row(plan: Plan, said: Said) -> dict[str, frozenset[Place]] | None:
    """Return the passages of the row that a plan makes from what was said, by column; None if it does not keep the text."""
    row = execute(plan, _SaidReader(said))
    if row is None:
        return None
    return {key: frozenset((one["start"], one["end"]) for one in found) for key, found in row["spans"].items()}


def answers_all(plan: Plan, said: Said) -> bool:
    """Return whether every step has an answer."""
    return all(has_answer(said, step) for step in plan.steps)


def answers_reached(plan: Plan, said: Said) -> bool:
    """Return whether every step about the text that the plan reaches, by what was said, has an answer."""
    return all(has_answer(said, step) for step in list_reached(plan, said))


def has_answer(said: Said, step: Step) -> bool:
    return step.id in (said.labels if step.op == "get_label" else said.spans)


def list_reached(plan: Plan, said: Said) -> list[Step]:
    """Return the steps about the text that the plan reaches by what was said; what is not known counts as no.

    If any of them depends on steps that run for each passage, all are returned: nothing is said about passages.
    """
    opened = _open_up(plan)
    if opened is None:
        return list(plan.text_steps())
    row = execute(opened, _SaidReader(said)) or {}
    reached = {key for part in row.values() for key in part}
    return [step for step in plan.text_steps() if step.id in reached]


@lru_cache(maxsize=16)
def _open_up(plan: Plan) -> Plan | None:
    """Return a plan of the steps about the text whose row holds all that were run; None if there is no such plan."""
    return drop_passage_steps(plan.model_copy(update={"keep": "true", "output": tuple(plan.steps_by_id)}))


@dataclass(frozen=True)
class _SaidReader:
    """Answers a plan's steps from what was said; what is not known counts as no."""

    said: Said

    def read_label(self, step: Step, instruction: str, source: ScoredSpan | None) -> tuple[float, bool]:
        is_true = self.said.labels.get(step.id, False)
        return self.said.scores.get(step.id, float(is_true)), is_true

    def read_spans(self, step: Step, instruction: str, source: ScoredSpan | None) -> list[ScoredSpan]:
        return [ScoredSpan("", start, end, 1.0) for start, end in sorted(self.said.spans.get(step.id, ()))]
