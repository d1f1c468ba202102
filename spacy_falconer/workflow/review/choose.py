"""Which texts are worth a person's look: those a pipeline is unsure of, and those where it contradicts the answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.corpus.choose import choose_random
from spacy_falconer.grounding import find_quotes
from spacy_falconer.llm.store import AnswerStore, Value
from spacy_falconer.pipeline.components import find_instructed
from spacy_falconer.pipeline.instructed import InstructedPipe
from spacy_falconer.pipeline.passages import group_spans
from spacy_falconer.plan import Plan, Step
from spacy_falconer.types import CharSpan, Record
from spacy_falconer.workflow.choose import N_CANDIDATES
from spacy_falconer.workflow.review.asked import Questions, find_answers, find_questions, is_reviewed
from spacy_falconer.workflow.review.work import Item, Mark, Reading
from spacy_falconer.workflow.scoring.said import read_findings, read_thresholds
from spacy_falconer.workflow.thresholds import all_spans, without_plan


@dataclass(frozen=True)
class Reader:
    """The component that answers a step of the plan, and the score from which it says yes."""

    step: Step
    pipe: InstructedPipe
    threshold: float

    def find_spans(self, doc: Doc) -> dict[CharSpan, float]:
        """The passages on a doc and their scores."""
        found = group_spans(doc.spans[self.pipe.cfg["spans_key"]]).get(self.step.id, [])
        return {CharSpan(span.start, span.end): span.score for span in found}


@dataclass(frozen=True)
class Lead:
    """Why a text is worth a look. The strongest go first."""

    place: int
    key: str
    strength: float
    why: str


def choose_items(
    nlp: Language,
    plan: Plan,
    records: Iterable[Record],
    store: AnswerStore | None,
    *,
    n: int,
    model: str | None = None,
    seed: int = 0,
    tick: Callable[[int], Any] = lambda n_texts: None,
) -> list[Item]:
    """At most `n` texts, half of them where pipeline and answers contradict each other, as far as there are such.

    They take turns over the instructions. Of each text is asked what `find_questions` says; where that is nothing, it is
    left out.
    records: Of them, those that the store answers, and a random part of the others.
    model (str): Whose answers are compared with; by default anyone's.
    tick: Called with the number of texts that were read since the last call.
    """
    readers, thresholds = find_readers(nlp, plan), read_thresholds(nlp)
    candidates = list_candidates(records, plan, store, seed=seed)
    unsure: list[Lead] = []
    contradicting: list[Lead] = []
    asked: list[Questions] = []
    with all_spans(nlp):
        for place, doc in enumerate(read_texts(nlp, [record.text for record in candidates])):
            asked.append(find_questions(plan, read_findings(nlp, doc, thresholds), doc.text, store, model=model))
            for reader in keep_asked(readers, asked[place]):
                unsure += find_unsure(reader, doc, place)
                contradicting += find_contradiction(reader, doc, place, asked[place].answers.get(reader.step.id))
            tick(1)
    leads = pick_leads(contradicting, unsure, n)
    docs = read_texts(nlp, [candidates[lead.place].text for lead in leads])
    return [
        make_item(candidates[lead.place], doc, lead, plan, readers, asked[lead.place])
        for lead, doc in zip(leads, docs, strict=True)
    ]


def find_readers(nlp: Language, plan: Plan) -> list[Reader]:
    """The components that answer the plan's steps about texts."""
    steps = {(step.op, step.id): step for step in plan.text_steps()}
    return [
        Reader(steps[pipe.op, key], pipe, pipe.threshold_of(key))
        for pipe in find_instructed(nlp) for key in pipe.labels if (pipe.op, key) in steps
    ]  # fmt: skip


def keep_asked(readers: Iterable[Reader], asked: Questions) -> list[Reader]:
    return [reader for reader in readers if reader.step.id in asked.keys]


def list_candidates(records: Iterable[Record], plan: Plan, store: AnswerStore | None, *, seed: int) -> list[Record]:
    """The texts that the store answers, and a random part of the others; each once, none that people are done with."""
    answered, seen = [], set()

    def others() -> Iterator[Record]:
        for record in records:
            if record.text in seen or not record.text.strip():
                continue
            seen.add(record.text)
            if store is None or not find_answers(record.text, plan, store):
                yield record
            elif not is_reviewed(record.text, plan, store):
                answered.append(record)

    sampled = choose_random(others(), N_CANDIDATES, seed=seed)
    return [*answered, *sampled]


def read_texts(nlp: Language, texts: Sequence[str]) -> Iterator[Doc]:
    """The components' own answers, whatever the plan's conditions say."""
    with without_plan(nlp):
        yield from nlp.pipe(texts)


def measure_margin(score: float, threshold: float) -> float:
    """How far a score is from its threshold, as a share of how far it could be on its side, 0 to 1."""
    room = 1.0 - threshold if score >= threshold else threshold
    return abs(score - threshold) / room if room else 0.0


