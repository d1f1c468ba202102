"""Where pipelines compute."""

from __future__ import annotations

from thinc.api import get_torch_default_device


def on_gpu() -> bool:
    """Return whether a GPU was asked for, for example with `spacy.require_gpu`."""
    return get_torch_default_device().type != "cpu"
