"""Show the results of a run in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import srsly
from wasabi import table

from spacy_falconer.pages import showable
from spacy_falconer.plan import Plan, format_tree, read_plan
from spacy_falconer.types import FIELDS
from spacy_falconer.workflow.mining.manifest import read_own_manifest
from spacy_falconer.workflow.mining.parts import read_first_rows, read_rows

TEXT_WIDTH, CELL_WIDTH, N_ROWS = 44, 34, 10
FILES = {
    "report.html": "the report, for a browser",
    "rows.jsonl": "the mined rows: id, columns, character offsets, scores",
    "pipeline": "the pipeline, for spacy.load",
    "scores.json": "the agreement, for programs",
    "plan.json": "the plan",
    "answers.db": "every answer, for the next run",
}

ROWS = {
    "kept": "texts in the result",
    "values": "passages in rows",
    "whole": "rows as a whole",
}
LLM, PEOPLE = "the language model", "people"
KINDS = {"labels": "labels", "spans": "passages"}
CURVES = {"full": "trained as the pipeline was", "heads": "only the heads, on the pre-trained encoder"}


def format_rows(rows: Sequence[Mapping[str, Any]], plan: Plan, texts: Mapping[str, str]) -> str:
    """Return mined rows as a table: the text's id and beginning (if `texts` has it), then the plan's output columns."""
    header = ["id", "text", *plan.output]
    body = [
        [showable(row["id"]), shorten(find_text(row, texts), TEXT_WIDTH), *(cell(row, name) for name in plan.output)]
        for row in rows
    ]
    return table(body, header=header, divider=True, max_col=TEXT_WIDTH)


def find_text(row: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """Return a row's text, or its sentence if it is of one; nothing if `texts` does not have it."""
    place = row.get("sentence", {"start": None, "end": None})
    return texts.get(row["id"], "")[place["start"] : place["end"]]


def cell(row: Mapping[str, Any], name: str) -> str:
    """Return one column of a row: the passages, or a label's score."""
    if name in row["spans"]:
        return shorten(" | ".join(span["text"] for span in row["spans"][name]), CELL_WIDTH)
    score = row["labels"].get(name)
    if isinstance(score, list):
        return shorten(" | ".join(one["for"]["text"] for one in score if one["value"]), CELL_WIDTH)
    return "" if score is None else f"{score:.2f}"


def shorten(text: str, width: int) -> str:
    """Return one line of at most `width` characters, without control characters for the terminal."""
    line = showable(" ".join(text.split()))
    return line if len(line) <= width else line[: width - 1] + "…"


def format_scores(scores: Mapping[str, Any]) -> str:
    """Return the agreement per instruction and for the plan's rows, beside that of simpler methods on the same texts."""
    blocks = [(name_side(scores), scores)]
    if "people" in scores:
        blocks.append((PEOPLE, scores["people"]))
    tables = [
        f"Agreement with {name}, {block['n_texts']} held-out texts\n{score_table(block)}" for name, block in blocks
    ]
    lines = [
        *describe_thresholds(scores.get("thresholds") or {}),
        *describe_reliability(scores.get("reliability") or {}),
        *describe_curve(scores.get("curve")),
    ]
    return "\n".join([*tables, *lines, *scores.get("notes", ())])


def format_agreement(scores: Mapping[str, Any]) -> str:
    """Return the F1 of each instruction on one line."""
    each = (f"{key} {row['f']:.2f}" for kind, _, key, row in list_lines(scores) if kind != "rows")
    return f"Agreement with {name_side(scores)} on {scores['n_texts']} held-out texts, F1: {', '.join(each)}"


def name_side(scores: Mapping[str, Any]) -> str:
    """Return whose answers the scores mainly compare with. Scores of earlier versions do not say it."""
    return PEOPLE if scores.get("with") == PEOPLE else LLM


def score_table(scores: Mapping[str, Any]) -> str:
    """Return each instruction's precision, recall, F1 with its 95% interval, and the F1 of what it is compared with."""
    others = scores.get("baselines", {})
    header = ["instruction", "primitive", "precision", "recall", "F1", "95%", "texts", *map(name_baseline, others)]
    body = [
        [key, op, *(f"{row[name]:.2f}" for name in ("p", "r", "f")), show_interval(row.get("f_ci")), row["n"]]
        + [show_share(find_line(one, kind, key).get("f")) for one in others.values()]
        for kind, op, key, row in list_lines(scores)
    ]
    for op, kind in FIELDS.items():
        if scores[kind]["macro_f"] is not None:
            own = [f"{scores[kind]['macro_f']:.2f}", show_interval(scores[kind].get("macro_f_ci"))]
            body.append(["macro", op, "", "", *own, "", *(show_share(one[kind]["macro_f"]) for one in others.values())])
    aligns = ["l", "l", "r", "r", "r", "r", "r", *("r" for _ in others)]
    return table(body, header=header, divider=True, aligns=aligns)


