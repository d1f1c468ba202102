"""`falconer_plan`: run a plan on what the two other components found. Writes `doc._.mined`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy
import srsly
from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc
from spacy.util import minibatch

from spacy_falconer.errors import ModelError
from spacy_falconer.metamodel.architectures import cut_texts
from spacy_falconer.pipeline.components import FACTORIES
from spacy_falconer.pipeline.home import Home
from spacy_falconer.pipeline.instructed import InstructedPipe, take_turns
from spacy_falconer.pipeline.passages import DocReader, VectorStore, answer_passages
from spacy_falconer.plan.execute import execute, execute_sentences
from spacy_falconer.plan.schema import Plan, Step, parse_plan
from spacy_falconer.types import CharSpan

MAX_TOKENS = 2**16  # In texts that are processed together, so that the docs of their sentences do not fill the memory.


@Language.factory(
    "falconer_plan",
    assigns=["doc._.mined"],
    default_config={"plan": None, "keep_trf_data": False},
)
def make_falconer_plan(nlp: Language, name: str, plan: dict[str, Any] | None, keep_trf_data: bool) -> FalconerPlan:
    """Make a component that runs a plan. It comes last in the pipeline.

    plan (dict): As in plan.json; it may also be set later, by `set_plan`.
    keep_trf_data (bool): Keep the encoder's vectors on the doc. They are most of its size, and are dropped by default.
    """
    return FalconerPlan(nlp, name, plan=parse_plan(plan) if plan else None, keep_trf_data=keep_trf_data)


class FalconerPlan(Pipe):
    """Writes the row mined from each text to `doc._.mined`; None if the plan does not keep the text.

    With `unit: sentence` it is a list of rows, one for each sentence kept.
    """

    def __init__(self, nlp: Language, name: str, *, plan: Plan | None, keep_trf_data: bool):
        self.name = name
        self.plan = plan
        self.keep_trf_data = keep_trf_data
        self._made_in = Home(nlp)
        if not Doc.has_extension("mined"):
            Doc.set_extension("mined", default=None)

    def set_plan(self, plan: Plan | Mapping[str, Any]) -> None:
        """Set the plan that is run.

        plan: A plan, or a mapping as in plan.json.
        """
        self.plan = plan if isinstance(plan, Plan) else parse_plan(plan)

    def attach(self, nlp: Language) -> None:
        """Tell the component which pipeline it is in; needed if it was sourced from another one."""
        self._made_in = Home(nlp)

    def __call__(self, doc: Doc) -> Doc:
        return self._finish([doc], VectorStore())[0]

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        store = VectorStore()  # For this stream alone: the encoder may be trained before the next one.
        for batch in minibatch(stream, batch_size):
            for some in cut_texts(numpy.array([len(doc) for doc in batch]), MAX_TOKENS):
                try:
                    docs = self._finish(batch[some], store)
                except Exception as error:
                    self.get_error_handler()(self.name, self, batch[some], error)
                else:
                    yield from docs

    def _finish(self, docs: Sequence[Doc], store: VectorStore) -> Sequence[Doc]:
        if self.plan is None:
            warnings.warn(
                f"{self.name!r} has no plan, so doc._.mined is None for every text: set_plan(...) first.", stacklevel=2
            )
        else:
            for doc, mined in zip(docs, self._mine(docs, self.plan, store), strict=True):
                doc._.mined = mined
        if not self.keep_trf_data and Doc.has_extension("trf_data"):
            for doc in docs:
                doc._.trf_data = None
        return docs

    def _mine(self, docs: Sequence[Doc], plan: Plan, store: VectorStore) -> list[Any]:
        nlp = self._find_pipeline()
        label, span = find_pipes(nlp, self, plan)
        texts = read_sentences(docs, label, span, nlp) if plan.unit == "sentence" else [[(None, doc)] for doc in docs]
        readers = [[(place, DocReader(doc, label=label, span=span)) for place, doc in text] for text in texts]
        answer_passages(plan, [reader for text in readers for _, reader in text], store, nlp)
        if plan.unit == "sentence":
            return [execute_sentences(plan, text) for text in readers]
        return [execute(plan, reader) for ((_, reader),) in readers]

    def _find_pipeline(self) -> Language:
        nlp = self._made_in()
        if nlp is None:
            raise ModelError(
                f"{self.name!r} was sourced from a pipeline that is gone. Tell it which one it is in now: attach(nlp)."
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


def find_pipes(nlp: Language, component: FalconerPlan, plan: Plan) -> tuple[InstructedPipe, InstructedPipe]:
    """Return the components whose answers a plan uses: the last label and the last span one before its own that know its steps.

    A pipeline may hold several tasks, one after the other.
    """
    others = takewhile(lambda pipe: pipe is not component, (pipe for _, pipe in nlp.components))
    before = [pipe for pipe in others if isinstance(pipe, InstructedPipe)]
    label, span = (find_pipe([pipe for pipe in before if pipe.op == op], plan.text_steps(op)) for op in FACTORIES)
    if label is None or span is None:
        missing = [factory for factory, pipe in zip(FACTORIES.values(), (label, span), strict=True) if pipe is None]
        raise ModelError(f"{component.name!r} needs {' and '.join(missing)} before it in its pipeline. Add them there.")
    enabled = [pipe for _, pipe in nlp.pipeline]  # Not by name: a component that was renamed keeps its own.
    later = [pipe for pipe in before[before.index(span) + 1 :] if pipe.op == span.op and pipe in enabled]
    if rival := next((pipe for pipe in later if pipe.cfg["spans_key"] == span.cfg["spans_key"]), None):
        raise ModelError(
            f"{rival.name!r} replaces what {span.name!r} finds: both write to doc.spans[{span.cfg['spans_key']!r}]. Give one of "
            "them another spans_key."
        )
    return label, span


def find_pipe(pipes: Sequence[InstructedPipe], steps: Sequence[Step]) -> InstructedPipe | None:
    """Return the last component that knows all the steps; if none does, the last one."""
    knowing = [pipe for pipe in pipes if all(step.id in pipe.labels for step in steps)]
    return next(reversed(knowing or pipes), None)


def read_sentences(
    docs: Sequence[Doc], label: InstructedPipe, span: InstructedPipe, nlp: Language
) -> list[list[tuple[CharSpan, Doc]]]:
    """Return each text's sentences as docs that the components have read. A doc of one sentence has been read already."""
    texts = [cut_sentences(doc) for doc in docs]
    sentences = [one for doc, text in zip(docs, texts, strict=True) for _, one in text if one is not doc]
    for component in take_turns(sentences, (label, span), nlp):
        for _ in component.pipe(sentences):
            pass
    return texts


def cut_sentences(doc: Doc) -> list[tuple[CharSpan, Doc]]:
    """Return the sentences of a text that are not blank, each as a doc.

    RAISES (ModelError): No component has set sentence starts.
    """
    if not doc.has_annotation("SENT_START"):
        raise ModelError(
            "The plan's unit is 'sentence', but nothing in the pipeline sets sentence starts. "
            "Add one before the transformer: nlp.add_pipe('sentencizer', first=True)."
        )
    sents = [sent for sent in doc.sents if sent.text.strip()]
    docs = [doc if len(sent) == len(doc) else sent.as_doc() for sent in sents]
    return [(CharSpan(sent.start_char, sent.end_char), one) for sent, one in zip(sents, docs, strict=True)]
