"""What a pipeline says of texts, how sure it is, and how a language model's answers judge that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy
from spacy.language import Language
from spacy.tokens import Doc
from thinc.types import Floats2d

from spacy_falconer.grounding import find_quotes
from spacy_falconer.pipeline.components import find_components, find_instructed
from spacy_falconer.pipeline.instructed import InstructedPipe
from spacy_falconer.pipeline.passages import group_spans, scored_spans
from spacy_falconer.pipeline.span import FalconerSpan
from spacy_falconer.plan import Plan, Step
from spacy_falconer.plan.execute import execute
from spacy_falconer.types import Answer, CharSpan, ScoredSpan
from spacy_falconer.workflow.guarantee.questions import Known, Question
from spacy_falconer.workflow.mining.part import spread
from spacy_falconer.workflow.mining.reading import (
    EXACT,
    Describe,
    Reading,
    make_describe,
    read_chunk,
    read_in,
    read_texts,
)
from spacy_falconer.workflow.thresholds import without_plan

# Passages per token that the language model is assumed to find where the pipeline sees nothing.
UNFORESEEN = 0.001
WHOLE = frozenset({CharSpan(0, 0)})  # What a label that is true says of a text.
UNREADABLE = (frozenset(), 0.0, 1.0)  # For a text that the pipeline fails on: the language model may find something.

Places = frozenset[CharSpan]
Heard = tuple[Places, float, float]  # What is said, and how many things are expected to be false and to be missing.


@dataclass(frozen=True)
class StepReader:
    """Reads one step's answers from a doc. vector: That of its instruction, shape (1, D)."""

    pipe: InstructedPipe
    key: str
    vector: Floats2d

    @property
    def is_span(self) -> bool:
        return isinstance(self.pipe, FalconerSpan)

    def read(self, doc: Doc) -> Heard:
        if isinstance(self.pipe, FalconerSpan):
            return self._read_spans(doc, self.pipe)
        score = float(doc.cats[self.key])
        return (WHOLE, 1.0 - score, 0.0) if score >= self.pipe.threshold_of(self.key) else (frozenset(), 0.0, score)

    def _read_spans(self, doc: Doc, pipe: FalconerSpan) -> Heard:
        said = group_spans(doc.spans[pipe.cfg["spans_key"]]).get(self.key, [])
        places = frozenset(CharSpan(span.start, span.end) for span in said)
        missing = sum(
            span.score for span in self._find_candidates(doc, pipe) if CharSpan(span.start, span.end) not in places
        )
        return places, sum(1.0 - span.score for span in said), missing + UNFORESEEN * len(doc)

    def _find_candidates(self, doc: Doc, pipe: FalconerSpan) -> list[ScoredSpan]:
        if not len(doc):
            return []
        scores = pipe.predict_vectors([doc], self.vector)
        return scored_spans(doc, pipe.find_candidates(scores, [len(doc)], [self.key]))


@dataclass
class Listener:
    """Notes what the steps say of each doc, then runs the plan and describes the doc.

    plans: The pipeline's components that run a plan.
    heard: What was noted, by the texts that could be read.
    """

    readers: Sequence[StepReader]
    plans: Sequence[Callable[[Doc], Doc]]
    describe: Describe
    heard: dict[str, list[Heard]] = field(default_factory=dict)

    def listen(self, doc: Doc) -> Reading:
        heard = [reader.read(doc) for reader in self.readers]
        for plan in self.plans:
            doc = plan(doc)
        reading = self.describe(doc)
        self.heard[doc.text] = heard
        return reading


