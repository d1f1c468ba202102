"""The metamodel as a thinc model: an encoder's token vectors, then a torch head with its instructions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Literal

import srsly
import torch
from spacy.tokens import Doc
from thinc.api import ArgsKwargs, Model, Optimizer, PyTorchShim, get_torch_default_device, torch2xp, xp2torch
from thinc.types import Floats2d, FloatsXd

from spacy_falconer.metamodel.heads import Instructed, LabelHead, SpanHead

HEADS = {"get_label": LabelHead, "get_span": SpanHead}


def build_metamodel_v1(
    tok2vec: Model[list[Doc], list[Floats2d]],
    op: Literal["get_label", "get_span"],
    hidden_width: int,
    dropout: float,
    learn_rate_factor: float,
) -> Model[list[Doc], FloatsXd]:
    """Answer every instruction for every text in one read of the encoder.

    tok2vec: Gives one vector a token; a listener to the pipeline's transformer.
    op (str): "get_label": logits of shape (n_texts, K); "get_span": logits of shape (n_tokens, K, 3), columns B, I, O,
        the texts' tokens one after the other. K instructions.
    hidden_width (int): Units in which a token meets an instruction.
    dropout (float): On those units, 0 to 1.
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
            "load_head": load_head,
        },
    )


class HeadShim(PyTorchShim):
    """Holds a torch head whose width and number of instructions are known only when it is initialized or loaded."""

    def __init__(self, settings: dict, *, learn_rate_factor: float):
        super().__init__(None, settings)
        self.learn_rate_factor = learn_rate_factor

    def build(self, instructions: torch.Tensor) -> None:
        """Make a fresh head for these instruction vectors, shape (K, D)."""
        width = instructions.shape[1]
        options = {key: self.cfg[key] for key in ("hidden_width", "dropout")}
        head = HEADS[self.cfg["op"]](width=width, **options)
        self._model = Instructed(head, instructions).to(get_torch_default_device())

    def finish_update(self, optimizer: Optimizer) -> None:
        """Step every parameter at the head's own learn rate (thinc's optimizers have but one)."""

        def scaled(key, weights, gradient):
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
    """Build the head for the encoder's width, with no instructions, unless there is one."""
    shim = model.get_ref("head").shims[0]
    if shim._model is None:
        shim.build(torch.zeros(0, find_width(model.get_ref("tok2vec"))))


def find_width(tok2vec: Model) -> int:
    """The encoder's width, from whichever layer of `tok2vec` knows it."""
    return next(node.get_dim("nO") for node in tok2vec.walk() if node.has_dim("nO"))


def count_instructions(model: Model) -> int:
    head = model.get_ref("head").shims[0]._model
    return 0 if head is None else len(head.instructions)


def add_vector(model: Model, vector: FloatsXd) -> None:
    """Append an instruction's vector, shape (D,)."""
    head = model.get_ref("head").shims[0]._model
    row = xp2torch(vector).reshape(1, -1).to(head.instructions)
    head.instructions = torch.nn.Parameter(torch.cat([head.instructions.detach(), row]))


def get_vector(model: Model, index: int) -> FloatsXd:
    """An instruction's vector as it was learned, shape (D,)."""
    return torch2xp(model.get_ref("head").shims[0]._model.instructions[index].detach())


def load_head(model: Model, state: Mapping[str, torch.Tensor]) -> None:
    """Take over the weights of a head that was trained elsewhere. The instructions' vectors stay."""
    model.get_ref("head").shims[0]._model.head.load_state_dict(state)


def forward(model: Model, docs: Sequence[Doc], is_train: bool) -> tuple[FloatsXd, Callable]:
    vectors, backprop_tok2vec = model.get_ref("tok2vec")(docs, is_train)
    lengths = [len(doc) for doc in docs]
    logits, backprop_head = model.get_ref("head")((_join(model, vectors, lengths), lengths), is_train)

    def backprop(d_logits: FloatsXd) -> list[Doc]:
        d_tokens = backprop_head(d_logits)
        return backprop_tok2vec(model.ops.unflatten(d_tokens, model.ops.asarray1i(lengths)))

    return logits, backprop


def predict_vectors(model: Model, docs: Sequence[Doc], instructions: FloatsXd) -> FloatsXd:
    """The logits for instructions that the model does not hold, by their vectors, shape (K, D)."""
    lengths = [len(doc) for doc in docs]
    vectors = model.get_ref("tok2vec").predict(docs) if sum(lengths) else [[] for _ in docs]
    tokens = _join(model, vectors, lengths)
    arrays = (xp2torch(tokens), _lengths2torch(lengths), xp2torch(instructions))
    return torch2xp(model.get_ref("head").shims[0].predict(ArgsKwargs(args=arrays, kwargs={})))


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
    """All tokens' vectors, one after the other; the encoder gives no width for texts without tokens."""
    filled = [rows for rows, length in zip(vectors, lengths, strict=True) if length]
    width = find_width(model.get_ref("tok2vec"))
    return model.ops.xp.concatenate(filled) if filled else model.ops.alloc2f(0, width)


def _lengths2torch(lengths: Sequence[int]) -> torch.Tensor:
    return torch.tensor(lengths, dtype=torch.long, device=get_torch_default_device())
