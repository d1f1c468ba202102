"""What a run came to, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import srsly
from wasabi import table

from spacy_falconer.plan import Plan, format_tree, read_plan

TEXT_WIDTH, CELL_WIDTH, N_ROWS = 44, 34, 10
FILES = {
    "report.html": "the report, for a browser",
    "rows.jsonl": "the mined rows: id, columns, character offsets, scores",
    "pipeline": "the pipeline, for spacy.load",
    "scores.json": "the agreement, for programs",
    "plan.json": "the plan",
    "answers.db": "every answer, for the next run",
}


def format_rows(rows: Sequence[Mapping[str, Any]], plan: Plan, texts: Mapping[str, str]) -> str:
    """Mined rows as a table: the text's id and start (where `texts` has it), then the plan's output columns."""
    header = ["id", "text", *plan.output]
    body = [
        [row["id"], shorten(texts.get(row["id"], ""), TEXT_WIDTH), *(cell(row, name) for name in plan.output)]
        for row in rows
    ]
    return table(body, header=header, divider=True, max_col=TEXT_WIDTH)


def cell(row: Mapping[str, Any], name: str) -> str:
    """One column of a row: the passages, or a label's score."""
    if name in row["spans"]:
        return shorten(" | ".join(span["text"] for span in row["spans"][name]), CELL_WIDTH)
    score = row["labels"].get(name)
    if isinstance(score, list):
        return shorten(" | ".join(one["for"]["text"] for one in score if one["value"]), CELL_WIDTH)
    return "" if score is None else f"{score:.2f}"


def shorten(text: str, width: int) -> str:
    """One line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def format_scores(scores: Mapping[str, Any]) -> str:
    """Agreement per instruction, beside the number of texts that it was measured on."""
    blocks = [("with the language model", scores)]
    if "people" in scores:
        blocks.append(("with people", scores["people"]))
    return "\n".join(
        f"Agreement {name}, {block['n_texts']} held-out texts\n{score_table(block)}" for name, block in blocks
    )


def score_table(scores: Mapping[str, Any]) -> str:
    header = ["instruction", "primitive", "precision", "recall", "F1", "texts"]
    body = []
    for kind, primitive in (("labels", "get_label"), ("spans", "get_span")):
        for key, row in scores[kind]["per_instruction"].items():
            body.append([key, primitive, *(f"{row[name]:.2f}" for name in ("p", "r", "f")), row["n"]])
        if scores[kind]["macro_f"] is not None:
            body.append(["macro", primitive, "", "", f"{scores[kind]['macro_f']:.2f}", ""])
    return table(body, header=header, divider=True, aligns=["l", "l", "r", "r", "r", "r"])


def format_grounding(report: Any) -> str:
    """How many quotes of the answers were placed in their texts, per instruction."""
    header = ["instruction", "texts asked", "quotes", "placed", "not in the text", "between tokens"]
    return table(report.rows(), header=header, divider=True, aligns=["l", "r", "r", "r", "r", "r"])


def format_folder(folder: Path, texts: Mapping[str, str]) -> str:
    """The plan, the agreement and the first rows of an output folder, and its files.

    texts: The corpus's texts by id, for the rows.
    """
    scores = srsly.read_json(folder / "scores.json") if (folder / "scores.json").exists() else None
    rows = list(srsly.read_jsonl(folder / "rows.jsonl")) if (folder / "rows.jsonl").exists() else None
    return format_run(folder, read_plan(folder / "plan.json"), scores, rows, len(rows or ()), texts)


def format_run(
    folder: Path,
    plan: Plan | None,
    scores: Mapping[str, Any] | None,
    rows: Sequence[Mapping[str, Any]] | None,
    n_rows: int,
    texts: Mapping[str, str],
) -> str:
    """What there is of a run; None for a part that is not there. `rows`: the first of `n_rows`, or all."""
    blocks = [format_tree(plan)] if plan else []
    if scores:
        blocks.append(format_scores(scores))
    if plan and rows is not None:
        blocks.append(f"{n_rows} mined rows, the first:\n{format_rows(rows[:N_ROWS], plan, texts)}")
    files = [f"  {str(folder / name):<24} {what}" for name, what in FILES.items() if (folder / name).exists()]
    return "\n".join([*blocks, *files])
