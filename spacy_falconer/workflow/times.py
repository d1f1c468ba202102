"""How long the steps of a run took, on disk: what the language model's pace and the metamodel's are read from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import srsly

from spacy_falconer.workflow.files import whole

FILE = "times.json"


@dataclass(frozen=True)
class Took:
    """One step, as it last ran.

    n_requests (int): Sent to a language model in it. n_texts (int): Read by the pipeline in it.
    """

    seconds: float
    n_requests: int = 0
    n_texts: int = 0


def note_time(folder: Path, step: str, took: Took) -> None:
    times = {**read_times(folder / FILE), step: took}
    with whole(folder / FILE) as part:
        srsly.write_json(part, {name: asdict(one) for name, one in times.items()})


def note_beside(output: Path, step: str, took: Took) -> None:
    """Note a step by what it wrote, where that stands in a run's folder: beside a plan.json. Elsewhere nothing is written.

    A step that counted nothing has no pace, and an earlier note of it stays.
    """
    folder = output.parent
    if (took.n_requests or took.n_texts) and isinstance(folder, Path) and (folder / "plan.json").exists():
        note_time(folder, step, took)


def read_times(path: Path) -> dict[str, Took]:
    """Of each step that was noted; empty where there is no such file, or it is not ours."""
    try:
        return {name: Took(**one) for name, one in srsly.read_json(path).items()}
    except (ValueError, TypeError, AttributeError):
        return {}
