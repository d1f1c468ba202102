"""The page itself. Whatever a corpus, a label or a language model says is shown as text, and never executed."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from spacy_falconer import __version__
from spacy_falconer.pages import make_environment, read_page
from spacy_falconer.plan import format_tree
from spacy_falconer.types import Record
from spacy_falconer.workflow.files import is_older, whole
from spacy_falconer.workflow.mining.parts import Paths
from spacy_falconer.workflow.page.agreement import as_interval, make_blocks
from spacy_falconer.workflow.page.cost import find_cost
from spacy_falconer.workflow.page.coverage import find_coverage
from spacy_falconer.workflow.page.curves import KINDS, Chart, draw_learning, draw_reliability, list_heights
from spacy_falconer.workflow.page.diagram import WIDTH, draw_plan
from spacy_falconer.workflow.page.promise import find_kept
from spacy_falconer.workflow.page.reading import Disagreement, list_readings
from spacy_falconer.workflow.page.rows import find_texts, make_shown
from spacy_falconer.workflow.page.run import Run, read_run
from spacy_falconer.workflow.report import list_doubts

PAGE = "report.html"
# What could end the element that holds the data, or a line of it; and lone surrogates, which no file can hold.
ESCAPED = re.compile("[<>&'\u2028\u2029\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def write_page(run: Run, texts: Mapping[str, str] | None = None) -> Path:
    """Write the page into the run's folder.

    texts: The corpus's texts, by id, for the rows that are to show them; None for a page without texts.
    RETURNS (Path): The page.
    """
    page, path = make_page(run, texts), run.folder / PAGE
    with whole(path) as part:
        part.write_bytes(page.encode("utf8"))
    return path


def renew_page(folder: Path, records: Iterable[Record] | None) -> None:
    """Write a folder's page if there is none, or if anything that it shows is newer.

    records: The corpus, for the texts of the rows; None for a page without them.
    """
    page, rows = folder / PAGE, Paths(folder / "rows.jsonl")
    shown = [folder / name for name in ("train.spacy", "test.spacy", "pipeline", "scores.json")]
    if not page.exists() or is_older(page, [*shown, rows.output, rows.beside("manifest.json")]):
        run = read_run(folder)
        write_page(run, find_texts(run, records) if records is not None else None)


def make_page(run: Run, texts: Mapping[str, str] | None = None) -> str:
    """Return the page's HTML. It loads nothing, and runs a single script, ours, which is allowed by its hash."""
    shown = make_shown(run, texts)
    style, script = read_page("report.css"), read_page("report.js")
    colors = {one["id"]: one["color"] for one in shown.keys}
    return make_environment().get_template("report.html.jinja").render(
        run=run, plan=run.plan, tree=format_tree(run.plan) if run.plan else "",
        diagram=draw_plan(run.plan) if run.plan else None, width=WIDTH, blocks=make_blocks(run), cost=find_cost(run), doubts=list_doubts((run.scores or {}).get("thresholds") or {}),
        coverage=find_coverage(run), kept=find_kept(run), looks=look_closer(run, colors), heights=list(list_heights()),
        shown=shown, data=Markup(dump(shown.data)), version=__version__,
        style=Markup(style), script=Markup(script), style_hash=hash_source(style), script_hash=hash_source(script),
    )  # fmt: skip


@dataclass(frozen=True)
class Looks:
    """What is measured besides the agreement itself; empty if it was not measured."""

    charts: list[Chart] = field(default_factory=list)
    slices: list[Mapping[str, Any]] = field(default_factory=list)
    readings: list[Disagreement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def look_closer(run: Run, colors: Mapping[str, int]) -> Looks:
    scores = run.scores or {}
    try:
        charts = [chart for chart in (draw_learning(scores), draw_reliability(scores)) if chart is not None]
        slices = [
            {**one, **{kind: as_interval(one[kind] or {}, "f") for kind in KINDS}} for one in scores.get("slices", ())
        ]
        return Looks(charts, slices, list_readings(scores, colors), [str(note) for note in scores.get("notes", ())])
    except (AttributeError, KeyError, TypeError, ValueError):
        run.missing.append("Curves, parts and disagreements in scores.json are not as `evaluate --json` writes them.")
        return Looks()


def dump(data: Any) -> str:
    """Return JSON that can be put into HTML: what is escaped occurs only in strings, where it still means the same."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def hash_source(source: str) -> str:
    """Return the hash by which a content security policy allows a script or a style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode("utf8")).digest()).decode("ascii")
