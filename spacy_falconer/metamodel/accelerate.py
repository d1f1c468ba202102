"""Run the encoder in another precision inside a `with` block. What is saved stays float32, even inside the block."""

from __future__ import annotations

import copy
import importlib.util
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from spacy.language import Language
from thinc.api import Model
from torch import Tensor, nn
from transformers import PretrainedConfig

from spacy_falconer.errors import ModelError
from spacy_falconer.metamodel.architectures import HeadShim
from spacy_falconer.metamodel.device import on_gpu
from spacy_falconer.metamodel.encoder import EncoderShim, PieceTransformer, has_bf16, trains_in_bf16
from spacy_falconer.metamodel.heads import Interaction
from spacy_falconer.metamodel.read import PIECES_ON_GPU

Read = Callable[[Tensor, Tensor], Tensor]  # Ids and mask, (n_windows, n_pieces), to vectors, (n_windows, n_pieces, D).

PRECISIONS = ("auto", "fp32", "bf16", "int8", "compiled")
ON_CPU_ALONE = ("int8", "compiled")
MIN_LIKENESS = 0.9995  # `auto` rejects a precision whose mean cosine with float32's vectors is below this.
N_WINDOWS, N_ROUNDS = 8, 2
KEPT_SHAPES = 100  # Of batches that OpenVINO stays prepared for; by default memory grows with thousands of them.
LENGTH_STEP = 16  # Pieces: OpenVINO's batches are padded to multiples of it, for a shape it has seen is read sooner.
SAMPLE = (
    "I bought this for my mother's birthday and paid $25, shipping included. It worked for two weeks; then the left "
    "hinge broke, and nobody answered my e-mails. The sound is surprisingly good for its size, though, and the battery "
    "lasts all day. If they fix the hinge I would buy it again. "
)


@contextmanager
def accelerate(nlp: Language, precision: str = "auto") -> Iterator[str]:
    """Read texts faster inside the `with` block, with a less exact copy of the encoder.

    If the copy is in bfloat16, the heads project its vectors in bfloat16, too. The pipeline itself stays as it is: saved
    inside the block it is float32, and it cannot be trained there. On a GPU it also reads in larger batches.

    precision (str): "bf16"; "int8", the encoder's matrices in 8 bits; "compiled", by OpenVINO, in bfloat16 if the
        processor multiplies it; "fp32", as it is; or "auto", the fastest one here whose vectors are like those of
        float32. "int8" and "compiled" are for the CPU alone.
    YIELDS (str): The precision, for "auto" the chosen one.
    RAISES (ModelError): There is no such precision here, the pipeline has no encoder of ours, or OpenVINO is not installed.
    """
    encoders = find_encoders(nlp)
    chosen = choose_precision(nlp) if check_precision(precision) == "auto" else precision
    before = [encoder.fast for encoder in encoders]
    try:
        for encoder in encoders:
            encoder.fast = make_reader(encoder._model, chosen)
        with large_batches(nlp), heads_in_bf16(nlp, wanted=chosen in ("bf16", "compiled") and has_bf16()):
            yield chosen
    finally:
        for encoder, fast in zip(encoders, before, strict=True):
            encoder.fast = fast


@contextmanager
def read_as_trained(nlp: Language) -> Iterator[None]:
    """Inside the block, which may train, read texts in bfloat16 with the encoders that this machine trains in it."""
    models = (node for node in walk(nlp) if isinstance(node, PieceTransformer) and trains_in_bf16(node))
    shims = [model.layers[0].shims[0] for model in models]
    for shim in shims:
        shim.reads_in_bf16 = True
    try:
        yield
    finally:
        for shim in shims:
            shim.reads_in_bf16 = False


def check_precision(precision: str) -> str:
    """RAISES (ModelError): There is no such precision here, or it needs a package that is not installed."""
    if precision not in PRECISIONS:
        raise ModelError(f"There is no precision {precision!r}. Choose one of: {', '.join(PRECISIONS)}.")
    if precision in ON_CPU_ALONE and on_gpu():
        raise ModelError(
            f"The precision {precision!r} is for the CPU, and the pipeline computes on a GPU. Choose 'bf16' or 'auto', or "
            "leave --gpu-id out."
        )
    if precision == "compiled" and not has_openvino():
        raise ModelError("The precision 'compiled' needs OpenVINO: pip install 'spacy-falconer[compiled]'.")
    return precision


