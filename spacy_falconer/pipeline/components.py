"""Find our components in a pipeline, whatever their names."""

from __future__ import annotations

from typing import Any

from spacy.language import Language

from spacy_falconer.pipeline.instructed import InstructedPipe

FACTORIES = {"get_label": "falconer_label", "get_span": "falconer_span"}  # The factory that answers each primitive.


def find_components(nlp: Language, factory: str) -> list[Any]:
    """Return the pipeline's components that come from one factory."""
    return [nlp.get_pipe(name) for name in nlp.component_names if nlp.get_pipe_meta(name).factory == factory]


def find_instructed(nlp: Language, op: str | None = None) -> list[InstructedPipe]:
    """Return the components that answer instructions, for one primitive or for both, those for labels first."""
    return [pipe for one in ([op] if op else FACTORIES) for pipe in find_components(nlp, FACTORIES[one])]


def find_first(nlp: Language, op: str) -> InstructedPipe | None:
    """Return the component that answers a primitive by default; None if there is none."""
    return next(iter(find_instructed(nlp, op)), None)


def set_spans_key(nlp: Language, name: str, key: str) -> None:
    """Let a span component write to another key from now on, also after it is saved and loaded."""
    nlp.get_pipe(name).cfg["spans_key"] = nlp.get_pipe_config(name)["spans_key"] = key
