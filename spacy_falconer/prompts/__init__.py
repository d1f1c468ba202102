"""One .jinja file a prompt."""

from __future__ import annotations

from importlib.resources import files


def read_prompt(name: str) -> str:
    """The source of a prompt, by its name without `.jinja`."""
    return (files(__name__) / f"{name}.jinja").read_text(encoding="utf8")
