"""Read a plan's answers from texts. Instructions about passages are read in batches, and each text answers its own at once."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, SpanGroup
from thinc.types import Floats1d

from spacy_falconer.errors import ModelError
from spacy_falconer.metamodel.decode import FoundSpans
from spacy_falconer.pipeline.instructed import InstructedPipe
from spacy_falconer.plan.execute import execute
from spacy_falconer.plan.schema import Plan, Step
from spacy_falconer.types import ScoredSpan

MAX_VECTORS = 4096  # The most to keep; each is as wide as the encoder.


class DocReader:
    """Reads the answers to a plan's steps from a doc that both components have annotated.

    About passages it returns what has been answered before. A step that has not been answered becomes the `open` one,
    the instructions that it `asks` are noted, and a stand-in is returned. Later steps may depend on the true answers, so
    they are not noted until the next run.
    """

    def __init__(self, doc: Doc, *, label: InstructedPipe, span: InstructedPipe):
        self.doc = doc
        self.label = label
        self.span = span
        self.answers: dict[tuple[str, str], Any] = {}
        self.open: Step | None = None
        self.asks: dict[str, None] = {}  # In order, each once.

    def read_label(self, step: Step, instruction: str, source: ScoredSpan | None) -> tuple[float, bool]:
        if step.for_each is None:
            check_read(step, self.label, is_read=step.id in self.doc.cats)
            score = self.doc.cats[step.id]
        else:
            score = self._recall(step, instruction, stand_in=0.0)
        return score, score >= self.label.threshold_of(step.id)

    def read_spans(self, step: Step, instruction: str, source: ScoredSpan | None) -> list[ScoredSpan]:
        if step.for_each is None:
            group = self.doc.spans.get(self.span.cfg["spans_key"])
            check_read(step, self.span, is_read=group is not None and "scores" in group.attrs)
            return self.spans.get(step.id, [])
        return self._recall(step, instruction, stand_in=[])

    @cached_property
    def spans(self) -> dict[str, list[ScoredSpan]]:
        """The spans that the span component found, by the steps' ids."""
        return group_spans(self.doc.spans[self.span.cfg["spans_key"]])

    def ask(self, plan: Plan) -> bool:
        """Run the plan to find the first step with unanswered instructions, and return whether there is one."""
        self.open, self.asks = None, {}
        execute(plan, self)
        return self.open is not None

    @property
    def asked(self) -> InstructedPipe:
        """The component that the open step asks."""
        return self.span if self.open.op == "get_span" else self.label

    def answer(self, vectors: dict[str, Floats1d]) -> None:
        """Answer all instructions of the open step at once."""
        pipe, key = self.asked, self.open.id
        scores = pipe.predict_vectors([self.doc], pipe.model.ops.xp.stack([vectors[text] for text in self.asks]))
        if pipe is self.label:
            found: Iterable[Any] = scores[0].tolist()
        else:
            spans = pipe.find_spans(scores, [len(self.doc)], [key] * len(self.asks))
            found = [scored_spans(self.doc, spans.take(spans.instruction == k)) for k in range(len(self.asks))]
        self.answers.update(zip([(key, text) for text in self.asks], found, strict=True))

    def _recall(self, step: Step, instruction: str, *, stand_in: Any) -> Any:
        answer = self.answers.get((step.id, instruction))
        if answer is None and self.open in (None, step):
            self.open = step
            self.asks[instruction] = None
        return stand_in if answer is None else answer


def check_read(step: Step, pipe: InstructedPipe, *, is_read: bool) -> None:
    """RAISES (ModelError): The component does not know the step, or has not read the text."""
    if step.id not in pipe.labels:
        raise ModelError(
            f"The plan's step {step.id!r} is not an instruction of {pipe.name!r}, which knows: "
            f"{', '.join(pipe.labels) or 'none'}. Add it by add_instruction({step.id!r}, ...), or train on the plan."
        )
    if not is_read:
        raise ModelError(
            f"The plan's step {step.id!r} is answered by {pipe.name!r}, which has not read the text, or whose answers are gone. "
            f"Enable {pipe.name!r}, and put it before the plan, with nothing between them that overwrites its answers."
        )


class VectorStore:
    """The vectors of instructions about passages, which recur. The most recently used are kept."""

    def __init__(self) -> None:
        self.kept: OrderedDict[tuple[InstructedPipe, str], Floats1d] = OrderedDict()

    def find(self, pipe: InstructedPipe, texts: Iterable[str], nlp: Language) -> dict[str, Floats1d]:
        """Return the vectors of all `texts`, which are instructions; those that are not kept are read in batches."""
        wanted = list(dict.fromkeys(texts))
        new = [text for text in wanted if (pipe, text) not in self.kept]
        self.kept.update(
            ((pipe, text), row) for text, row in zip(new, pipe.read_instructions(new, nlp=nlp), strict=True)
        )
        for text in wanted:
            self.kept.move_to_end((pipe, text))
        found = {text: self.kept[pipe, text] for text in wanted}
        while len(self.kept) > MAX_VECTORS:
            self.kept.popitem(last=False)
        return found


def answer_passages(plan: Plan, readers: Sequence[DocReader], store: VectorStore, nlp: Language) -> None:
    """Answer the steps that run for each passage: first the first open step of every text, then the next one."""
    waiting = readers if any(step.for_each for step in plan.steps) else []
    while waiting := [reader for reader in waiting if reader.ask(plan)]:
        for pipe in (waiting[0].label, waiting[0].span):
            asking = [reader for reader in waiting if reader.asked is pipe]
            vectors = store.find(pipe, (text for reader in asking for text in reader.asks), nlp)
            for reader in asking:
                reader.answer(vectors)


def group_spans(group: SpanGroup) -> dict[str, list[ScoredSpan]]:
    """Return each instruction's spans with their scores. Instructions without spans are left out."""
    found: defaultdict[str, list[ScoredSpan]] = defaultdict(list)
    for span, score in zip(group, group.attrs["scores"], strict=True):
        found[span.label_].append(ScoredSpan(span.text, span.start_char, span.end_char, float(score)))
    return found


def scored_spans(doc: Doc, found: FoundSpans) -> list[ScoredSpan]:
    """Return decoded token spans as characters of the text."""
    spans = [doc[start:end] for start, end in zip(found.start.tolist(), found.end.tolist(), strict=True)]
    rows = zip(spans, found.score.tolist(), strict=True)
    return [ScoredSpan(span.text, span.start_char, span.end_char, score) for span, score in rows]
