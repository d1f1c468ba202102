"""What the tables are made of is kept: a run that was interrupted goes on, and a run that is complete only prints."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import srsly

from spacy_falconer.pipeline.source import find_base
from spacy_falconer.workflow.files import digest_folder, whole
from spacy_falconer.workflow.train import schedule

Json = dict[str, Any]


def keep(path: Path, make: Callable[[], Json]) -> Json:
    """What a file says; if it is not there, it is made."""
    if not path.exists():
        made = make()
        with whole(path) as part:
            srsly.write_json(part, made)
        print(f"{path.parent.name}/{path.stem}: {srsly.json_dumps(made)[:300]}", file=sys.stderr, flush=True)
    return srsly.read_json(path)


def open_work(work: Path, steps: int | None) -> Path:
    """The folder for what was learned from the pre-trained pipeline as it is now, and in so many steps."""
    return work / (f"{digest_folder(find_base())[:8]}" + ("" if steps is None else f"-{steps}-steps"))


def shorten(steps: int | None) -> Json:
    """What overrides the training config where a training is only tried."""
    return {} if steps is None else schedule(steps)
