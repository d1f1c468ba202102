"""The table of the zero-shot benchmark, from a pipeline and data sets of a few rows."""

from __future__ import annotations

import gzip
import json
import re

import pytest

from benchmarks.metamodel import zeroshot
from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain.score import Found, ReadSpans


@pytest.fixture
def data(tmp_path):
    """One set of each kind."""
    (tmp_path / "label_meanings.json").write_text("{}")
    (tmp_path / "detok.py").write_text("def detok_row(row, join_hyphens=False):\n    return row\n")
    text = "i paid 5 dollars and love it"
    rows = {
        "wnut17": {"text": text, "spans": [{"start": 7, "end": 16, "label": "price"}]},
        "banking77": {"text": text, "labels": ["paid"]},
    }
    for name, row in rows.items():
        (tmp_path / name).mkdir()
        with gzip.open(tmp_path / name / "test.jsonl.gz", "wt") as file:
            file.writelines(json.dumps({**row, "source": name, "text": f"{text} {i}"}) + "\n" for i in range(4))
    return tmp_path


def test_every_set_has_its_calibration_error(make_nlp, data, tmp_path, encoder_folder, monkeypatch, capsys):
    monkeypatch.setattr(sets, "HELD_OUT_SPANS", ("wnut17",))
    monkeypatch.setattr(sets, "HELD_OUT_LABELS", ("banking77",))
    monkeypatch.setattr(zeroshot, "MINILM", encoder_folder)
    make_nlp(labels={}, spans={}, threshold=0.4).to_disk(tmp_path / "pipeline")
    zeroshot.main(data, tmp_path / "pipeline", split="test", n_texts=4, untouched=False)
    printed = capsys.readouterr().out
    share = r"[01]\.\d{3}"
    assert re.search(rf"banking77 +4 +1 +{share} +{share} +{share} \({share} to {share}\) +1\.000", printed)
    assert "label sets, mean F1 by threshold" in printed and "mean ECE 0." in printed


def test_the_error_of_spans_is_how_far_scores_are_from_what_is_right():
    """Found with 0.8, every other one right."""
    wanted = {(0, 1, "a")}
    read = [ReadSpans([Found(i % 2, i % 2 + 1, "a", 0.8)], wanted) for i in range(100)]
    assert zeroshot.measure_spans(read).value == pytest.approx(0.3)
    assert zeroshot.measure_spans([ReadSpans([], wanted)]) is None
