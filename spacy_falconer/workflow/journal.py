"""What was done in an output folder, and from which inputs, so that a run that goes on does not repeat it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import srsly

from spacy_falconer.workflow.files import whole


@dataclass(frozen=True)
class Journal:
    """A file of the steps that were finished, each with a digest of all that it read."""

    path: Path

    def is_done(self, step: str, read: str, outputs: Iterable[Path]) -> bool:
        """Return whether the step was finished with the inputs that it would read now, and its outputs still exist."""
        return self._load().get(step) == read and all(output.exists() for output in outputs)

    def note(self, step: str, read: str) -> None:
        steps = {**self._load(), step: read}
        with whole(self.path) as part:
            srsly.write_json(part, steps)

    def forget(self, step: str) -> None:
        """Mark a step as not done before its outputs are replaced: it may be stopped before it is noted again."""
        self.note(step, "")

    def _load(self) -> dict[str, str]:
        try:
            found = srsly.read_json(self.path)
        except ValueError:  # It is absent, or not ours: nothing is known to be done.
            return {}
        return found if isinstance(found, dict) else {}