def list_lines(scores: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Yield the part of the scores, the primitive or a description, the key, and the line: instructions first, then rows."""
    for op, kind in FIELDS.items():
        for key, row in scores[kind]["per_instruction"].items():
            yield kind, op, key, row
    for key, row in scores.get("rows", {}).items():
        yield "rows", ROWS.get(key, ""), f"rows, {key}", row


def find_line(scores: Mapping[str, Any], kind: str, key: str) -> Mapping[str, Any]:
    """Return another side's line; empty if it has none."""
    rows = scores.get("rows", {}) if kind == "rows" else scores[kind]["per_instruction"]
    return rows.get(key.removeprefix("rows, ") if kind == "rows" else key, {})


def name_baseline(name: str) -> str:
    from spacy_falconer.workflow.scoring.baselines import NAMES

    return NAMES.get(name, name)


def show_share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def show_interval(bounds: Sequence[float] | None) -> str:
    return "" if bounds is None else f"{bounds[0]:.2f} to {bounds[1]:.2f}"


def describe_thresholds(thresholds: Mapping[str, Any]) -> list[str]:
    """Return the thresholds that are not for best F1, and why some cannot be relied on."""
    wished = {key: one for key, one in thresholds.items() if one.get("target", "f1") != "f1"}
    words = ", ".join(f"{key} {one['threshold']:.2f} for {one['target']}" for key, one in wished.items())
    return [*([f"Thresholds by wish: {words}"] if words else []), *list_doubts(thresholds)]


def list_doubts(thresholds: Mapping[str, Any]) -> list[str]:
    return [one["doubt"] for one in thresholds.values() if one.get("doubt")]


def describe_reliability(parts: Mapping[str, Any]) -> list[str]:
    """Return how far scores are from the share that is right."""
    return [
        f"Calibration error (ECE) of {describe_error(parts[kind], KINDS[kind])}" for kind in KINDS if parts.get(kind)
    ]


def describe_error(part: Mapping[str, Any], name: str) -> str:
    """Return the number of scores, the error with its interval, and the error before calibration."""
    before = f", before calibration {show_error(part['before'])}" if part.get("before") else ""
    return f"{part['n']:,} {name}: {show_error(part)}{before}"


def show_error(part: Mapping[str, Any]) -> str:
    low, high = part["ece_ci"]
    return f"{part['ece']:.3f} ({low:.3f} to {high:.3f})"


def describe_curve(curve: Mapping[str, Any] | None) -> list[str]:
    """Return the learning curve in words."""
    if not curve:
        return []
    numbers = ", ".join(str(point["n_texts"]) for point in curve["points"])
    lines = [f"Learning curve ({CURVES.get(curve['kind'], curve['kind'])}), from {numbers} answers:"]
    for op, kind in FIELDS.items():
        shares = [show_share(point[kind]["macro_f"]) for point in curve["points"]]
        if any(shares):
            lines.append(f"  {op}: {', '.join(shares)}{describe_gain(curve['gain'], kind)}")
    return lines


def describe_gain(gain: Mapping[str, Any], kind: str) -> str:
    found = gain.get(kind)
    if not found:
        return ""
    low, high = found["f_ci"]
    return f"; from {gain['from']} to {gain['to']} it is {found['f']:+.2f} ({low:+.2f} to {high:+.2f})"


def format_folder(folder: Path, texts: Mapping[str, str]) -> str:
    """Return the plan, the agreement and the first rows of an output folder, and its files.

    texts: The corpus's texts by id, for the rows.
    """
    scores = srsly.read_json(folder / "scores.json") if (folder / "scores.json").exists() else None
    path = folder / "rows.jsonl"
    rows = read_first_rows(path, N_ROWS) if path.exists() else None
    return format_run(folder, read_plan(folder / "plan.json"), scores, rows, count_rows(path) if rows else 0, texts)


def count_rows(path: Path) -> int:
    """Return how many rows there are according to their manifest; without one, they are counted."""
    totals = (read_own_manifest(path) or {}).get("totals", {})
    return totals["n_rows"] if "n_rows" in totals else sum(1 for _ in read_rows(path))


def format_run(
    folder: Path,
    plan: Plan | None,
    scores: Mapping[str, Any] | None,
    rows: Sequence[Mapping[str, Any]] | None,
    n_rows: int,
    texts: Mapping[str, str],
) -> str:
    """Return what there is of a run; parts that do not exist are None. `rows`: The first of `n_rows`, or all."""
    blocks = [format_tree(plan)] if plan else []
    if scores:
        blocks.append(format_scores(scores))
    if plan and rows is not None:
        blocks.append(f"{n_rows} mined rows, the first:\n{format_rows(rows[:N_ROWS], plan, texts)}")
    files = [f"  {str(folder / name):<24} {what}" for name, what in FILES.items() if (folder / name).exists()]
    return "\n".join([*blocks, *files])