def find_unsure(reader: Reader, doc: Doc, place: int) -> list[Lead]:
    """How near the step's score, or that of one of its passages, is to the threshold."""
    key, threshold = reader.step.id, reader.threshold
    scores = [doc.cats[key]] if reader.step.op == "get_label" else [*reader.find_spans(doc).values()]
    if not scores:
        return []
    score = min(scores, key=lambda one: measure_margin(one, threshold))
    why = f"{key}: unsure, score {score:.2f} at threshold {threshold:.2f}"
    return [Lead(place, key, 1.0 - measure_margin(score, threshold), why)]


def find_contradiction(reader: Reader, doc: Doc, place: int, answer: Value | None) -> list[Lead]:
    """What pipeline and answer say differently, the surest."""
    if answer is None:
        return []
    key, threshold = reader.step.id, reader.threshold
    if isinstance(answer, bool):
        score = doc.cats[key]
        if (score >= threshold) == answer:
            return []
        why = f"{key}: score {score:.2f}, but the answer is {'yes' if answer else 'no'}"
        return [Lead(place, key, measure_margin(score, threshold), why)]
    found, wanted = reader.find_spans(doc), set(find_quotes(doc.text, answer)) - {None}
    scores = {one: score for one, score in found.items() if score >= threshold and one not in wanted}
    scores |= {one: found.get(one, 0.0) for one in wanted if found.get(one, 0.0) < threshold and fits(doc, one)}
    if not scores:
        return []
    one = max(scores, key=lambda one: measure_margin(scores[one], threshold))
    said = "answered" if one in wanted else "not answered"
    why = f"{key}: {doc.text[one.start : one.end]!r} has score {scores[one]:.2f}, but is {said}"
    return [Lead(place, key, measure_margin(scores[one], threshold), why)]


def fits(doc: Doc, place: CharSpan) -> bool:
    """Whether a passage can be found at all: it begins and ends with a token."""
    return doc.char_span(place.start, place.end) is not None


def pick_leads(contradicting: Sequence[Lead], unsure: Sequence[Lead], n: int) -> list[Lead]:
    """Half and half, each text once; where one kind is short, more of the other."""
    taken: set[int] = set()
    first = take_turns(contradicting, n // 2, taken)
    second = take_turns(unsure, n - len(first), taken)
    return [*first, *take_turns(contradicting, n - len(first) - len(second), taken), *second]


def take_turns(leads: Sequence[Lead], n: int, taken: set[int]) -> list[Lead]:
    """The strongest lead of each instruction in turn, each text once. `taken` is added to."""
    queues: dict[str, deque[Lead]] = {}
    for lead in sorted(leads, key=lambda one: (-one.strength, one.place)):
        queues.setdefault(lead.key, deque()).append(lead)
    picked: list[Lead] = []
    while len(picked) < n and any(queues.values()):
        for queue in queues.values():
            while queue and queue[0].place in taken:
                queue.popleft()
            if queue and len(picked) < n:
                picked.append(queue.popleft())
                taken.add(picked[-1].place)
    return picked


def make_item(record: Record, doc: Doc, lead: Lead, plan: Plan, readers: Sequence[Reader], asked: Questions) -> Item:
    """A text to review. Passages that people have marked are marked still: who adds one does not take back the others."""
    name = f"{record.id}:{record.place.start}-{record.place.end}" if record.place else record.id
    spared = tuple(step for step in plan.text_steps() if step.id not in asked.keys)
    found, settled = read_found(doc, keep_asked(readers, asked)), read_answered(doc.text, asked.settled)
    marks = (*found.marks, *(replace(mark, score=1.0) for mark in settled.marks))
    answered = read_answered(doc.text, asked.answers) if asked.answers else None
    return Item(name, doc, lead.why, replace(found, marks=marks), asked.steps, spared, answered)


def read_found(doc: Doc, readers: Sequence[Reader]) -> Reading:
    """What the pipeline says: of the labels of a group at most one, that with the highest score."""
    scores = {one.step.id: float(doc.cats[one.step.id]) for one in readers if one.step.op == "get_label"}
    true: dict[str, str] = {}
    for one in readers:
        key = one.step.id
        if key in scores and scores[key] >= one.threshold:
            group = f"one of {one.step.one_of}" if one.step.one_of else key
            true[group] = max(key, true.get(group, key), key=scores.__getitem__)
    spans = [one for one in readers if one.step.op == "get_span"]
    marks = [
        Mark(one.step.id, place.start, place.end, score)
        for one in spans for place, score in sorted(one.find_spans(doc).items())
    ]  # fmt: skip
    return Reading(tuple(true.values()), tuple(marks), scores)


def read_answered(text: str, answers: Mapping[str, Value]) -> Reading:
    labels = [key for key, value in answers.items() if value is True]
    placed = {key: find_quotes(text, value) for key, value in answers.items() if not isinstance(value, bool)}
    marks = [Mark(key, one.start, one.end) for key, found in placed.items() for one in found if one is not None]
    return Reading(tuple(labels), tuple(marks))
