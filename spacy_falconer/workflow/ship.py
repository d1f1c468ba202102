"""Turn a pre-trained checkpoint into an ordinary spaCy pipeline, with weights in half precision."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language

from spacy_falconer.errors import ModelError
from spacy_falconer.metamodel.pretrain.checkpoint import read_average
from spacy_falconer.pipeline.components import find_components
from spacy_falconer.workflow.train import find_default_config

BATCH_SIZE = 64  # As in configs/cpu.cfg.
PARTS = {"falconer_label": "label", "falconer_span": "span"}  # By component: its head in a checkpoint.
LEARN_RATE_FACTOR = 5.0  # A head that was trained before needs smaller steps than a fresh one.
THRESHOLD = 0.4  # Without any answers; the best of nine on the development sets, of spans as of labels.
MAX_BYTES = 50_000_000


def ship(checkpoints: Sequence[Path], output: Path, *, meta: Mapping[str, Any]) -> None:
    """Write a pipeline of transformer, `falconer_label` and `falconer_span`, without instructions.

    checkpoints: Folders that pretrain wrote; the weights of several are averaged.
    meta: The content of `meta.json`: name, version, description, licence, sources, performance.
    output (Path): A new folder, or that of an earlier pipeline, which is replaced.
    RAISES (ModelError): There is no complete checkpoint, or the pipeline is larger than `MAX_BYTES`.
    """
    if output.is_dir() and any(output.iterdir()) and not (output / "config.cfg").exists():
        raise ModelError(f"The folder {str(output)!r} holds something else than a pipeline. Name another output.")
    nlp = make_pipeline(checkpoints)
    nlp.meta.update(meta)
    shutil.rmtree(output, ignore_errors=True)
    nlp.to_disk(output)
    halve(output)
    n_bytes = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    if n_bytes > MAX_BYTES:
        raise ModelError(
            f"{output} has {n_bytes:,} bytes; expected at most {MAX_BYTES:,}. Pre-train a smaller encoder."
        )


def make_pipeline(checkpoints: Sequence[Path]) -> Language:
    """Make a pipeline of the checkpoints' encoder and heads, in full precision."""
    model, tokenizer, settings = read_average(checkpoints)
    config = spacy.util.load_config(find_default_config())["components"]["transformer"]
    encoder, public_name = config["model"], config["model"]["name"]
    n_pieces = min(encoder["max_pieces"], tokenizer.model_max_length)
    encoder.update(name=str(checkpoints[0] / "encoder"), max_pieces=n_pieces, overlap=n_pieces // 4)
    nlp = spacy.blank("en", config={"nlp": {"batch_size": BATCH_SIZE}})
    nlp.add_pipe("transformer", config={key: value for key, value in config.items() if key != "factory"})
    for factory in PARTS:
        head = {"hidden_width": settings["hidden_width"], "learn_rate_factor": LEARN_RATE_FACTOR}
        nlp.add_pipe(factory, config={"model": head, "threshold": THRESHOLD})
    nlp.initialize()
    nlp.get_pipe("transformer").model.transformer.load_state_dict(model.encoder.state_dict(), strict=False)
    for factory, part in PARTS.items():
        (pipe,) = find_components(nlp, factory)
        pipe.model.attrs["load_head"](pipe.model, getattr(model, part).state_dict())
    _forget_folder(nlp, public_name)
    return nlp


def halve(folder: Path) -> None:
    """Store a saved pipeline's weights as float16. They load as float32, as which a loaded pipeline is saved again."""
    nlp = spacy.load(folder)
    for _, pipe in nlp.components:
        for node in pipe.model.walk() if hasattr(pipe, "model") else ():
            for shim in node.shims:
                if shim._model is not None:
                    shim._model.half()
    nlp.to_disk(folder)


def _forget_folder(nlp: Language, name: str) -> None:
    """Replace the checkpoint's folder by the encoder's public name, in the config and in the model."""
    nlp.get_pipe_config("transformer")["model"]["name"] = name
    nlp.get_pipe("transformer").model.attrs["name"] = name
    tokenizer = nlp.get_pipe("transformer").model.tokenizer
    tokenizer.name_or_path = tokenizer.init_kwargs["name_or_path"] = name
