"""Read what there is of a run from its folder. What is missing or damaged is noted, and does not stop the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import spacy
import srsly
from spacy.tokens import Doc

from spacy_falconer.corpus.docbin import LANGUAGE, read_docbin
from spacy_falconer.errors import CorpusError
from spacy_falconer.llm.tally import Tally, read_tally
from spacy_falconer.plan import Plan, read_plan
from spacy_falconer.workflow.folder import find_composed, find_mined_by
from spacy_falconer.workflow.mining.manifest import read_own_manifest
from spacy_falconer.workflow.mining.parts import Paths, Row, find_rows, read_rows
from spacy_falconer.workflow.report import format_scores
from spacy_falconer.workflow.times import FILE, Took, read_times

MAX_ROWS, MAX_REJECTS = 2_000, 5
_REMEDY = "Run induce again, or the steps after the plan."

Json = dict[str, Any]
Part = TypeVar("Part")


@dataclass
class Run:
    """The parts of a run that could be read; those that could not are None.

    train, test: The answers that were learned from, and those that the scores are measured on.
    first: The first of the rows. n_rows: How many there are in all.
    rejects: The first of the corpus's rows that were not records.
    times: How long steps took, if that was noted.
    missing: What is not there, in words.
    """

    folder: Path
    plan: Plan | None = None
    scores: Json | None = None
    train: list[Doc] | None = None
    test: list[Doc] | None = None
    tally: Tally | None = None
    rows: Path | None = None
    first: list[Row] | None = None
    n_rows: int = 0
    manifest: Json | None = None
    rejects: list[Json] = field(default_factory=list)
    times: dict[str, Took] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def answers(self) -> list[Doc]:
        return [*(self.train or ()), *(self.test or ())]

    @property
    def totals(self) -> Json:
        """What mining counted; empty if that is not known."""
        found = self.manifest.get("totals") if self.manifest else None
        return found if isinstance(found, dict) else {}


def read_run(folder: Path) -> Run:
    """Read an output folder of `induce` or of the project.

    RAISES (CorpusError): It holds nothing of a run.
    """
    run, vocab = Run(folder), spacy.blank(LANGUAGE)
    run.plan = attempt(run, "plan.json", read_plan, "the plan")
    run.scores = attempt(run, "scores.json", read_scores, "the agreement")
    run.train = attempt(run, "train.spacy", lambda path: read_docbin(path, vocab), "what was learned from")
    run.test = attempt(run, "test.spacy", lambda path: read_docbin(path, vocab), "intervals of the agreement")
    run.tally = attempt(run, "answers.db", lambda path: read_tally(path, run.plan), "what was asked and what failed")
    run.times = read_times(folder / FILE)
    run.rows = find_rows(folder)
    leave_out_scores(run)
    if not any((run.plan, run.scores, run.train, run.test, run.tally, run.rows)):
        raise CorpusError(
            f"There is nothing of a run in {str(folder)!r}: expected plan.json, scores.json or rows.jsonl. "
            "Name the folder that `induce --output` or the project wrote."
        )
    read_mined(run)
    return run


def leave_out_scores(run: Run) -> None:
    """Remove scores from the run if the pipeline runs another plan than the folder's."""
    if run.scores is not None and is_other(run, find_composed(run.folder / "pipeline")):
        run.scores = None
        run.missing.append(f"scores.json is of another plan than plan.json: the agreement is not shown. {_REMEDY}")


def is_other(run: Run, plan: Plan | None) -> bool:
    """Return whether something was made by another plan than the one in the folder, as far as that is known."""
    return run.plan is not None and plan is not None and plan != run.plan


def read_mined(run: Run) -> None:
    """Read the first rows, and the manifest and the rejects beside them."""
    if run.rows is None:
        run.missing.append("rows.jsonl is not there: no rows were mined yet.")
        return
    if is_other(run, find_mined_by(run.rows)):
        run.missing.append(f"{run.rows.name} is of another plan than plan.json: its rows are not shown. {_REMEDY}")
        return
    paths = Paths(run.rows)
    run.manifest = read_own_manifest(run.rows)
    if run.manifest is None:
        name = paths.beside("manifest.json").name
        run.missing.append(f"There is no {name} of {run.rows.name}: how many texts were read is not known.")
    read_first(run, run.rows)
    with suppress(OSError, ValueError):
        run.rejects = list(islice(srsly.read_jsonl(paths.beside("rejects.jsonl")), MAX_REJECTS))


def read_first(run: Run, path: Path) -> None:
    """Read the first rows. All are read only if the manifest does not say how many there are."""
    rows, n_rows = read_rows(path), run.totals.get("n_rows")
    try:
        first = [check_row(row) for row in islice(rows, MAX_ROWS)]
        run.first, run.n_rows = first, n_rows if isinstance(n_rows, int) else len(first) + sum(1 for _ in rows)
    except (OSError, ValueError) as error:
        run.missing.append(f"{path.name} cannot be read: no rows can be shown. {error}")


def check_row(row: Row) -> Row:
    """RAISES (ValueError): It is not as mining writes rows."""
    try:
        spans = [span for found in row["spans"].values() for span in found]
        about = [one for found in row["labels"].values() if isinstance(found, list) for one in found]
        words = [row["id"], *(span["text"] for span in spans), *(one["for"]["text"] for one in about)]
        numbers = [span[name] for span in spans for name in ("start", "end", "score")]
        is_fit = all(isinstance(word, str) for word in words) and all(map(math.isfinite, numbers))
    except (AttributeError, KeyError, OverflowError, TypeError):
        is_fit = False
    if not is_fit:
        raise ValueError(f"A row is {str(row)[:80]!r}; expected what `mine` writes.")
    return row


def attempt(run: Run, name: str, read: Callable[[Path], Part], what: str) -> Part | None:
    """Read one part. If that fails, note it in `run.missing`, and return None."""
    path = run.folder / name
    if not path.exists():
        run.missing.append(f"{name} is not there: {what} cannot be shown.")
        return None
    try:
        return read(path)
    except (OSError, ValueError) as error:  # FalconerErrors are ValueErrors.
        run.missing.append(f"{name} cannot be read: {what} cannot be shown. {error}")
        return None


def read_scores(path: Path) -> Json:
    """RAISES (ValueError): The file holds no scores."""
    found = srsly.read_json(path)
    try:
        format_scores(found)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise ValueError("Expected what `evaluate --json` writes.") from None
    return found
