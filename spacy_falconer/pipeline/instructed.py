"""The base class of `falconer_label` and `falconer_span`: a trainable pipe that holds instructions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import minibatch
from thinc.api import Model
from thinc.types import Floats1d, Floats2d, FloatsXd

from spacy_falconer.errors import ModelError
from spacy_falconer.metamodel.calibrate import NOTHING
from spacy_falconer.pipeline.home import Home

READ_AT_ONCE = 256  # Instructions in a batch; they are short.
LISTENER = "transformer-listener"
TOK2VEC = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "grad_factor": 1.0,
    "pooling": {"@layers": "reduce_mean.v1"},
    "upstream": "transformer",
}
METAMODEL = {
    "@architectures": "spacy-falconer.Metamodel.v1",
    "hidden_width": 192,
    "dropout": 0.1,
    "learn_rate_factor": 10.0,
    "tok2vec": TOK2VEC,
}


class InstructedPipe(TrainablePipe):
    """Answers all instructions with one read of the encoder. An instruction is a key, its words, and a vector in the model.

    Settings that are saved and passed to the scorer are in `cfg`: `instructions` (words by key), `calibrations` (slope
    and offset of a score's log odds, by key), `thresholds` (least calibrated score that counts, by key) and `threshold`
    (for keys without one of their own). `op` is the primitive that the component answers.
    """

    op: ClassVar[str]

    def __init__(self, nlp: Language, model: Model, name: str, *, cfg: dict[str, Any], scorer: Callable | None):
        if not 0.0 <= cfg["threshold"] <= 1.0:
            raise ModelError(f"The threshold of {name!r} is {cfg['threshold']!r}; expected 0 to 1. Correct the config.")
        super().__init__(nlp.vocab, model, name, thresholds={}, calibrations={}, **cfg)
        self.scorer = scorer
        self._made_in = Home(nlp)

    @property
    def labels(self) -> tuple[str, ...]:
        """The instructions' keys, in the order in which they were added."""
        return tuple(self.cfg["instructions"])

    def threshold_of(self, key: str) -> float:
        """Return the least score that counts as yes for an instruction."""
        return threshold_of(self.cfg, key)

    def calibrations_of(self, keys: Sequence[str]) -> Floats2d:
        """Return the calibration of each instruction's scores: slopes and offsets, shape (2, K)."""
        own = self.cfg["calibrations"]
        return numpy.array([own.get(key, NOTHING) for key in keys], dtype="float64").reshape(-1, 2).T

    def add_instruction(self, key: str, text: str, *, nlp: Language | None = None) -> None:
        """Add an instruction, which is answered from now on, even without training, and better after it.

        key (str): Its key in `doc.cats`, or the label of its spans.
        text (str): The instruction, complete in itself, such as "The reviewer is satisfied with the product."
        nlp (Language): The pipeline that the component is in; needed if it was sourced from another one.
        RAISES (ModelError): The key is taken, a value is not a text, the component has no weights, or its pipeline is not
            known.
        """
        if not self.model.attrs["is_built"](self.model):
            raise ModelError(
                f"{self.name!r} has no weights yet, so no instruction can be added. Initialize the pipeline; if that is "
                f"trained already, only the component: nlp.get_pipe({self.name!r}).initialize(list, nlp=nlp)."
            )
        check_instruction(key, text, known=self.cfg["instructions"], name=self.name)
        check_other_keys(key, self, self._find_pipeline(nlp))
        vector = self.read_instruction(text, nlp=nlp)
        self.model.attrs["add_vector"](self.model, vector)
        self.cfg["instructions"][key] = text

    def read_instruction(self, text: str, *, nlp: Language | None = None) -> Floats1d:
        """Return an instruction's vector, shape (D,): the mean of its tokens' vectors from the component's encoder."""
        return self.read_instructions([text], nlp=nlp)[0]

    def read_instructions(self, texts: Sequence[str], *, nlp: Language | None = None) -> list[Floats1d]:
        """Return the vectors of several instructions, which are read in batches."""
        nlp, vectors = self._find_pipeline(nlp), []
        for some in minibatch(texts, READ_AT_ONCE):
            docs = [nlp.make_doc(text) for text in some]
            encode(docs, self, nlp)
            vectors += [rows.mean(axis=0) for rows in self.model.get_ref("tok2vec").predict(docs)]
        return vectors

    def vector_of(self, key: str) -> Floats2d:
        """Return the learned vector of an instruction that the component holds, shape (1, D)."""
        return self.model.attrs["get_vector"](self.model, self.labels.index(key)).reshape(1, -1)

    def predict_vectors(self, docs: Sequence[Doc], vectors: Floats2d) -> FloatsXd:
        """Return the raw scores of encoded docs for any instructions, given by their vectors of shape (K, D)."""
        check_encoded(docs, self)
        return self.to_scores(docs, self.model.attrs["predict_vectors"](self.model, docs, vectors))

    def to_scores(self, docs: Sequence[Doc], logits: FloatsXd) -> FloatsXd:
        raise NotImplementedError

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        instructions: dict[str, str] | None = None,
    ) -> None:
        """Build the head for the encoder's width, and read the instructions that have no vector yet."""
        self.model.initialize()
        wanted = {**self.cfg["instructions"], **(instructions or {})}
        read = self.labels[: self.model.attrs["n_instructions"](self.model)]
        self.cfg["instructions"] = {key: wanted.pop(key) for key in read}
        for key, text in wanted.items():
            self.add_instruction(key, text, nlp=nlp)

    def _find_pipeline(self, nlp: Language | None) -> Language:
        """Return the pipeline that the component is in now, which may not be the one it was made in."""
        nlp = nlp if nlp is not None else self._made_in()
        if nlp is None or self.name not in nlp.component_names or nlp.get_pipe(self.name) is not self:
            raise ModelError(
                f"{self.name!r} is in another pipeline than the one it was made in, and cannot read an instruction without "
                "it. Pass the pipeline that it is in: nlp=nlp."
            )
        return nlp


