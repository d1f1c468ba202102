"""The metamodel as a thinc model: an encoder's token vectors, then a torch head with its instructions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Literal

import numpy
import srsly
import torch
from numpy.typing import NDArray
from spacy.tokens import Doc
from thinc.api import ArgsKwargs, Model, Optimizer, get_torch_default_device, torch2xp, xp2torch
from thinc.types import Floats2d, FloatsXd

from spacy_falconer.errors import ModelError
from spacy_falconer.metamodel.heads import Instructed, LabelHead, SpanHead
from spacy_falconer.metamodel.shim import ReadingShim

MET_AT_ONCE = 2**19  # Hidden units, over tokens and instructions, that fit into the cache; a GPU takes more.
MET_ON_GPU = 2**25
HEADS = {"get_label": LabelHead, "get_span": SpanHead}


def build_metamodel_v1(
    tok2vec: Model[list[Doc], list[Floats2d]],
    op: Literal["get_label", "get_span"],
    hidden_width: int,
    dropout: float,
    learn_rate_factor: float,
) -> Model[list[Doc], FloatsXd]:
    """Answer every instruction for every text, with the encoder reading each text once.

    tok2vec: Gives one vector per token; a listener to the pipeline's transformer.
    op (str): "get_label": logits of shape (n_texts, K); "get_span": logits of shape (n_tokens, K, 3), columns B, I, O,
        the texts' tokens one after the other. K instructions.
    hidden_width (int): Hidden units in which a token is combined with an instruction.
    dropout (float): On these units, 0 to 1.
    learn_rate_factor (float): How much faster than the encoder the head and its instructions learn.
    """
    settings = {"op": op, "hidden_width": hidden_width, "dropout": dropout}
    shim = HeadShim(settings, learn_rate_factor=learn_rate_factor)
    head: Model = Model("falconer-head", forward_head, shims=[shim])
    return Model(
        "falconer-metamodel",
        forward,
        init=init,
        layers=[tok2vec, head],
        refs={"tok2vec": tok2vec, "head": head},
        attrs={
            "add_vector": add_vector,
            "get_vector": get_vector,
            "predict_vectors": predict_vectors,
            "n_instructions": count_instructions,
            "is_built": is_built,
            "load_head": load_head,
        },
    )


class HeadShim(ReadingShim):
    """Holds a torch head whose width and number of instructions are known only when it is initialized or loaded."""

    def __init__(self, settings: dict, *, learn_rate_factor: float):
        super().__init__(None, settings)
        self.learn_rate_factor = learn_rate_factor

    def build(self, instructions: torch.Tensor) -> None:
        """Make a fresh head for these instruction vectors, shape (K, D)."""
        width = instructions.shape[1]
        options = {key: self.cfg[key] for key in ("hidden_width", "dropout")}
        head = HEADS[self.cfg["op"]](width=width, **options)
        self._model = Instructed(head, instructions).to(get_torch_default_device(), torch.float32)

    def finish_update(self, optimizer: Optimizer) -> None:
        """Update every parameter at the head's own learn rate (thinc's optimizers have only one)."""

        def scaled(key, weights, gradient):
            # An instruction that was added has changed the shape, and what an optimizer remembers does not fit any more.
            key = (key[0], f"{key[1]} {weights.shape}")
            return optimizer(key, weights, gradient, lr_scale=self.learn_rate_factor)

        if self._model is not None:
            super().finish_update(scaled)

    def to_bytes(self) -> bytes:
        filelike = BytesIO()
        torch.save(self._model.state_dict() if self._model is not None else {}, filelike)
        return srsly.msgpack_dumps({"config": self.cfg, "state": filelike.getvalue()})

    def from_bytes(self, bytes_data: bytes) -> HeadShim:
        saved = srsly.msgpack_loads(bytes_data)
        self.cfg = saved["config"]
        state = torch.load(BytesIO(saved["state"]), map_location=get_torch_default_device(), weights_only=True)
        if state:
            self.build(torch.empty(state["instructions"].shape))  # Float32, whatever was saved.
            self._model.load_state_dict(state)
        return self


def init(model: Model, X: Sequence[Doc] | None = None, Y: FloatsXd | None = None) -> None:
    """Build the head for the encoder's width, without instructions, unless there is a head already."""
    shim = model.get_ref("head").shims[0]
    if shim._model is None:
        shim.build(torch.zeros(0, find_width(model.get_ref("tok2vec"))))


def find_width(tok2vec: Model) -> int:
    """Return the encoder's width, from whichever layer of `tok2vec` knows it.

    RAISES (ModelError): None does: there is no transformer that it could listen to.
    """
    width = next((node.get_dim("nO") for node in tok2vec.walk() if node.has_dim("nO")), None)
    if width is None:
        raise ModelError(
            "The component's encoder has no width yet. Expected a transformer before it in the pipeline, initialized: "
            "spacy_falconer.pipeline.source.add_falconer(nlp, spacy.load(...))."
        )
    return width


def is_built(model: Model) -> bool:
    return model.get_ref("head").shims[0]._model is not None


def count_instructions(model: Model) -> int:
    head = model.get_ref("head").shims[0]._model
    return 0 if head is None else len(head.instructions)


