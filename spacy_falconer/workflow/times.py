"""Keep on disk how long the steps of a run took, from which the language model's and the metamodel's pace are computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import srsly

from spacy_falconer.workflow.files import whole

FILE = "times.json"


@dataclass(frozen=True)
class Took:
    """What one step took when it last ran.

    n_requests (int): Requests to a language model. n_texts (int): Texts that the pipeline read.
    """

    seconds: float
    n_requests: int = 0
    n_texts: int = 0


def note_time(folder: Path, step: str, took: Took) -> None:
    times = {**read_times(folder / FILE), step: took}
    with whole(folder / FILE) as part:
        srsly.write_json(part, {name: asdict(one) for name, one in times.items()})


def note_beside(output: Path, step: str, took: Took) -> None:
    """Note what a step took if its output is in a run's folder, beside a plan.json. Elsewhere, nothing is written.

    A step without requests or texts has no pace, and an earlier note of it stays.
    """
    folder = output.parent
    if (took.n_requests or took.n_texts) and isinstance(folder, Path) and (folder / "plan.json").exists():
        note_time(folder, step, took)


def read_times(path: Path) -> dict[str, Took]:
    """Return what each noted step took; empty if there is no such file, or it is not ours."""
    try:
        return {name: Took(**one) for name, one in srsly.read_json(path).items()}
    except (ValueError, TypeError, AttributeError):
        return {}
