"""What each threshold was chosen for, and how far the answers support it. It is kept with the pipeline, in its meta."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from wasabi import table

from spacy_falconer.metamodel.calibrate import N_DIGITS
from spacy_falconer.metamodel.threshold import Choice, Target
from spacy_falconer.pipeline.components import find_instructed

OWN, THRESHOLDS = "falconer", "thresholds"  # The keys in a pipeline's meta.
Json = dict[str, Any]


@dataclass(frozen=True)
class Fitted:
    """How an instruction's threshold was chosen.

    choice: None if no answer supports one, such as without any right candidate; the threshold then stays as it was.
    is_shared (bool): There are too few positive answers for a threshold of its own; all instructions' answers are used.
    """

    key: str
    target: Target
    choice: Choice | None
    is_shared: bool

    def explain(self) -> str | None:
        """Return why the target cannot be relied on; None if the answers support it."""
        choice = self.choice
        if self.target.least is None:
            return None
        if choice is None:
            return f"{self.key}: no held-out answer supports {self.target}; its threshold stays. Annotate more."
        if choice.expected < self.target.least:
            return (
                f"{self.key}: {self.target} cannot be expected from held-out answers; the most is {choice.expected:.2f}, "
                f"at the threshold {choice.threshold:g}."
            )
        if choice.n < self.target.n_needed:
            return (
                f"{self.key}: {self.target} was chosen on {choice.n} held-out answers; it takes {self.target.n_needed} "
                "to show it, even with no mistake. Annotate more."
            )
        return None

    @property
    def doubt(self) -> str | None:
        """Why the target cannot be relied on, or that the threshold is not the instruction's own; None if neither."""
        shared = f"{self.key}: too few positive answers for a threshold of its own. Annotate more."
        return self.explain() or (shared if self.is_shared else None)

    def describe(self) -> Json:
        """Return a description for a file, with numbers rounded to `N_DIGITS`. A threshold that stays as it was is None."""
        threshold, expected, n = None, None, None
        if self.choice is not None:
            threshold, expected, n = self.choice.threshold, round(self.choice.expected, N_DIGITS), self.choice.n
        return {
            "threshold": threshold, "target": str(self.target), "expected": expected, "n": n,
            "n_needed": self.target.n_needed, "is_shared": self.is_shared, "doubt": self.doubt,
        }  # fmt: skip


def note_fitted(nlp: Language, fitted: Sequence[Fitted], *, source: Path | None = None) -> None:
    """Keep with a pipeline what its thresholds were chosen for. It is saved with the pipeline, and in its package.

    source (Path): The pipeline that training started from, whose notes are kept.
    """
    earlier = read_noted(srsly.read_json(source / "meta.json")) if source is not None else {}
    noted = {**earlier, **read_noted(nlp.meta), **{one.key: one.describe() for one in fitted}}
    nlp.meta[OWN] = {**nlp.meta.get(OWN, {}), THRESHOLDS: noted}


def read_noted(meta: Mapping[str, Any]) -> dict[str, Json]:
    """Return the notes by the instructions' keys; empty if nothing was noted."""
    return dict(meta.get(OWN, {}).get(THRESHOLDS, {}))


def list_thresholds(nlp: Language) -> dict[str, Json]:
    """Return each instruction's threshold, and what it was chosen for, if that is noted and the threshold is still the same.

    RETURNS: `{key: {"threshold", "target", "expected", "n", "n_needed", "is_shared", "doubt"}}`; only "threshold" if
        nothing else is known.
    """
    noted = read_noted(nlp.meta)
    present = {key: pipe.threshold_of(key) for pipe in find_instructed(nlp) for key in pipe.labels}
    return {key: join_note(value, noted.get(key)) for key, value in present.items()}


def join_note(threshold: float, note: Json | None) -> Json:
    is_same = note is not None and note.get("threshold") in (None, threshold)
    return {**(note if note is not None and is_same else {}), "threshold": threshold}


def format_thresholds(fitted: Sequence[Fitted]) -> str:
    """Return the thresholds, and what is expected of them, as a table."""
    rows = [
        [
            one.key,
            one.choice and f"{one.choice.threshold:.2f}",
            str(one.target),
            one.choice and f"{one.choice.expected:.2f}",
        ]
        for one in fitted
    ]
    header = ["instruction", "threshold", "target", "expected"]
    return table([[cell or "as before" for cell in row] for row in rows], header=header, divider=True)
