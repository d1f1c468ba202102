"""Knowledge mining at scale: one sentence in, a fast spaCy pipeline out."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["Plan", "__version__", "get_label", "get_span", "induce"]

_HOMES = {
    "Plan": "spacy_falconer.plan",
    "get_label": "spacy_falconer.pipeline.primitives",
    "get_span": "spacy_falconer.pipeline.primitives",
    "induce": "spacy_falconer.workflow.induce",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are used: importing the package stays cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
