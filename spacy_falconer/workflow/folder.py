"""An output folder holds one run: check which sentence it is for, and which plan its files were made by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import srsly

from spacy_falconer.errors import CorpusError, PlanError
from spacy_falconer.plan import Plan, parse_plan, read_plan
from spacy_falconer.plan.show import show
from spacy_falconer.workflow.mining.manifest import read_manifest
from spacy_falconer.workflow.mining.parts import Paths
from spacy_falconer.workflow.plan import is_same, recorded_by

ROWS = "rows.jsonl"
WRITTEN = ("pipeline", "train.spacy", "test.spacy", "scores.json", "report.html")
BESIDE_ROWS = ("manifest.json", "rejects.jsonl", "seen.db")


def check_sentence(sentence: str, folder: Path, *, known: Path | None = None) -> None:
    """Check that a run's folder is for this sentence, before anything is asked or written.

    known (Path): A plan file that is given with the sentence, as in `obtain_plan`. A person's own plan has its own sentence.
    RAISES (PlanError): The folder's plan.json answers another sentence, or a file holds no plan.
    """
    if not (folder / "plan.json").exists():
        return
    before, given = read_plan(folder / "plan.json").instruction, [sentence]
    if known is not None:
        own = read_plan(known).instruction
        given += [own] if recorded_by(known) is None else []
    if not any(is_same(before, one) for one in given):
        raise PlanError(
            f"The folder {str(folder)!r} holds the run of another sentence, {show(before)}; this one is {show(given[-1])}. "
            "A folder holds one run, so nothing was asked, and nothing in it was changed. Name another --output."
        )


def check_free(folder: Path) -> None:
    """Check that a run would replace nothing but what a run wrote, before anything is asked or written.

    RAISES (CorpusError): The folder holds files of a run's names that no run wrote.
    """
    pipeline = folder / "pipeline"
    is_run = any((folder / name).exists() for name in ("plan.json", "done.json"))
    others = [folder / name for name in WRITTEN if not is_run and (folder / name).exists()]
    if pipeline.exists() and not (pipeline / "config.cfg").exists() and (pipeline.is_file() or any(pipeline.iterdir())):
        others.append(pipeline)
    if others:
        raise CorpusError(
            f"{str(others[0])!r} would be replaced, and does not look like a run's. Expected a new folder, or one with an earlier "
            "run. Name another --output."
        )


def make_way(folder: Path, plan: Plan) -> None:
    """Remove scores and rows that were made by another plan. Everything else stays: answers are in the store."""
    rows = Paths(folder / ROWS)
    if all(found in (None, plan) for found in (find_composed(folder / "pipeline"), find_mined_by(rows.output))):
        return
    for path in (folder / "scores.json", rows.output, *map(rows.beside, BESIDE_ROWS)):
        path.unlink(missing_ok=True)


def find_composed(pipeline: Path) -> Plan | None:
    """Return the plan that a pipeline on disk runs; None if that is not known."""
    return _attempt(lambda: srsly.read_json(pipeline / "falconer_plan"))


def find_mined_by(rows: Path) -> Plan | None:
    """Return the plan that rows were mined by, according to their manifest; None if that is not known."""
    return _attempt(lambda: (read_manifest(Paths(rows).beside("manifest.json")) or {})["plan"])


def _attempt(read: Callable[[], Any]) -> Plan | None:
    try:
        return parse_plan(read())
    except (OSError, ValueError, KeyError):  # PlanErrors are ValueErrors.
        return None
