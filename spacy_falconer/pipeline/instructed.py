"""What `falconer_label` and `falconer_span` are alike in: a trainable pipe that holds instructions."""

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

READ_AT_ONCE = 256  # Instructions, which are short.
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
    """Answers instructions with one read of the encoder. Each is a key, its words, and a vector in the model.

    Settings that are saved and handed to the scorer are in `cfg`: `instructions` (words by key), `calibrations` (slope
    and offset of a score's log odds, by key), `thresholds` (least calibrated score that counts, by key) and `threshold`
    (where a key has none of its own). `op` is the primitive that it answers.
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
        """The least score that counts as yes for an instruction."""
        return threshold_of(self.cfg, key)

    def calibrations_of(self, keys: Sequence[str]) -> Floats2d:
        """What makes instructions' scores mean what they say: slopes and offsets, shape (2, K)."""
        own = self.cfg["calibrations"]
        return numpy.array([own.get(key, NOTHING) for key in keys], dtype="float64").reshape(-1, 2).T

    def add_instruction(self, key: str, text: str, *, nlp: Language | None = None) -> None:
        """Answer one more instruction from now on, at once, and better after training.

        key (str): Its key in `doc.cats`, or the label of its spans.
        text (str): The instruction, complete in itself, such as "The reviewer is satisfied with the product."
        nlp (Language): The pipeline that the component stands in; needed where it was sourced from another.
        RAISES (ModelError): The key is taken, a value is no text, the component has no weights, or the pipeline is not at
            hand.
        """
        if not self.model.attrs["is_built"](self.model):
            raise ModelError(
                f"{self.name!r} has no weights yet, and no instruction can be added. Initialize the pipeline; in one that is "
                f"trained already, the component alone: nlp.get_pipe({self.name!r}).initialize(list, nlp=nlp)."
            )
        check_instruction(key, text, known=self.cfg["instructions"], name=self.name)
        check_other_keys(key, self, self._find_pipeline(nlp))
        vector = self.read_instruction(text, nlp=nlp)
        self.model.attrs["add_vector"](self.model, vector)
        self.cfg["instructions"][key] = text

    def read_instruction(self, text: str, *, nlp: Language | None = None) -> Floats1d:
        """An instruction's vector: the mean of its tokens' vectors, read by the component's own encoder, shape (D,)."""
        return self.read_instructions([text], nlp=nlp)[0]

    def read_instructions(self, texts: Sequence[str], *, nlp: Language | None = None) -> list[Floats1d]:
        """The vectors of several, which are read together."""
        nlp, vectors = self._find_pipeline(nlp), []
        for some in minibatch(texts, READ_AT_ONCE):
            docs = [nlp.make_doc(text) for text in some]
            encode(docs, self, nlp)
            vectors += [rows.mean(axis=0) for rows in self.model.get_ref("tok2vec").predict(docs)]
        return vectors

    def vector_of(self, key: str) -> Floats2d:
        """What an instruction that the component holds has learned, shape (1, D)."""
        return self.model.attrs["get_vector"](self.model, self.labels.index(key)).reshape(1, -1)

    def predict_vectors(self, docs: Sequence[Doc], vectors: Floats2d) -> FloatsXd:
        """Raw scores of encoded docs for instructions by their vectors of shape (K, D), the component's own or not."""
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
        """Build the head for the encoder's width, and read those instructions that have no vector yet."""
        self.model.initialize()
        wanted = {**self.cfg["instructions"], **(instructions or {})}
        read = self.labels[: self.model.attrs["n_instructions"](self.model)]
        self.cfg["instructions"] = {key: wanted.pop(key) for key in read}
        for key, text in wanted.items():
            self.add_instruction(key, text, nlp=nlp)

    def _find_pipeline(self, nlp: Language | None) -> Language:
        """The pipeline that the component stands in now; not always the one it was made in."""
        nlp = nlp if nlp is not None else self._made_in()
        if nlp is None or self.name not in nlp.component_names or nlp.get_pipe(self.name) is not self:
            raise ModelError(
                f"{self.name!r} stands in another pipeline than the one it was made in, and cannot read an instruction "
                "without it. Pass the pipeline that it stands in: nlp=nlp."
            )
        return nlp


def threshold_of(cfg: dict[str, Any], key: str) -> float:
    """An instruction's own threshold, else the component's."""
    return cfg["thresholds"].get(key, cfg["threshold"])


def check_instruction(key: str, text: str, *, known: dict[str, str], name: str) -> None:
    """Refuse what is no key, no instruction, or taken."""
    if not isinstance(key, str) or not key.strip():
        raise ModelError(f"An instruction of {name!r} has the key {key!r}; expected a name such as 'price'.")
    if not isinstance(text, str) or not any(letter.isprintable() and not letter.isspace() for letter in text):
        raise ModelError(f"The instruction {key!r} of {name!r} is {text!r}; expected a statement or request in words.")
    if key in known:
        raise ModelError(f"{name!r} has an instruction {key!r} already: {known[key]!r}. Choose another key.")


def check_other_keys(key: str, pipe: InstructedPipe, nlp: Language) -> None:
    """Refuse a key by which another component answers: thresholds, answers and rows go by the keys alone."""
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
    """The components one after the other, each when the transformer that it listens to is the last that read the docs."""
    read_by = None
    for pipe in pipes:
        encoder = find_encoder(pipe, nlp)
        if encoder not in (None, read_by):
            for _ in encoder.pipe(docs):
                pass
            read_by = encoder
        yield pipe


def find_encoder(pipe: InstructedPipe, nlp: Language) -> Any:
    """The transformer that the component listens to; None where it has one of its own."""
    if not listens(pipe):
        return None
    encoders = [proc for _, proc in nlp.components if pipe.name in getattr(proc, "listening_components", ())]
    if not encoders:
        raise ModelError(
            f"{pipe.name!r} listens to no transformer of this pipeline ({', '.join(nlp.component_names)}). "
            "Add the transformer that it came with, as `spacy_falconer.pipeline.source.add_falconer` does."
        )
    return encoders[0]


def listens(pipe: InstructedPipe) -> bool:
    """Whether the component shares a transformer, rather than owning one after `nlp.replace_listeners`."""
    return any(node.name == LISTENER for node in pipe.model.walk())


def check_encoded(docs: Sequence[Doc], pipe: InstructedPipe) -> None:
    """Refuse docs that no transformer has read, or that have other tokens since: the listener would say nothing of it."""
    if not listens(pipe):
        return
    missing = [doc for doc in docs if len(doc) and doc._.trf_data is None]
    if missing:
        raise ModelError(
            f"{pipe.name!r} got {len(missing)} of {len(docs)} texts that no transformer has read, the first: "
            f"{missing[0].text[:60]!r}. Enable the transformer and put it before {pipe.name!r}."
        )
    changed = [doc for doc in docs if len(doc) and len(doc._.trf_data.align.lengths) != len(doc)]
    if changed:
        raise ModelError(
            f"{pipe.name!r} got a text of {len(changed[0])} tokens that had {len(changed[0]._.trf_data.align.lengths)} when "
            f"the transformer read it: {changed[0].text[:60]!r}. Merge or split tokens before the transformer, or after "
            f"{pipe.name!r}."
        )
