"""Choose texts worth a person's look: those that a pipeline is unsure about, and those where it contradicts the answers."""

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
from spacy_falconer.workflow.choose import N_CANDIDATES, is_readable
from spacy_falconer.workflow.review.asked import Questions, find_answers, find_questions, is_reviewed
from spacy_falconer.workflow.review.work import Item, Mark, Reading
from spacy_falconer.workflow.scoring.said import read_findings, read_thresholds
from spacy_falconer.workflow.thresholds import all_spans, without_plan


@dataclass(frozen=True)
class Reader:
    """The component that answers a step of the plan, and the least score that counts as yes."""

    step: Step
    pipe: InstructedPipe
    threshold: float

    def find_spans(self, doc: Doc) -> dict[CharSpan, float]:
        """Return the passages on a doc, with their scores."""
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
    """Choose at most `n` texts, up to half of them such that pipeline and answers contradict each other.

    The instructions take turns. `find_questions` decides what is asked about each text; if that is nothing, the text is
    left out.
    records: Considered are those that the store answers, and a random part of the others.
    model (str): Whose answers the pipeline is compared with; by default anyone's.
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
    """Return the components that answer the plan's steps about texts."""
    steps = {(step.op, step.id): step for step in plan.text_steps()}
    return [
        Reader(steps[pipe.op, key], pipe, pipe.threshold_of(key))
        for pipe in find_instructed(nlp) for key in pipe.labels if (pipe.op, key) in steps
    ]  # fmt: skip


def keep_asked(readers: Iterable[Reader], asked: Questions) -> list[Reader]:
    return [reader for reader in readers if reader.step.id in asked.keys]


def list_candidates(records: Iterable[Record], plan: Plan, store: AnswerStore | None, *, seed: int) -> list[Record]:
    """Return the texts that the store answers, and a random part of the others; each once, and none that people have finished."""
    answered, seen = [], set()

    def others() -> Iterator[Record]:
        for record in records:
            if record.text in seen or not is_readable(record.text):
                continue
            seen.add(record.text)
            if store is None or not find_answers(record.text, plan, store):
                yield record
            elif not is_reviewed(record.text, plan, store):
                answered.append(record)

    sampled = choose_random(others(), N_CANDIDATES, seed=seed)
    return [*answered, *sampled]


def read_texts(nlp: Language, texts: Sequence[str]) -> Iterator[Doc]:
    """Yield docs with the components' own answers, whatever the plan's conditions say."""
    with without_plan(nlp):
        yield from nlp.pipe(texts)


def measure_margin(score: float, threshold: float) -> float:
    """Return how far a score is from its threshold, as a share of how far it could be on its side, 0 to 1."""
    room = 1.0 - threshold if score >= threshold else threshold
    return abs(score - threshold) / room if room else 0.0


def find_unsure(reader: Reader, doc: Doc, place: int) -> list[Lead]:
    """Return a lead for the step's score, or its passage's score, that is nearest to the threshold; none without passages."""
    key, threshold = reader.step.id, reader.threshold
    scores = [doc.cats[key]] if reader.step.op == "get_label" else [*reader.find_spans(doc).values()]
    if not scores:
        return []
    score = min(scores, key=lambda one: measure_margin(one, threshold))
    why = f"{key}: unsure, score {score:.2f} at threshold {threshold:.2f}"
    return [Lead(place, key, 1.0 - measure_margin(score, threshold), why)]


def find_contradiction(reader: Reader, doc: Doc, place: int, answer: Value | None) -> list[Lead]:
    """Return a lead for the difference between pipeline and answer that the pipeline is surest about, if there is any."""
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
    """Return whether a passage can be found at all: whether it begins and ends with a token."""
    return doc.char_span(place.start, place.end) is not None


def pick_leads(contradicting: Sequence[Lead], unsure: Sequence[Lead], n: int) -> list[Lead]:
    """Pick half of each kind, each text once; if there are too few of one kind, more of the other."""
    taken: set[int] = set()
    first = take_turns(contradicting, n // 2, taken)
    second = take_turns(unsure, n - len(first), taken)
    return [*first, *take_turns(contradicting, n - len(first) - len(second), taken), *second]


def take_turns(leads: Sequence[Lead], n: int, taken: set[int]) -> list[Lead]:
    """Pick the strongest lead of each instruction in turn, each text once. Its texts are added to `taken`."""
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
    """Make an item. Passages that people have marked stay marked, so that adding one does not take back the others."""
    name = f"{record.id}:{record.place.start}-{record.place.end}" if record.place else record.id
    spared = tuple(step for step in plan.text_steps() if step.id not in asked.keys)
    found, settled = read_found(doc, keep_asked(readers, asked)), read_answered(doc.text, asked.settled)
    marks = (*found.marks, *(replace(mark, score=1.0) for mark in settled.marks))
    answered = read_answered(doc.text, asked.answers) if asked.answers else None
    return Item(name, doc, lead.why, replace(found, marks=marks), asked.steps, spared, answered)


def read_found(doc: Doc, readers: Sequence[Reader]) -> Reading:
    """Return what the pipeline says. At most one label of a group is true: the one with the highest score."""
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