@contextmanager
def large_batches(nlp: Language) -> Iterator[None]:
    """Inside the block, let transformers on a GPU read as many texts together as they read pieces at once."""
    ours = [pipe.cfg for _, pipe in nlp.pipeline if isinstance(getattr(pipe, "model", None), PieceTransformer)]
    before = [cfg["max_batch_items"] for cfg in ours]
    try:
        for cfg in ours if on_gpu() else ():
            cfg["max_batch_items"] = max(PIECES_ON_GPU, cfg["max_batch_items"])
        yield
    finally:
        for cfg, most in zip(ours, before, strict=True):
            cfg["max_batch_items"] = most


@contextmanager
def heads_in_bf16(nlp: Language, *, wanted: bool) -> Iterator[None]:
    """Inside the block, let the heads project tokens in bfloat16 if that is `wanted`."""
    heads = [shim._model for node in walk(nlp) for shim in node.shims if isinstance(shim, HeadShim)]
    modules = (module for head in heads if head is not None for module in head.modules())
    before = {module: module.in_bf16 for module in modules if isinstance(module, Interaction)}
    try:
        for module in before:
            module.in_bf16 = wanted
        yield
    finally:
        for module, was in before.items():
            module.in_bf16 = was


def walk(nlp: Language) -> Iterator[Model]:
    """Yield every layer of a pipeline. A layer that two components share comes twice."""
    for _, pipe in nlp.pipeline:
        yield from pipe.model.walk() if hasattr(pipe, "model") else ()


def find_models(nlp: Language) -> list[PieceTransformer]:
    """Return the encoders of a pipeline: that of its transformer, and those that components own.

    RAISES (ModelError): There is none.
    """
    found = {id(node): node for node in walk(nlp) if isinstance(node, PieceTransformer)}
    if not found:
        raise ModelError(
            f"The pipeline ({', '.join(nlp.pipe_names) or 'empty'}) has no encoder that can be accelerated. Its transformer's "
            "architecture must be spacy-falconer.TransformerModel.v1."
        )
    return list(found.values())


def find_encoders(nlp: Language) -> list[EncoderShim]:
    return [model.layers[0].shims[0] for model in find_models(nlp)]


def choose_precision(nlp: Language) -> str:
    """Choose the fastest precision on this machine whose vectors are like float32's, by reading a few lines of text."""
    model = find_models(nlp)[0]
    encoder = model.transformer
    names = list_candidates(encoder.device)
    if len(names) == 1:
        return names[0]
    batch = make_sample(model)
    exact, seconds = measure(make_reader(encoder, "fp32") or read_exactly(encoder), batch)
    best = "fp32"
    for name in names[1:]:
        found, taken = measure(make_reader(encoder, name), batch)
        likeness = nn.functional.cosine_similarity(found, exact, dim=-1).mean().item()
        if likeness >= MIN_LIKENESS and taken < seconds:
            best, seconds = name, taken
    return best


def list_candidates(device: torch.device) -> list[str]:
    """Return the precisions to try: those that the processor has instructions for, and OpenVINO's if it is installed."""
    if device.type != "cpu":
        return ["fp32", "bf16"]
    in_bf16 = ["bf16"] if has_bf16() else []
    in_int8 = ["int8"] if has_vnni() else []
    return ["fp32", *in_bf16, *in_int8, *(["compiled"] if has_openvino() else [])]


