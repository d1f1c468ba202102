"""The spaCy project, run as a user runs it, on a small corpus and with the tiny encoder."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path

import pytest
import spacy
import srsly
from server import KEY, ScriptedServer
from weasel.cli.run import project_run

import spacy_falconer
from spacy_falconer.cli.induce import induce_cli
from spacy_falconer.llm.exchange import write_exchange
from spacy_falconer.plan import read_plan, write_plan
from spacy_falconer.workflow.targets import parse_targets
from spacy_falconer.workflow.times import read_times

ROOT = Path(spacy_falconer.__file__).parents[1]
SENTENCE = 'prices over $25, "new"'


@pytest.fixture(scope="module")
def make_project(tmp_path_factory, review_answers, tiny_config):
    """Make a user's folder: our project.yml and package, and a sentence and a corpus of the user's own."""

    def make():
        folder = tmp_path_factory.mktemp("project")
        shutil.copy(ROOT / "project.yml", folder)
        for name in ("spacy_falconer", "assets"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "my sentence.txt").write_text(SENTENCE)
        rows = [{"id": i, "text": one.text} for i, one in enumerate(review_answers)]
        srsly.write_jsonl(folder / "my corpus.jsonl", rows)
        shutil.copy(tiny_config, folder / "tiny.cfg")
        return folder

    return make


@pytest.fixture(scope="module")
def project(make_project, review_plan, review_answers):
    """With a plan and answers of the user's own."""
    folder = make_project()
    plan = review_plan.model_copy(update={"instruction": SENTENCE})
    srsly.write_json(folder / "plan.json", {"model": "a model, 2026", "plan": plan.model_dump(mode="json")})
    write_exchange(review_answers[:30], folder / "answers.jsonl")
    write_exchange(review_answers[30:], folder / "test.jsonl")
    return folder


ROWS = "rows.jsonl", "rows.manifest.json", "times.json", "report.html"
FILES = {"instruction": "my sentence.txt", "corpus": "my corpus.jsonl", "source": "tiny.cfg"}


def run_project(project, name, **changed):
    """Run a workflow or a command; the names of the outputs that it wrote."""
    overrides = {f"vars.{key}": value for key, value in {**FILES, **changed}.items()}
    before = times(project)
    project_run(project, name, overrides=overrides, capture=True)
    return {path for path, time in times(project).items() if before.get(path) != time}


@pytest.fixture(scope="module")
def run(project):
    answers = {"plan": "plan.json", "answers": "answers.jsonl", "test_answers": "test.jsonl"}
    return lambda name="all", **changed: run_project(project, name, **{**answers, **changed})


def times(project):
    outputs = [
        *project.glob("output/*.json*"),
        *project.glob("output/*.html"),
        *project.glob("output/*.spacy"),
        *project.glob("output/pipeline/meta.json"),
    ]
    return {path.name: path.stat().st_mtime_ns for path in outputs}


@pytest.fixture(scope="module")
def first_run(run):
    return run()


def test_from_a_sentence_to_rows(first_run, project):
    assert first_run == {"plan.json", "train.spacy", "test.spacy", "meta.json", "scores.json", *ROWS}
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


def test_the_report_shows_the_rows_with_their_texts(first_run, run, project):
    page = project / "output" / "report.html"
    assert '"pieces":' in page.read_text(encoding="utf8")
    page.unlink()
    assert run() == {"report.html"}


@pytest.mark.parametrize(
    ("command", "changed", "message"),
    [
        ("plan", {"prices": "my corpus.jsonl"}, "my corpus.jsonl' cannot be used"),
        ("plan", {"timeout": 0}, "--timeout"),
        ("annotate", {"timeout": 0}, "--timeout"),
        ("annotate", {"prices": "my corpus.jsonl"}, "my corpus.jsonl' cannot be used"),
        ("annotate", {"batch": "often"}, "--often"),
        (
            "train",
            {"target": "price:recall=0.9, nothing:recall=0.9"},
            "The target 'nothing:recall=0.9' is for 'nothing'",
        ),
        ("train", {"replay": "nothing.jsonl"}, "There is no file 'nothing.jsonl'"),
        ("mine", {"precision": "fp1"}, "There is no precision 'fp1'"),
        ("mine", {"n_process": 0}, "--n-process"),
    ],
)
def test_a_variable_reaches_its_command(command, changed, message, first_run, run, capfd):
    with pytest.raises(Exception, match="exit|returned|command|Subprocess") as failed:
        run(command, **changed)
    captured = capfd.readouterr()
    assert message in " ".join((str(failed.value) + captured.out + captured.err).split())


