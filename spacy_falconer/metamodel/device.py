"""Where pipelines compute."""

from __future__ import annotations

from thinc.api import get_torch_default_device


def on_gpu() -> bool:
    """Whether a GPU was asked for, as by `spacy.require_gpu`."""
    return get_torch_default_device().type != "cpu"
