"""A checkpoint is a folder: `encoder/` as Hugging Face saves it, `heads.pt`, `trainer.pt` to resume, `settings.json`.

A new one is written beside the old one and takes its place when complete, so that there is always a complete one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from spacy_falconer.errors import ModelError
from spacy_falconer.metamodel.average import average_states
from spacy_falconer.metamodel.pretrain.model import Metamodel

# What encoders call their dropouts: those of BERT and RoBERTa, then ModernBERT's.
DROPOUTS = (
    "hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout", "embedding_dropout", "mlp_dropout",
)  # fmt: skip
ENCODER, HEADS, TRAINER, SETTINGS = "encoder", "heads.pt", "trainer.pt", "settings.json"


def write_checkpoint(
    folder: Path, model: Metamodel, tokenizer: Any, settings: Mapping[str, Any], trainer: Mapping[str, Any] | None
) -> None:
    """Replace `folder` with a complete checkpoint. Without `trainer`, a run cannot be resumed from it."""
    fresh, old = (folder.with_name(f"{folder.name}.{word}") for word in ("new", "old"))
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    model.encoder.save_pretrained(fresh / ENCODER)
    tokenizer.save_pretrained(fresh / ENCODER)
    torch.save({"label": model.label.state_dict(), "span": model.span.state_dict()}, fresh / HEADS)
    if trainer is not None:
        torch.save(dict(trainer), fresh / TRAINER)
    (fresh / SETTINGS).write_text(json.dumps(dict(settings), indent=2) + "\n", encoding="utf8")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def find_checkpoint(folder: Path) -> Path | None:
    """Return the complete checkpoint at `folder`: itself, or the old one if a writer was stopped between the renames."""
    for candidate in (folder, folder.with_name(f"{folder.name}.old")):
        if (candidate / SETTINGS).exists():
            return candidate
    return None


def read_model(
    encoder: str | Path, *, hidden_width: int, dropout: float, encoder_dropout: float = 0.0, attention: str = "eager"
) -> tuple[Metamodel, Any]:
    """Return an encoder with fresh heads, and its tokenizer. attention (str): The implementation of the encoder's attention."""
    config = AutoConfig.from_pretrained(encoder)
    saved = {key: getattr(config, key) for key in DROPOUTS if hasattr(config, key)}
    config.update(dict.fromkeys(saved, encoder_dropout))
    options: dict[str, Any] = {"add_pooling_layer": False} if config.model_type in ("bert", "roberta") else {}
    options["attn_implementation"] = attention
    network = AutoModel.from_pretrained(encoder, config=config, torch_dtype=torch.float32, **options)
    network.config.update({**saved, "_name_or_path": ""})
    tokenizer = AutoTokenizer.from_pretrained(encoder, use_fast=True)
    tokenizer.name_or_path = ""
    tokenizer.init_kwargs.pop("name_or_path", None)
    return Metamodel(network, hidden_width=hidden_width, dropout=dropout), tokenizer


def read_checkpoint(
    folder: Path, *, attention: str = "eager", encoder_dropout: float | None = None
) -> tuple[Metamodel, Any, dict[str, Any]]:
    """Return the model, its tokenizer and its settings. encoder_dropout (float | None): In place of the saved one."""
    found = find_checkpoint(folder)
    if found is None:
        raise ModelError(f"No complete checkpoint in {folder}: no {SETTINGS}. Give a folder that pretrain wrote.")
    settings = json.loads((found / SETTINGS).read_text(encoding="utf8"))
    sizes = {key: settings[key] for key in ("hidden_width", "dropout", "encoder_dropout")}
    if encoder_dropout is not None:
        sizes["encoder_dropout"] = encoder_dropout
    model, tokenizer = read_model(found / ENCODER, **sizes, attention=attention)
    heads = torch.load(found / HEADS, weights_only=True)
    model.label.load_state_dict(heads["label"])
    model.span.load_state_dict(heads["span"])
    return model, tokenizer, settings


def read_average(folders: Sequence[Path]) -> tuple[Metamodel, Any, dict[str, Any]]:
    """Like `read_checkpoint`, with the mean of the weights of several checkpoints of the same shape."""
    model, tokenizer, settings = read_checkpoint(folders[0])
    states = [model.state_dict(), *(read_checkpoint(folder)[0].state_dict() for folder in folders[1:])]
    model.load_state_dict(average_states(states))
    return model, tokenizer, settings


def read_trainer(folder: Path) -> dict[str, Any]:
    path = (find_checkpoint(folder) or folder) / TRAINER
    if not path.exists():
        raise ModelError(f"The checkpoint {folder} cannot be trained further: no {TRAINER}. Use the run's `last`.")
    return torch.load(path, weights_only=True)
