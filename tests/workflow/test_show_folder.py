"""What a run came to, for a terminal."""

from __future__ import annotations

import json

import pytest

from spacy_falconer.plan import write_plan
from spacy_falconer.workflow.report import format_folder, format_rows

ROW = {"labels": {"positive": 0.9}, "spans": {"price": [{"text": "5 dollars", "start": 7, "end": 16, "score": 0.8}]}}


@pytest.mark.parametrize("n_rows", [None, 0, 3, 12])
def test_the_first_rows_are_shown_and_all_counted(tmp_path, review_plan, n_rows):
    write_plan(review_plan, tmp_path / "plan.json")
    if n_rows is not None:
        lines = [json.dumps({"id": f"r{i:02}", **ROW}) + "\n" for i in range(n_rows)]
        (tmp_path / "rows.jsonl").write_text("".join(lines))
    shown = format_folder(tmp_path, {"r00": "i paid 5 dollars"})
    assert ("mined rows" in shown) == (n_rows is not None)
    assert n_rows is None or f"{n_rows} mined rows, the first:" in shown
    assert [f"r{i:02}" in shown for i in range(12)] == [i < min(n_rows or 0, 10) for i in range(12)]


def test_where_the_manifest_counts_the_rows_only_the_first_are_read(tmp_path, review_plan):
    """There may be more than can be held, or read in a moment."""
    write_plan(review_plan, tmp_path / "plan.json")
    lines = [json.dumps({"id": f"r{i:02}", **ROW}) + "\n" for i in range(10)]
    (tmp_path / "rows.jsonl").write_text("".join(lines) + "no JSON\n")
    manifest = {"files": {}, "parts": [], "totals": {"n_rows": 7_000_000}}
    (tmp_path / "rows.manifest.json").write_text(json.dumps(manifest))
    assert "7000000 mined rows, the first:" in format_folder(tmp_path, {})


def test_the_manifest_of_other_rows_counts_nothing(tmp_path, review_plan):
    write_plan(review_plan, tmp_path / "plan.json")
    (tmp_path / "rows.jsonl").write_text(json.dumps({"id": "r", **ROW}) + "\n")
    manifest = {"files": {"rows": "rows.parquet"}, "parts": [], "totals": {"n_rows": 7}}
    (tmp_path / "rows.manifest.json").write_text(json.dumps(manifest))
    assert "1 mined rows, the first:" in format_folder(tmp_path, {})


def test_of_a_sentence_its_own_words_are_shown(review_plan):
    rows = [{"id": "r", "sentence": {"start": 11, "end": 19}, **ROW}]
    shown = format_rows(rows, review_plan, {"r": "i love it. it broke."})
    assert "it broke" in shown and "i love it" not in shown