@dataclass(frozen=True)
class Sayings:
    """What a pipeline says of texts, by step and text and as questions for the cascade, and what is mined from each."""

    steps: Sequence[Step]
    said: Sequence[Sequence[Places]]
    questions: Sequence[Question]
    readings: Sequence[Reading]

    def judge(self, numbers: Iterable[int], answers: Sequence[Answer | None]) -> Known:
        """Judge what is said of texts, given by numbers, by answers; None if the language model has none."""
        numbers = list(numbers)
        found = Known.none(len(self.steps), len(numbers))
        for row, (number, answer) in enumerate(zip(numbers, answers, strict=True)):
            found.is_failed[row] = answer is None
            for k, step in enumerate(self.steps):
                said, wanted = self.said[k][number], read_wanted(answer, step) if answer else frozenset()
                found.false[k, row], found.missed[k, row] = len(said - wanted), len(wanted - said)
        found.is_read[:] = True
        return found


def read_sayings(
    nlp: Language,
    texts: Sequence[str],
    steps: Sequence[Step],
    *,
    batch_size: int,
    precision: str = EXACT,
    tick: Callable[[int], Any],
) -> Sayings:
    """Read all texts with a pipeline, once.

    precision (str): As in `accelerate`.
    tick: Called with the number of texts that were read since the last call.
    """
    readers, advance = [find_reader(nlp, step) for step in steps], spread(tick, len(texts))
    listener = Listener(readers, find_components(nlp, "falconer_plan"), make_describe(nlp))
    with read_in(nlp, precision), without_plan(nlp):
        read = partial(map, partial(read_chunk, nlp, listener.listen, batch_size=batch_size))
        readings = read_texts(texts, read, tick=advance)
    advance(1.0)  # The shares may add up to a little less than 1.
    heard = [listener.heard.get(text, [UNREADABLE] * len(steps)) for text in texts]
    columns = [[row[k] for row in heard] for k in range(len(steps))]
    questions = [make_question(column, is_span=one.is_span) for column, one in zip(columns, readers, strict=True)]
    return Sayings(steps, [[said for said, _, _ in column] for column in columns], questions, readings)


def make_question(heard: Sequence[Heard], *, is_span: bool) -> Question:
    n_said = numpy.array([len(said) for said, _, _ in heard], dtype="int64")
    risks = numpy.array([risks for _, *risks in heard], dtype="float64").reshape(-1, 2)
    return Question(n_said, risks[:, 0], risks[:, 1], is_span=is_span)


def find_reader(nlp: Language, step: Step) -> StepReader:
    pipe = next(pipe for pipe in find_instructed(nlp, step.op) if step.id in pipe.labels)
    return StepReader(pipe, step.id, pipe.vector_of(step.id))


def read_wanted(answer: Answer, step: Step) -> Places:
    """Return an answer to a step: the passages that have a place in the text, or `WHOLE` for a label that is true."""
    if step.op == "get_label":
        return WHOLE if answer.labels[step.instruction] else frozenset()
    return frozenset(place for place in find_quotes(answer.text, answer.spans[step.instruction]) if place is not None)


def make_reading(answer: Answer, plan: Plan) -> Reading:
    """Return what is mined from a text by the language model's answers, with scores of 1 and 0."""
    row = execute(plan, AnswerReader(answer))
    return Reading(() if row is None else (row,))


@dataclass(frozen=True)
class AnswerReader:
    """Reads the answers to a plan's steps from a language model's answer."""

    answer: Answer

    def read_label(self, step: Step, instruction: str, source: ScoredSpan | None) -> tuple[float, bool]:
        value = self._find_answer(source).labels.get(instruction, False)
        return float(value), value

    def read_spans(self, step: Step, instruction: str, source: ScoredSpan | None) -> list[ScoredSpan]:
        quotes = self._find_answer(source).spans.get(instruction, ())
        places = sorted({place for place in find_quotes(self.answer.text, quotes) if place is not None})
        return [ScoredSpan(self.answer.text[one.start : one.end], one.start, one.end, 1.0) for one in places]

    def _find_answer(self, source: ScoredSpan | None) -> Answer:
        """Return the answer about the text, or about one passage of it; an empty one if nothing was said of that."""
        if source is None:
            return self.answer
        return self.answer.about.get(CharSpan(source.start, source.end), Answer(self.answer.text, self.answer.model))
