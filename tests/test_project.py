"""The spaCy project, run as a user runs it, on a small corpus and with the tiny encoder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import spacy
import srsly
from spacy.util import load_config
from weasel.cli.run import project_run

import spacy_falconer
from spacy_falconer.llm.exchange import write_exchange
from spacy_falconer.plan import read_plan, write_plan

ROOT = Path(spacy_falconer.__file__).parents[1]
SENTENCE = 'prices over $25, "new"'


@pytest.fixture(scope="module")
def project(tmp_path_factory, review_plan, review_answers, training_overrides):
    """A user's folder: our project.yml, and a plan, a corpus and answers of the user's own."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "project.yml", folder)
    (folder / "spacy_falconer").symlink_to(ROOT / "spacy_falconer")
    (folder / "my sentence.txt").write_text(SENTENCE)
    plan = review_plan.model_copy(update={"instruction": SENTENCE})
    srsly.write_json(folder / "plan.json", {"model": "a model, 2026", "plan": plan.model_dump(mode="json")})
    srsly.write_jsonl(folder / "my corpus.jsonl", [{"id": i, "text": one.text} for i, one in enumerate(review_answers)])
    write_exchange(review_answers[:30], folder / "answers.jsonl")
    write_exchange(review_answers[30:], folder / "test.jsonl")
    load_config(ROOT / "configs" / "cpu.cfg", overrides=training_overrides).to_disk(folder / "tiny.cfg")
    return folder


@pytest.fixture(scope="module")
def run(project):
    """Run a workflow or a command; the commands that ran, and their output files' times."""
    files = {"instruction": "my sentence.txt", "plan": "plan.json", "corpus": "my corpus.jsonl", "config": "tiny.cfg"}
    answers = {"answers": "answers.jsonl", "test_answers": "test.jsonl"}

    def run_project(name="all", **changed):
        overrides = {f"vars.{key}": value for key, value in {**files, **answers, **changed}.items()}
        before = times(project)
        project_run(project, name, overrides=overrides, capture=True)
        return {path for path, time in times(project).items() if before.get(path) != time}

    return run_project


def times(project):
    outputs = [
        *project.glob("output/*.json*"),
        *project.glob("output/*.spacy"),
        *project.glob("output/pipeline/meta.json"),
    ]
    return {path.name: path.stat().st_mtime_ns for path in outputs}


@pytest.fixture(scope="module")
def first_run(run):
    return run()


def test_from_a_sentence_to_rows(first_run, project):
    assert first_run == {"plan.json", "train.spacy", "test.spacy", "meta.json", "scores.json", "rows.jsonl"}
    assert read_plan(project / "output" / "plan.json").instruction == SENTENCE
    scores = srsly.read_json(project / "output" / "scores.json")
    assert scores["n_texts"] == 10 and set(scores["spans"]["per_instruction"]) == {"price"}
    texts = {str(row["id"]): row["text"] for row in srsly.read_jsonl(project / "my corpus.jsonl")}
    rows = list(srsly.read_jsonl(project / "output" / "rows.jsonl"))
    assert 0 < len(rows) < len(texts)
    assert all(
        texts[row["id"]][span["start"] : span["end"]] == span["text"] for row in rows for span in row["spans"]["price"]
    )


def test_the_pipeline_loads_in_the_ordinary_way(first_run, project):
    nlp = spacy.load(project / "output" / "pipeline")
    rows = {row["id"]: row for row in srsly.read_jsonl(project / "output" / "rows.jsonl")}
    for record in srsly.read_jsonl(project / "my corpus.jsonl"):
        mined = nlp(record["text"])._.mined
        assert (mined is not None) == (str(record["id"]) in rows)
        if mined is not None:
            assert rows[str(record["id"])]["labels"] == pytest.approx(mined["labels"], abs=1e-4)


def test_a_second_run_does_nothing(first_run, run):
    assert run() == set()


def test_a_sentence_that_means_the_same_runs_nothing_after_the_plan(first_run, run, project):
    (project / "my sentence.txt").write_text(SENTENCE + "\n")
    assert run() <= {"plan.json"}


def test_a_changed_plan_runs_what_depends_on_it(first_run, run, project):
    recorded = srsly.read_json(project / "plan.json")
    recorded["plan"]["keep"] = "price"
    srsly.write_json(project / "plan.json", recorded)
    # The answers are the same, so what is learned from changes only where the plan does.
    assert run() == {"plan.json", "train.spacy", "test.spacy", "meta.json", "scores.json", "rows.jsonl"}
    assert run() == set()


def test_another_sentence_needs_a_language_model(first_run, run, project, capfd):
    (project / "other.txt").write_text("Something else")
    with pytest.raises(Exception, match="exit|returned|command|Subprocess") as failed:
        run("plan", instruction="other.txt")
    said = str(failed.value) + capfd.readouterr().out
    assert "OPENAI_BASE_URL" in said and "Something else" in said


def test_the_lock_file_holds_no_key(first_run, project, monkeypatch):
    assert "OPENAI" not in (project / "project.lock").read_text()


def test_an_own_plan_needs_no_sentence(first_run, run, project, review_plan):
    write_plan(review_plan, project / "own.json")
    assert "plan.json" in run("plan", plan="own.json")
    assert json.loads((project / "output" / "plan.json").read_text())["instruction"] == review_plan.instruction