def add_vector(model: Model, vector: FloatsXd) -> None:
    """Append an instruction's vector, shape (D,)."""
    head = model.get_ref("head").shims[0]._model
    row = xp2torch(vector).reshape(1, -1).to(head.instructions)
    head.instructions = torch.nn.Parameter(torch.cat([head.instructions.detach(), row]))


def get_vector(model: Model, index: int) -> FloatsXd:
    """Return an instruction's vector as it was learned, shape (D,)."""
    return torch2xp(model.get_ref("head").shims[0]._model.instructions[index].detach())


def load_head(model: Model, state: Mapping[str, torch.Tensor]) -> None:
    """Load the weights of a head that was trained elsewhere. The instructions' vectors stay."""
    model.get_ref("head").shims[0]._model.head.load_state_dict(state)


def forward(model: Model, docs: Sequence[Doc], is_train: bool) -> tuple[FloatsXd, Callable]:
    if not is_train:
        head = model.get_ref("head").shims[0]._model
        return predict_logits(model, docs, head.instructions), lambda d_logits: []
    vectors, backprop_tok2vec = model.get_ref("tok2vec")(docs, is_train)
    lengths = [len(doc) for doc in docs]
    logits, backprop_head = model.get_ref("head")((_join(model, vectors, lengths), lengths), is_train)

    def backprop(d_logits: FloatsXd) -> list[Doc]:
        d_tokens = backprop_head(d_logits)
        return backprop_tok2vec(model.ops.unflatten(d_tokens, model.ops.asarray1i(lengths)))

    return logits, backprop


def predict_vectors(model: Model, docs: Sequence[Doc], instructions: FloatsXd) -> FloatsXd:
    """Return the logits for instructions that the model does not hold, given by their vectors, shape (K, D)."""
    return predict_logits(model, docs, xp2torch(instructions))


def predict_logits(model: Model, docs: Sequence[Doc], instructions: torch.Tensor) -> FloatsXd:
    """Return the logits of all texts for all instructions, some at a time, so that they stay in the processor's cache."""
    lengths = numpy.array([len(doc) for doc in docs])
    vectors = read_tokens(model.get_ref("tok2vec"), docs)
    shim, answered = model.get_ref("head").shims[0], []
    most = max(1, units_at_once(instructions.device) // shim.cfg["hidden_width"])
    for some in cut_texts(lengths, max(1, most // max(1, len(instructions)))):
        own = lengths[some].tolist()
        tokens, counts = xp2torch(_join(model, vectors[some], own)), _lengths2torch(own)
        n_instructions = max(1, most // max(1, len(tokens)))  # For a long text, fewer are answered at once.
        found = [
            shim.predict(ArgsKwargs(args=(tokens, counts, asked), kwargs={}))
            for asked in instructions.detach().split(n_instructions)
        ]
        answered.append(torch.cat(found, dim=1))
    return torch2xp(torch.cat(answered))


def units_at_once(device: torch.device) -> int:
    return MET_AT_ONCE if device.type == "cpu" else MET_ON_GPU


def read_tokens(tok2vec: Model, docs: Sequence[Doc]) -> Sequence[Floats2d]:
    """Return each text's token vectors: those that our encoder has made already, if the listener would make the same."""
    kinds = {node.name for node in tok2vec.walk()}
    if {"transformer-listener", "reduce_mean"} <= kinds:
        read = [getattr(doc._.trf_data, "token_vectors", None) for doc in docs]
        if all(len(doc) == 0 or vectors is not None for doc, vectors in zip(docs, read, strict=True)):
            return read
    return tok2vec.predict(docs) if any(len(doc) for doc in docs) else [[] for _ in docs]


def cut_texts(lengths: NDArray, n_tokens: int) -> Iterator[slice]:
    """Yield slices of neighbouring texts that have at most `n_tokens` tokens together, or are one text."""
    start = total = 0
    for i, length in enumerate(lengths.tolist()):
        if i > start and total + length > n_tokens:
            yield slice(start, i)
            start, total = i, 0
        total += length
    yield slice(start, len(lengths))


def forward_head(model: Model, inputs: tuple[Floats2d, list[int]], is_train: bool) -> tuple[FloatsXd, Callable]:
    tokens, lengths = inputs
    tokens_torch = xp2torch(tokens, requires_grad=is_train)
    arguments = ArgsKwargs(args=(tokens_torch, _lengths2torch(lengths)), kwargs={})
    logits, backprop_torch = model.shims[0](arguments, is_train)

    def backprop(d_logits: FloatsXd) -> Floats2d:
        backprop_torch(ArgsKwargs(args=((logits,),), kwargs={"grad_tensors": [xp2torch(d_logits)]}))
        return torch2xp(tokens_torch.grad)

    return torch2xp(logits), backprop


def _join(model: Model, vectors: Sequence[Floats2d], lengths: Sequence[int]) -> Floats2d:
    """Join all tokens' vectors. The encoder gives no width for texts without tokens, so it is looked up."""
    filled = [rows for rows, length in zip(vectors, lengths, strict=True) if length]
    width = find_width(model.get_ref("tok2vec"))
    return model.ops.xp.concatenate(filled) if filled else model.ops.alloc2f(0, width)


def _lengths2torch(lengths: Sequence[int]) -> torch.Tensor:
    return torch.tensor(lengths, dtype=torch.long, device=get_torch_default_device())
