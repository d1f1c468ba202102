"""A data folder with a few rows of every set, and settings for a run of seconds."""

from __future__ import annotations

import gzip
import json

import pytest

from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain.settings import PretrainSettings

DETOK = """
def detok_row(row, join_hyphens=False):
    text = row["text"]
    place = text.find(" .")
    if place < 0:
        return row
    move = lambda i: i - (i > place)
    moved = [dict(s, start=move(s["start"]), end=move(s["end"])) for s in row.get("spans", [])]
    return dict(row, text=text[:place] + text[place + 1:], spans=moved)
"""
MEANINGS = {"wikigold": {"PER": "names of people"}, "sms_spam": {"spam": "an unsolicited message"}}
QUESTION = {"question": "what did it cost?", "answers": [{"start": 0, "end": 4}]}


def _write_rows(folder, rows, split="train"):
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / f"{split}.jsonl.gz", "wt", encoding="utf8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def _make_rows(name, n_rows=4):
    """Rows of the shape that the set has."""
    texts = [f"Kate paid {number} dollars for the {name.replace('_', ' ')} ." for number in range(n_rows)]
    rows = [{"text": text, "source": name} for text in texts]
    if name in (*sets.LABELS, *sets.HELD_OUT_LABELS):
        return [{**row, "labels": [("spam:positive", "ham:negative")[i % 2]]} for i, row in enumerate(rows)]
    if name in sets.QUESTIONS:
        return [{**row, **QUESTION} for row in rows]
    if name == "nlupp_instructions":
        return [{**row, "instruction": "Is it about money?", "kind": "label", "answer": True} for row in rows]
    if name == "open_instructions":
        asked = {"spans": {"the buyer": [[0, 4]], "the seller": []}, "labels": {"Something was paid.": True}}
        return [{**row, **asked, "source": "wikigold"} for row in rows]
    return [{**row, "spans": [{"start": 0, "end": 4, "label": "PER"}]} for row in rows]


@pytest.fixture
def write_rows():
    return _write_rows


@pytest.fixture
def make_rows():
    return _make_rows


@pytest.fixture
def data_folder(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    names = (*sets.TRAINED_ON, *sets.HELD_OUT)
    table = ["| name | ship |", "|---|---|", *(f"| {name} | yes |" for name in names), "| imdb | no |"]
    (folder / "CATALOG.md").write_text("Sets:\n\n" + "\n".join(table) + "\n")
    (folder / "detok.py").write_text(DETOK)
    (folder / "label_meanings.json").write_text(json.dumps(MEANINGS))
    for name in names:
        for split in ("train", "dev"):
            _write_rows(folder / name, _make_rows(name), split)
    return folder


@pytest.fixture
def make_settings(data_folder, tmp_path, encoder_folder):
    def make(output="run", **settings):
        quick = {"max_steps": 6, "pool": 2, "max_texts": 4, "n_threads": 1, "n_score_texts": 0}
        places = {"data": data_folder, "corpora": None, "output": tmp_path / output, "encoder": encoder_folder}
        return PretrainSettings(**{**places, **quick, **settings})

    return make
