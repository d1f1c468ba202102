"""What a pipeline says of texts, how sure it is, and what a language model's answers say of that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.grounding import find_quotes
from spacy_falconer.pipeline.callbacks import find_components
from spacy_falconer.pipeline.instructed import InstructedPipe
from spacy_falconer.pipeline.plan import group_spans
from spacy_falconer.plan import Plan, Step
from spacy_falconer.plan.execute import execute
from spacy_falconer.types import Answer, CharSpan, ScoredSpan
from spacy_falconer.workflow.guarantee.questions import Known, Question
from spacy_falconer.workflow.reading import Reading
from spacy_falconer.workflow.thresholds import all_spans

UNFORESEEN = (
    0.001  # Passages a token that the language model finds where the pipeline sees nothing, before it is known.
)
WHOLE = frozenset({CharSpan(0, 0)})  # What a label says of a text that it is true of.

Said = frozenset[CharSpan]


@dataclass(frozen=True)
class Reader:
    """Where one step's answers stand on a doc."""

    pipe: InstructedPipe
    key: str
    is_span: bool

    def read(self, doc: Doc) -> tuple[Said, float, float]:
        """What is said of a text, and how much of it is expected to be false, and how much missing."""
        threshold = self.pipe.threshold_of(self.key)
        if not self.is_span:
            score = float(doc.cats[self.key])
            return (WHOLE, 1.0 - score, 0.0) if score >= threshold else (frozenset(), 0.0, score)
        found = group_spans(doc.spans[self.pipe.cfg["spans_key"]], self.key)
        said = [span for span in found if span.score >= threshold]
        missing = sum(span.score for span in found if span.score < threshold) + UNFORESEEN * len(doc)
        places = frozenset(CharSpan(span.start, span.end) for span in said)
        return places, sum(1.0 - span.score for span in said), missing


@dataclass(frozen=True)
class Sayings:
    """What a pipeline says of texts: by step and text, and as questions for the cascade."""

    steps: Sequence[Step]
    said: Sequence[Sequence[Said]]
    questions: Sequence[Question]

    def judge(self, numbers: Iterable[int], answers: Sequence[Answer | None]) -> Known:
        """What answers say of texts by their numbers; None where the language model has none."""
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
    nlp: Language, texts: Sequence[str], steps: Sequence[Step], *, batch_size: int, tick: Callable[[int], Any]
) -> Sayings:
    """Read all texts with a pipeline, without running its plan. tick: Called with the number of texts read since."""
    readers = [find_reader(nlp, step) for step in steps]
    said: list[list[Said]] = [[] for _ in steps]
    risks = numpy.zeros((len(steps), 2, len(texts)))
    with all_spans(nlp):
        for number, doc in enumerate(nlp.pipe(texts, batch_size=batch_size)):
            for k, reader in enumerate(readers):
                one, *risks[k, :, number] = reader.read(doc)
                said[k].append(one)
            tick(1)
    questions = [
        Question(numpy.array([len(one) for one in said[k]], dtype="int64"), *risks[k], is_span=reader.is_span)
        for k, reader in enumerate(readers)
    ]
    return Sayings(steps, said, questions)


def find_reader(nlp: Language, step: Step) -> Reader:
    is_span = step.op == "get_span"
    pipes = find_components(nlp, "falconer_span" if is_span else "falconer_label")
    return next(Reader(pipe, step.id, is_span) for pipe in pipes if step.id in pipe.labels)


def read_wanted(answer: Answer, step: Step) -> Said:
    """What an answer says to a step: its passages that have a place in the text; for a label the whole text, or nothing."""
    if step.op == "get_label":
        return WHOLE if answer.labels[step.instruction] else frozenset()
    return frozenset(place for place in find_quotes(answer.text, answer.spans[step.instruction]) if place is not None)


def make_reading(answer: Answer, plan: Plan) -> Reading:
    """What is mined from a text by the language model's own answers; their scores are 1 and 0."""
    row = execute(plan, AnswerReader(answer))
    return Reading(() if row is None else (row,))


@dataclass(frozen=True)
class AnswerReader:
    """Reads a plan's steps off an answer."""

    answer: Answer

    def read_label(self, step: Step, instruction: str) -> tuple[float, bool]:
        value = any(one.labels.get(instruction, False) for one in self._list_answers(step))
        return float(value), value

    def read_spans(self, step: Step, instruction: str) -> list[ScoredSpan]:
        quotes = [quote for one in self._list_answers(step) for quote in one.spans.get(instruction, ())]
        places = sorted({place for place in find_quotes(self.answer.text, quotes) if place is not None})
        return [ScoredSpan(self.answer.text[one.start : one.end], one.start, one.end, 1.0) for one in places]

    def _list_answers(self, step: Step) -> list[Answer]:
        """The text's; of a step that asks about passages, theirs. Their instructions hold the passages' words."""
        about: Mapping[CharSpan, Answer] = self.answer.about
        return [self.answer] if step.for_each is None else list(about.values())