def test_a_price_file_and_earlier_answers_may_be_named(first_run, run, project):
    srsly.write_json(project / "prices.json", {"models": {"a model": {"input": 1, "output": 1}}})
    assert run("report", prices="prices.json") == {"report.html"}


def test_the_variables_are_the_commands_own_defaults():
    settings = srsly.read_yaml(ROOT / "project.yml")["vars"]
    defaults = {name: one.default for name, one in inspect.signature(induce_cli).parameters.items()}
    for name in ("sample", "choose", "rounds", "timeout", "precision", "n_process", "seed"):
        assert settings[name] == defaults[name], name
    assert settings["batch"] == "no-batch" and not defaults["batch"]
    plan = read_plan(ROOT / settings["plan"])
    assert parse_targets([settings["target"]], plan=plan) == parse_targets(defaults["target"], plan=plan)


def test_a_changed_plan_runs_what_depends_on_it(first_run, run, project):
    recorded = srsly.read_json(project / "plan.json")
    recorded["plan"]["keep"] = "price"
    srsly.write_json(project / "plan.json", recorded)
    # The answers are the same, so what is learned from changes only where the plan does.
    assert run() == {"plan.json", "train.spacy", "test.spacy", "meta.json", "scores.json", *ROWS}
    assert run() == set()


def test_another_sentence_needs_a_language_model(first_run, run, project, capfd, monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    (project / "other.txt").write_text("Something else")
    with pytest.raises(Exception, match="exit|returned|command|Subprocess") as failed:
        run("plan", instruction="other.txt")
    said = str(failed.value) + capfd.readouterr().out
    assert "OPENAI_BASE_URL" in said and "Something else" in said


@pytest.fixture(scope="module")
def asked(make_project):
    """A folder with a sentence and a corpus alone, after a first run against a language model; and what it wrote."""
    with ScriptedServer() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        folder = make_project()
        yield folder, server, run_project(folder, "all")


def test_from_a_sentence_and_an_empty_store_to_rows(asked):
    folder, server, written = asked
    assert written == {"plan.json", "train.spacy", "test.spacy", "meta.json", "scores.json", *ROWS}
    assert read_plan(folder / "output" / "plan.json").instruction == SENTENCE
    assert (len(server.planned), len(server.annotated)) == (1, 40)
    times = read_times(folder / "output" / "times.json")
    assert (times["annotate"].n_requests, times["mine"].n_texts) == (40, 40)
    assert all(took.seconds > 0 for took in times.values())
    rows = list(srsly.read_jsonl(folder / "output" / "rows.jsonl"))
    assert rows and all(row["spans"]["price"] for row in rows)
    assert {"falconer_label", "falconer_span"} < set(spacy.load(folder / "output" / "pipeline").pipe_names)


def test_a_second_run_sends_nothing_and_one_from_the_store_neither(asked):
    folder, server, _ = asked
    assert run_project(folder, "all") == set() and len(server.requests) == 41
    (folder / "project.lock").unlink()
    run_project(folder, "annotate")
    assert len(server.requests) == 41
    assert (
        read_times(folder / "output" / "times.json")["annotate"].n_requests == 40
    )  # The pace that was measured stays.


def test_the_key_is_in_no_file_of_the_project(asked):
    folder, server, _ = asked
    assert server.keys == {KEY}
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert folder / "project.lock" in files and not any(KEY.encode() in path.read_bytes() for path in files)


def test_a_limit_stops_the_workflow_and_another_run_goes_on(make_project, llm_server, capfd):
    folder = make_project()
    with pytest.raises(Exception, match="exit|returned|command|Subprocess"):
        run_project(folder, "all", max_requests=9)
    assert len(llm_server.annotated) == 9 and not (folder / "output" / "pipeline").exists()
    run_project(folder, "annotate", max_requests=100)
    assert len(llm_server.annotated) == 40


def test_cleaning_leaves_what_was_paid_for(make_project, llm_server):
    folder = make_project()
    for name in ("plan", "annotate"):
        run_project(folder, name)
    (folder / "output" / "pipeline").mkdir()
    n_sent = len(llm_server.requests)
    run_project(folder, "clean")
    assert {path.name for path in (folder / "output").iterdir()} == {"answers.db"}
    for name in ("plan", "annotate"):
        run_project(folder, name)
    assert (folder / "output" / "train.spacy").exists() and len(llm_server.requests) == n_sent


def test_an_own_plan_needs_no_sentence(first_run, run, project, review_plan):
    write_plan(review_plan, project / "own.json")
    assert "plan.json" in run("plan", plan="own.json")
    assert json.loads((project / "output" / "plan.json").read_text())["instruction"] == review_plan.instruction
