"""What a run decided, kept on disk, so that one that goes on after an interruption decides the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import srsly

from spacy_falconer.workflow.files import whole


@dataclass
class Memory:
    """Decisions by name, each a JSON value, as answers to one question.

    path (Path): Where they are kept; None keeps them nowhere. A file about another question is started afresh.
    """

    path: Path | None
    question: str
    decided: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.decided = _read(self.path, self.question)

    def recall(self, name: str, decide: Callable[[], Any]) -> Any:
        """Return what was decided before, or decide now and keep it."""
        if name not in self.decided:
            self.decided[name] = decide()
            self._write()
        return self.decided[name]

    def _write(self) -> None:
        if self.path is not None:
            with whole(self.path) as part:
                srsly.write_json(part, {"question": self.question, "decided": self.decided})


def _read(path: Path | None, question: str) -> dict[str, Any]:
    try:
        data = srsly.read_json(path) if path is not None else {}
        return data["decided"] if data["question"] == question else {}
    except (ValueError, KeyError, TypeError):  # It is absent, or not ours.
        return {}
