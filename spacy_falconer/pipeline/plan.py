"""`falconer_plan`: applies a plan to what the two other components found. Writes `doc._.mined`."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from spacy.tokens import Doc, SpanGroup
from thinc.types import Floats1d

from spacy_falconer.errors import ModelError
from spacy_falconer.metamodel.decode import FoundSpans
from spacy_falconer.pipeline.instructed import InstructedPipe, encode
from spacy_falconer.plan.execute import execute, execute_sentences
from spacy_falconer.plan.schema import Plan, Step, parse_plan
from spacy_falconer.types import CharSpan, ScoredSpan

ReadVector = Callable[[InstructedPipe, str], Floats1d]


@Language.factory(
    "falconer_plan",
    assigns=["doc._.mined"],
    default_config={"plan": None, "keep_trf_data": False},
)
def make_falconer_plan(nlp: Language, name: str, plan: dict[str, Any] | None, keep_trf_data: bool) -> FalconerPlan:
    """Make a component that runs a plan. It stands last.

    plan (dict): As in plan.json; it may also be given later, by `set_plan`.
    keep_trf_data (bool): Keep the encoder's vectors on the doc. They are most of its size, and dropped by default.
    """
    return FalconerPlan(nlp, name, plan=parse_plan(plan) if plan else None, keep_trf_data=keep_trf_data)


class FalconerPlan:
    """Writes the mined row of each text in `doc._.mined`, None where the plan does not keep it.

    With `unit: sentence` it is a list of rows, one for each sentence kept.
    """

    def __init__(self, nlp: Language, name: str, *, plan: Plan | None, keep_trf_data: bool):
        self.name = name
        self.plan = plan
        self.keep_trf_data = keep_trf_data
        self._made_in = weakref.ref(nlp)
        self._read_vector = lru_cache(maxsize=4096)(read_vector)  # Filled-in instructions recur.
        if not Doc.has_extension("mined"):
            Doc.set_extension("mined", default=None)

    def set_plan(self, plan: Plan) -> None:
        self.plan = plan

    def attach(self, nlp: Language) -> None:
        """Tell the component which pipeline it stands in; needed where it was sourced from another."""
        self._made_in = weakref.ref(nlp)
        self._read_vector.cache_clear()

    def __call__(self, doc: Doc) -> Doc:
        if self.plan is not None:
            doc._.mined = self._mine(doc, self.plan)
        if not self.keep_trf_data and Doc.has_extension("trf_data"):
            doc._.trf_data = None
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        for doc in stream:
            yield self(doc)

    def _mine(self, doc: Doc, plan: Plan) -> dict[str, Any] | list[dict[str, Any]] | None:
        nlp = self._find_pipeline()
        label, span = find_pipes(nlp, self.name)
        make_reader = partial(DocReader, label=label, span=span, read_vector=partial(self._read_vector, nlp))
        if plan.unit == "document":
            return execute(plan, make_reader(doc))
        sentences = read_sentences(doc, label, span, nlp)
        return execute_sentences(plan, [(place, make_reader(sentence)) for place, sentence in sentences])

    def _find_pipeline(self) -> Language:
        nlp = self._made_in()
        if nlp is None:
            raise ModelError(
                f"{self.name!r} was sourced from a pipeline that is gone. Tell it the one it stands in: attach(nlp)."
            )
        return nlp

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        srsly.write_json(Path(path), self._to_json())

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> FalconerPlan:
        return self._from_json(srsly.read_json(Path(path)))

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        return srsly.json_dumps(self._to_json()).encode("utf8")

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> FalconerPlan:
        return self._from_json(srsly.json_loads(data.decode("utf8")))

    def _to_json(self) -> dict[str, Any] | None:
        return None if self.plan is None else self.plan.model_dump(mode="json")

    def _from_json(self, data: dict[str, Any] | None) -> FalconerPlan:
        self.plan = parse_plan(data) if data else None
        return self


class DocReader:
    """Reads a plan's steps off a doc that both components have annotated."""

    def __init__(self, doc: Doc, *, label: InstructedPipe, span: InstructedPipe, read_vector: ReadVector):
        self.doc = doc
        self.label = label
        self.span = span
        self.read_vector = read_vector

    def read_label(self, step: Step, instruction: str) -> tuple[float, bool]:
        if step.for_each is None:
            self._check_known(self.label, step)
            score = self.doc.cats[step.id]
        else:
            vectors = self.read_vector(self.label, instruction).reshape(1, -1)
            score = float(self.label.predict_vectors([self.doc], vectors)[0, 0])
        return score, score >= self.label.threshold_of(step.id)

    def read_spans(self, step: Step, instruction: str) -> list[ScoredSpan]:
        if step.for_each is None:
            self._check_known(self.span, step)
            return group_spans(self.doc.spans[self.span.cfg["spans_key"]], step.id)
        vectors = self.read_vector(self.span, instruction).reshape(1, -1)
        found = self.span.find_spans(self.span.predict_vectors([self.doc], vectors), [len(self.doc)], [step.id])
        return scored_spans(self.doc, found)

    def _check_known(self, pipe: InstructedPipe, step: Step) -> None:
        if step.id not in pipe.labels:
            raise ModelError(
                f"The plan's step {step.id!r} is no instruction of {pipe.name!r}, which knows: "
                f"{', '.join(pipe.labels) or 'none'}. Add it by add_instruction({step.id!r}, ...), or train on the plan."
            )


def read_vector(nlp: Language, pipe: InstructedPipe, instruction: str) -> Floats1d:
    return pipe.read_instruction(instruction, nlp=nlp)


def find_pipes(nlp: Language, name: str) -> tuple[InstructedPipe, InstructedPipe]:
    """The two components whose answers the plan uses."""
    found = {nlp.get_pipe_meta(pipe_name).factory: nlp.get_pipe(pipe_name) for pipe_name in nlp.component_names}
    missing = [factory for factory in ("falconer_label", "falconer_span") if factory not in found]
    if missing:
        raise ModelError(f"{name!r} needs {' and '.join(missing)} in its pipeline. Add them before {name!r}.")
    return found["falconer_label"], found["falconer_span"]


def read_sentences(doc: Doc, label: InstructedPipe, span: InstructedPipe, nlp: Language) -> list[tuple[CharSpan, Doc]]:
    """Every sentence as a text of its own; a doc of one sentence has been read already."""
    if not doc.has_annotation("SENT_START"):
        raise ModelError(
            "The plan's unit is 'sentence', but nothing in the pipeline sets sentence starts. "
            "Add one before the transformer: nlp.add_pipe('sentencizer', first=True)."
        )
    places = [CharSpan(sent.start_char, sent.end_char) for sent in doc.sents]
    if len(places) < 2:
        return [(place, doc) for place in places]
    docs = [sent.as_doc() for sent in doc.sents]
    encode(docs, label, nlp)
    return list(zip(places, span.pipe(label.pipe(docs)), strict=True))


def group_spans(group: SpanGroup, key: str) -> list[ScoredSpan]:
    """One instruction's spans, with their scores."""
    return [
        ScoredSpan(span.text, span.start_char, span.end_char, float(score))
        for span, score in zip(group, group.attrs["scores"], strict=True)
        if span.label_ == key
    ]


def scored_spans(doc: Doc, found: FoundSpans) -> list[ScoredSpan]:
    """Decoded token spans as characters of the text."""
    spans = [doc[start:end] for start, end in zip(found.start.tolist(), found.end.tolist(), strict=True)]
    rows = zip(spans, found.score.tolist(), strict=True)
    return [ScoredSpan(span.text, span.start_char, span.end_char, score) for span, score in rows]
