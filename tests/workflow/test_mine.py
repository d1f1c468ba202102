from __future__ import annotations

import pytest
import spacy
import srsly

from spacy_falconer.errors import CorpusError, ModelError
from spacy_falconer.plan import parse_plan
from spacy_falconer.types import Record
from spacy_falconer.workflow.mine import mine

TEXTS = ["i paid 7 dollars and love it", "", "the bad price broke", "i paid 3 dollars and love it"]


@pytest.fixture
def records():
    return [Record(f"r{i}", text, {"stars": i}) for i, text in enumerate(TEXTS)]


def test_a_row_for_every_text_that_is_kept(trained, records, tmp_path):
    ticks = []
    report = mine(trained[0], records, tmp_path / "rows.jsonl", tick=ticks.append)
    rows = list(srsly.read_jsonl(tmp_path / "rows.jsonl"))
    assert [row["id"] for row in rows] == ["r0", "r3"]
    for row, text in zip(rows, (TEXTS[0], TEXTS[3]), strict=True):
        (price,) = row["spans"]["price"]
        assert text[price["start"] : price["end"]] == price["text"]
        assert 0 <= price["score"] <= 1 and row["labels"]["positive"] > 0.5
    assert [row["fields"] for row in rows] == [{"stars": 0}, {"stars": 3}]
    assert (report.n_texts, report.n_rows, sum(ticks)) == (4, 2, 4)


def test_rows_are_what_the_pipeline_says(trained, records, tmp_path):
    mine(trained[0], records, tmp_path / "rows.jsonl")
    rows = {row["id"]: row for row in srsly.read_jsonl(tmp_path / "rows.jsonl")}
    for record in records:
        mined = trained[0](record.text)._.mined
        assert (mined is None) == (record.id not in rows)
        if mined:
            assert rows[record.id]["labels"] == pytest.approx(mined["labels"], abs=1e-4)


def test_a_run_that_is_cut_off_leaves_the_old_rows(trained, records, tmp_path):
    def broken():
        yield records[0]
        raise OSError("the disk is gone")

    (tmp_path / "rows.jsonl").write_text("old\n")
    with pytest.raises(OSError, match="the disk is gone"):
        mine(trained[0], broken(), tmp_path / "rows.jsonl")
    assert (tmp_path / "rows.jsonl").read_text() == "old\n"


def test_sentences_are_mined_in_their_documents_characters(make_nlp, tmp_path):
    steps = [{"id": "price", "op": "get_span", "instruction": "Amounts of money."}]
    plan = parse_plan({"instruction": "x", "steps": steps, "output": ["price"], "unit": "sentence"})
    nlp = make_nlp(threshold=0.06)
    nlp.add_pipe("sentencizer", first=True)
    nlp.add_pipe("falconer_plan").set_plan(plan)
    text = "i love it. the price is nice and good. it broke."
    mine(nlp, [Record("r", text)], tmp_path / "rows.jsonl")
    rows = list(srsly.read_jsonl(tmp_path / "rows.jsonl"))
    assert [row["id"] for row in rows] == ["r"] * 3
    spans = [span for row in rows for span in row["spans"]["price"]]
    assert spans and all(text[span["start"] : span["end"]] == span["text"] for span in spans)
    assert all(
        row["sentence"]["start"] <= s["start"] and s["end"] <= row["sentence"]["end"]
        for row in rows
        for s in row["spans"]["price"]
    )


def test_a_pipeline_without_a_plan(tmp_path):
    with pytest.raises(ModelError, match="holds no plan to mine by: empty.*falconer train"):
        mine(spacy.blank("en"), [Record("r", "t")], tmp_path / "rows.jsonl")


def test_rows_in_a_format_that_is_not_written(trained, records, tmp_path):
    with pytest.raises(CorpusError, match="ends in .jsonl"):
        mine(trained[0], records, tmp_path / "rows.parquet")
