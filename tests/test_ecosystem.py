"""What docs/ecosystem.md and docs/universe.json say beside what tests/test_docs_snippets.py runs."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from configparser import ConfigParser
from pathlib import Path
from types import SimpleNamespace

import pytest
import spacy
import spacy.cli  # noqa: F401 (its commands)
import srsly
from spacy.cli._util import app
from spacy.util import load_config
from typer.testing import CliRunner

import spacy_falconer
from spacy_falconer.corpus.docbin import make_docs, write_docbin
from spacy_falconer.corpus.read import read_corpus
from spacy_falconer.plan import write_plan
from spacy_falconer.workflow.mine import mine

ROOT = Path(spacy_falconer.__file__).parents[1]
PAGE = (ROOT / "docs" / "ecosystem.md").read_text(encoding="utf8")
UNIVERSE = srsly.read_json(ROOT / "docs" / "universe.json")
# Those of the spaCy universe that a package may have.
CATEGORIES = {
    "pipeline", "standalone", "models", "scientific", "biomedical", "visualizers", "training", "apis", "nonenglish",
    "research", "conversational", "extension", "wrapper", "containers",
}  # fmt: skip


def find_block(kind, words):
    (block,) = [one for one in re.findall(rf"```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE) if words in one]
    return block


def run_code(code, names=None):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "snippet", "exec"), names if names is not None else {})  # noqa: S102 (ours)
    return out.getvalue()


@pytest.fixture
def at_work(trained, review_plan, review_answers, tmp_path, monkeypatch):
    """A folder with a small pipeline, its answers, a corpus, and what was mined from it."""
    monkeypatch.chdir(tmp_path)
    trained[0].to_disk("pipeline")
    docs, _ = make_docs(review_answers, review_plan, spacy.blank("en"))
    write_docbin(docs[:30], Path("train.spacy"))
    write_docbin(docs[30:], Path("test.spacy"))
    write_plan(review_plan, Path("plan.json"))
    srsly.write_jsonl("reviews.jsonl", [{"id": str(i), "text": one.text} for i, one in enumerate(review_answers)])
    return tmp_path


@pytest.fixture
def mined(at_work):
    nlp = spacy.load("pipeline")
    for name in ("rows.jsonl", "rows.parquet"):
        mine(nlp, read_corpus("reviews.jsonl"), Path(name))


def test_duckdb_reads_the_rows(mined):
    assert "('1 dollars', 4)" in run_code(find_block("python", "import duckdb"))


def test_streamlit_is_given_what_it_shows(at_work, monkeypatch):
    """With stand-ins for streamlit and spacy-streamlit that keep what they get."""
    shown = {}
    streamlit = SimpleNamespace(text_area=lambda name, text: text, json=lambda value: shown.update(json=value))
    spacy_streamlit = SimpleNamespace(
        load_model=spacy.load,
        visualize_textcat=lambda doc: shown.update(cats=doc.cats),
        visualize_spans=lambda doc, *, spans_key, show_table: shown.update(spans=doc.spans[spans_key]),
    )
    monkeypatch.setitem(sys.modules, "streamlit", streamlit)
    monkeypatch.setitem(sys.modules, "spacy_streamlit", spacy_streamlit)
    run_code(find_block("python", "import streamlit"), names := {})
    assert shown["cats"] == names["doc"].cats and set(shown["cats"]) == {"positive", "gift"}
    assert "scores" in shown["spans"].attrs
    assert shown["json"] == (names["doc"]._.mined or {})


def test_the_training_config_of_the_page_trains(at_work):
    Path("own.cfg").write_text(find_block("ini", "frozen_components"))
    commands = [line.split()[3:] for line in find_block("bash", "init fill-config").splitlines()]
    for words in commands:
        more = ["--training.max_steps=2", "--training.eval_frequency=2"] if words[0] == "train" else []
        result = CliRunner().invoke(app, [*words, *more], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    nlp, source = spacy.load("trained/model-last"), spacy.load("pipeline")
    assert nlp.pipe_names == load_config("own.cfg")["nlp"]["pipeline"]
    found, expected = nlp("i paid 7 dollars and love it"), source("i paid 7 dollars and love it")
    assert [span.text for span in found.spans["sc"]] == [span.text for span in expected.spans["sc"]] == ["7 dollars"]


def test_the_universe_gets_what_it_asks_for():
    for key in ("id", "title", "slogan", "description", "github", "pip", "code_language", "author"):
        assert isinstance(UNIVERSE[key], str) and UNIVERSE[key], key
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert UNIVERSE["pip"] == UNIVERSE["id"] == config["metadata"]["name"]
    assert UNIVERSE["slogan"] == config["metadata"]["description"]
    assert re.fullmatch(r"[\w-]+/spacy-falconer", UNIVERSE["github"])
    assert set(UNIVERSE["category"]) <= CATEGORIES and UNIVERSE["tags"]


def test_the_example_of_the_universe_prints_what_it_says(monkeypatch):
    folder, load = ROOT / "assets" / UNIVERSE["code_example"][2].split('"')[1], spacy.load
    monkeypatch.setattr(spacy, "load", lambda name: load(folder))
    said = [line.removeprefix("# ") for line in UNIVERSE["code_example"] if line.startswith("# True")]
    assert run_code("\n".join(UNIVERSE["code_example"])).splitlines() == said
    assert "```" not in json.dumps(UNIVERSE)