def threshold_of(cfg: dict[str, Any], key: str) -> float:
    """Return an instruction's own threshold, or else the component's."""
    return cfg["thresholds"].get(key, cfg["threshold"])


def check_instruction(key: str, text: str, *, known: dict[str, str], name: str) -> None:
    """RAISES (ModelError): The key is blank or taken, or the instruction is not a text with anything readable in it."""
    if not isinstance(key, str) or not key.strip():
        raise ModelError(f"An instruction of {name!r} has the key {key!r}; expected a name such as 'price'.")
    check_words(text, f"The instruction {key!r} of {name!r}")
    if key in known:
        raise ModelError(f"{name!r} has an instruction {key!r} already: {known[key]!r}. Choose another key.")


def check_words(text: str, what: str) -> None:
    """RAISES (ModelError): An instruction is not a text with anything readable in it."""
    if not isinstance(text, str) or not any(letter.isprintable() and not letter.isspace() for letter in text):
        raise ModelError(f"{what} is {text!r}; expected a statement or request in words.")


def check_other_keys(key: str, pipe: InstructedPipe, nlp: Language) -> None:
    """RAISES (ModelError): Another component has the key. Thresholds, answers and rows are told apart by keys alone."""
    for name, other in nlp.components:
        if other is not pipe and isinstance(other, InstructedPipe) and key in other.labels:
            raise ModelError(
                f"{name!r} has an instruction {key!r} already. Choose another key for that of {pipe.name!r}."
            )


def encode(docs: Sequence[Doc], pipe: InstructedPipe, nlp: Language) -> None:
    """Run the transformer that the component listens to, if it listens to one."""
    for _ in take_turns(docs, [pipe], nlp):
        pass


def take_turns(docs: Sequence[Doc], pipes: Iterable[InstructedPipe], nlp: Language) -> Iterator[InstructedPipe]:
    """Yield the components one by one, each right after the transformer that it listens to has read the docs."""
    read_by = None
    for pipe in pipes:
        encoder = find_encoder(pipe, nlp)
        if encoder not in (None, read_by):
            for _ in encoder.pipe(docs):
                pass
            read_by = encoder
        yield pipe


def find_encoder(pipe: InstructedPipe, nlp: Language) -> Any:
    """Return the transformer that the component listens to; None if it has one of its own."""
    if not listens(pipe):
        return None
    encoders = [proc for _, proc in nlp.components if pipe.name in getattr(proc, "listening_components", ())]
    if not encoders:
        raise ModelError(
            f"{pipe.name!r} listens to {find_upstream(pipe)!r}, and this pipeline ({', '.join(nlp.component_names)}) has no "
            "transformer of that name. If it was renamed, give it back its name; else add the one that the component came "
            "with, as `spacy_falconer.pipeline.source.add_falconer` does."
        )
    return encoders[0]


def listens(pipe: InstructedPipe) -> bool:
    """Return whether the component shares a transformer, rather than owning one after `nlp.replace_listeners`."""
    return find_upstream(pipe) is not None


def find_upstream(pipe: InstructedPipe) -> str | None:
    """Return the name of the transformer that the component listens to; None if it has one of its own."""
    return next((node.upstream_name for node in pipe.model.walk() if node.name == LISTENER), None)


def check_encoded(docs: Sequence[Doc], pipe: InstructedPipe) -> None:
    """RAISES (ModelError): No transformer has read a doc, or its tokens have changed since. The listener would not notice."""
    if not listens(pipe):
        return
    missing = [doc for doc in docs if len(doc) and doc._.trf_data is None]
    if missing:
        raise ModelError(
            f"{pipe.name!r} got {len(missing)} of {len(docs)} texts that no transformer has read, the first: "
            f"{missing[0].text[:60]!r}. Enable the transformer that it came with, before {pipe.name!r}; "
            "spacy_falconer.pipeline.source.add_falconer adds both."
        )
    changed = [doc for doc in docs if len(doc) and len(doc._.trf_data.align.lengths) != len(doc)]
    if changed:
        raise ModelError(
            f"{pipe.name!r} got a text of {len(changed[0])} tokens that had {len(changed[0]._.trf_data.align.lengths)} when "
            f"the transformer read it: {changed[0].text[:60]!r}. Merge or split tokens before the transformer, or after "
            f"{pipe.name!r}."
        )
