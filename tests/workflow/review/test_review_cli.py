"""`review export` and `review import`, as a user types them."""

from __future__ import annotations

import json

import pytest
import srsly
from reviewers import FINISH, read_tasks
from typer.testing import CliRunner

from spacy_falconer.cli.app import app
from spacy_falconer.llm.exchange import write_exchange
from spacy_falconer.plan import write_plan


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == exit_code, result.output
    return " ".join(result.output.split())


@pytest.fixture
def folder(tmp_path, reader_nlp, review_plan, review_answers):
    reader_nlp.to_disk(tmp_path / "pipeline")
    write_plan(review_plan, tmp_path / "plan.json")
    write_exchange(review_answers[:10], tmp_path / "answers.jsonl")
    srsly.write_jsonl(tmp_path / "corpus.jsonl", [{"text": answer.text} for answer in review_answers])
    run("answers", "import", tmp_path / "answers.jsonl", "--store", tmp_path / "answers.db")
    return tmp_path


@pytest.mark.parametrize("command", ["export", "import"])
def test_help_has_an_example(command):
    assert f"Example: falconer review {command}" in run("review", command, "--help")


@pytest.mark.parametrize("tool", FINISH)
def test_out_and_in(folder, tool):
    store, output = ("--store", folder / "answers.db"), ("--output", folder / "review.json")
    said = run(
        "review", "export", folder / "pipeline", folder / "corpus.jsonl", *store, *output, "--format", tool, "-n", 6
    )
    assert "6 texts to review" in said and "review.config" in said
    tasks = read_tasks(folder / "review.json")
    done = [FINISH[tool](task, ["gift"], []) for task in tasks]
    (folder / "done.json").write_text(json.dumps([*done, {"id": 1}]))
    said = run("review", "import", folder / "plan.json", folder / "done.json", *store)
    assert "18 answers by people to 6 texts" in said and "Records: 6 answered, 0 rejected, 0 skipped, 0 open" in said
    assert "Not taken: 1" in said and (folder / "done.rejects.jsonl").exists()
    assert "human" in run("answers", "import", folder / "answers.jsonl", *store)


def test_an_error_is_one_message(folder):
    options = ("--output", folder / "review.json", "--format", "doccano")
    said = run("review", "export", folder / "pipeline", folder / "corpus.jsonl", *options, exit_code=1)
    assert "AnswerError" in said and "The format is 'doccano'; expected one of label-studio" in said
    assert not (folder / "review.json").exists()