def has_vnni() -> bool:
    """Return whether this CPU has instructions to multiply 8-bit integers."""
    checks = ("_is_vnni_supported", "_is_avx512_vnni_supported", "_is_amx_int8_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in checks)


def has_openvino() -> bool:
    return importlib.util.find_spec("openvino") is not None


def make_sample(model: PieceTransformer) -> tuple[Tensor, Tensor]:
    """Return windows of the sample text, none of them padded."""
    n_pieces = min(128, model.attrs["max_pieces"])
    ids = model.tokenizer(SAMPLE * 4, truncation=True, max_length=n_pieces, return_tensors="pt")["input_ids"]
    ids = ids.repeat(N_WINDOWS, 1).to(model.transformer.device)
    return ids, torch.ones_like(ids, dtype=torch.float32)


def measure(read: Read, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, float]:
    """Return what `read` returns, and the seconds that it takes: the least of some rounds, after one to warm up."""
    with torch.no_grad():
        found, least = read(*batch), float("inf")
        for _ in range(N_ROUNDS):
            start = time.perf_counter()
            read(*batch).sum().item()  # Getting a number waits for the GPU.
            least = min(least, time.perf_counter() - start)
    return found, least


def make_reader(encoder: nn.Module, precision: str) -> Read | None:
    """Return what reads in the encoder's place; None if that is the encoder itself."""
    makers = {"bf16": read_in_bf16, "int8": read_in_int8, "compiled": compile_encoder}
    return makers[precision](encoder) if precision in makers else None


def read_exactly(encoder: nn.Module) -> Read:
    def read(ids: Tensor, mask: Tensor) -> Tensor:
        encoder.eval()  # Training leaves it in another mode.
        return encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()

    return read


def read_in_bf16(encoder: nn.Module) -> Read:
    """Read with matrices in bfloat16, and sums and norms in float32."""
    exact = read_exactly(encoder)

    def read(ids: Tensor, mask: Tensor) -> Tensor:
        with torch.autocast(ids.device.type, torch.bfloat16):
            return exact(ids, mask)

    return read


def read_in_int8(encoder: nn.Module) -> Read:
    """Read with matrices in 8 bits, with a scale for each output channel; on the CPU alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Torch warns that this will move to another package.
        each = {nn.Linear: torch.ao.quantization.per_channel_dynamic_qconfig}
        return read_exactly(torch.ao.quantization.quantize_dynamic(copy.deepcopy(encoder).cpu().eval(), each))


def compile_encoder(encoder: nn.Module) -> Read:
    """Read by OpenVINO, on as many threads as torch uses."""
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = (torch.ones(2, 9, dtype=torch.long), torch.ones(2, 9))
    copied = TokenVectors(copy.deepcopy(encoder).cpu().eval())
    copied.encoder.loss_function = None  # The decoder looks at every attribute; this one, left open, prints a warning.
    # Without openvino.convert_model, which reports its use over the network.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # About constants in the encoder's masks.
        decoder = TorchScriptPythonDecoder(copied, example_input=example)
    frontend = FrontEndManager().load_by_framework("pytorch")
    core = openvino.Core()
    in_bf16 = has_bf16() and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if in_bf16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": 1,
        "CPU_RUNTIME_CACHE_CAPACITY": KEPT_SHAPES,
        "ENABLE_CPU_PINNING": False,  # Else the threads of several processes share one core.
    }
    request = core.compile_model(frontend.convert(frontend.load(decoder)), "CPU", settings).create_infer_request()
    lock = threading.Lock()

    def read(ids: Tensor, mask: Tensor) -> Tensor:
        padded = [rows.cpu().numpy() for rows in pad_to_step(ids, mask, encoder.config)]
        with lock:  # It serves one thread at a time, and the next call overwrites its result.
            found = request.infer(padded, share_inputs=True)
            return torch.from_numpy(found[0][:, : ids.shape[1]].copy())

    return read


def pad_to_step(ids: Tensor, mask: Tensor, config: PretrainedConfig) -> tuple[Tensor, Tensor]:
    """Pad windows to a multiple of LENGTH_STEP, but to no more pieces than the encoder has positions for."""
    n_pieces = ids.shape[1]
    most = getattr(config, "max_position_embeddings", n_pieces)
    longer = -(-n_pieces // LENGTH_STEP) * LENGTH_STEP
    added = (0, max(n_pieces, min(longer, most)) - n_pieces)
    return nn.functional.pad(ids, added, value=config.pad_token_id or 0), nn.functional.pad(mask, added)


class TokenVectors(nn.Module):
    """An encoder that returns its last vectors and nothing else.

    *Shape:* ids (B, N), mask (B, N) -> (B, N, D)
    """

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
