"""The commands, through spaCy's command line and through our own."""

from __future__ import annotations

import pytest
import srsly
from typer.testing import CliRunner

from spacy_falconer.cli.app import app
from spacy_falconer.llm.exchange import read_exchange, write_exchange
from spacy_falconer.plan import write_plan

COMMANDS = ["annotate", "answers", "evaluate", "induce", "mine", "plan", "report", "train"]


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == exit_code, result.output
    return result.output


@pytest.fixture
def folder(tmp_path, review_plan, review_answers):
    write_plan(review_plan, tmp_path / "plan.json")
    write_exchange(review_answers, tmp_path / "answers.jsonl")
    srsly.write_jsonl(tmp_path / "corpus.jsonl", [{"text": answer.text} for answer in review_answers])
    return tmp_path


def test_spacy_knows_the_commands():
    from spacy.cli._util import app as spacy_app

    import spacy_falconer.cli.spacy_command  # noqa: F401

    output = CliRunner().invoke(spacy_app, ["falconer", "--help"]).output
    assert all(command in output for command in COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS, "answers import", "answers export"])
def test_every_command_has_help_and_an_example(command):
    output = run(*command.split(), "--help")
    assert command == "answers" or f"falconer {command}" in " ".join(output.replace("│", " ").split())


def test_answers_go_in_and_out(folder, review_answers):
    output = run("answers", "import", folder / "answers.jsonl", "--store", folder / "answers.db")
    assert "121 new answers" in output and "a model" in output
    assert "0 new answers" in run("answers", "import", folder / "answers.jsonl", "--store", folder / "answers.db")
    run("answers", "export", folder / "out.jsonl", "--store", folder / "answers.db")
    assert list(read_exchange(folder / "out.jsonl")) == review_answers


def test_annotate_says_whose_answers_and_what_was_placed(folder):
    run("answers", "import", folder / "answers.jsonl", "--store", folder / "answers.db")
    output = run(
        "annotate", folder / "plan.json", folder / "corpus.jsonl", "--store", folder / "answers.db",
        "--recorded-only", "--sample", 20, "--output", folder / "train.spacy", "--test-output", folder / "test.spacy",
    )  # fmt: skip
    assert "recorded, by a model" in output and "16 answered texts to learn from, 4 to test on" in output
    assert (folder / "train.spacy").exists() and (folder / "test.spacy").exists()


@pytest.mark.parametrize(
    ("recorded_only", "message"),
    [(["--recorded-only"], "answers the plan's instructions for none"), ([], "OPENAI_BASE_URL and OPENAI_API_KEY")],
)
def test_an_empty_store_says_what_to_do(folder, recorded_only, message):
    output = run(
        "annotate", folder / "plan.json", folder / "corpus.jsonl", "--store", folder / "answers.db",
        "--output", folder / "train.spacy", *recorded_only, exit_code=1,
    )  # fmt: skip
    assert message in " ".join(output.split()) and "Traceback" not in output


def test_a_sentence_without_a_plan_needs_a_language_model(folder):
    output = run("plan", 'prices over $25, "new"', "--output", folder / "p.json", exit_code=1)
    assert 'prices over $25, "new"' in " ".join(output.split()) and "OPENAI_BASE_URL" in output


def test_a_malformed_plan_is_one_message(folder):
    srsly.write_json(folder / "bad.json", {"instruction": "x", "steps": [], "keep": "__import__('os')"})
    output = run("plan", "x", "--plan", folder / "bad.json", "--output", folder / "p.json", exit_code=1)
    assert "PlanError" in output and "Traceback" not in output


def test_induce_goes_the_whole_way(folder, encoder_folder, training_overrides):
    from spacy.util import load_config

    from spacy_falconer.workflow.train import find_default_config

    load_config(find_default_config(), overrides=training_overrides).to_disk(folder / "tiny.cfg")
    output = run(
        "induce", "Prices of loved things", folder / "corpus.jsonl", "--plan", folder / "plan.json",
        "--answers", folder / "answers.jsonl", "--recorded-only", "--config", folder / "tiny.cfg",
        "--output", folder / "mined",
    )  # fmt: skip
    files = {"plan.json", "answers.db", "train.spacy", "test.spacy", "pipeline", "scores.json", "rows.jsonl"}
    assert files <= {path.name for path in (folder / "mined").iterdir()}
    assert "texts/s" in output and "get_span" in output
    assert "price" in run("report", folder / "mined")
