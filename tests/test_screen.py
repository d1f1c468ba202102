"""What commands write to a terminal: whatever texts, columns and models are called, it obeys none of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import srsly
from typer.testing import CliRunner

import spacy_falconer
from spacy_falconer.cli import screen
from spacy_falconer.cli.app import app
from spacy_falconer.llm.exchange import write_exchange
from spacy_falconer.plan import write_plan
from spacy_falconer.types import Answer

EVIL = "\x1b[2J\x1b]0;owned\x07 a\rb \x9b31m"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
CLI = Path(spacy_falconer.__file__).parent / "cli"


@pytest.mark.parametrize("path", sorted(CLI.glob("*.py")), ids=lambda path: path.stem)
def test_every_command_writes_through_the_screen(path):
    """So that none forgets what a text may hold."""
    tree = ast.walk(ast.parse(path.read_text(encoding="utf8")))
    called = [ast.unparse(node.func) for node in tree if isinstance(node, ast.Call)]
    allowed = 1 if path.stem == "screen" else 0
    assert len([name for name in called if name in ("print", "Printer")]) == 2 * allowed
    assert not [
        name
        for name in called
        if name in ("typer.echo", "click.echo") or name.startswith("sys.std") and "write" in name
    ]


def test_what_is_said_moves_no_cursor_and_a_title_has_one_line(capsys):
    screen.say(f"one {EVIL}\r\ntwo")
    screen.msg.warn(f"Models: {EVIL}\n✔ All is well", f"one {EVIL}\ntwo")
    said = capsys.readouterr().out
    assert not OBEYED.search(said)
    assert "\ntwo\n" in said
    assert "✔ All is well" in said and "\n✔" not in said


@pytest.fixture
def evil(tmp_path, review_plan, review_answers):
    """A plan, a corpus and recorded answers with names that a terminal would obey."""
    write_plan(review_plan, tmp_path / "plan.json")
    srsly.write_jsonl(tmp_path / "corpus.jsonl", [{EVIL: 1, f"x\n{EVIL}": 2, "text": f"{i} {EVIL}"} for i in range(9)])
    write_exchange(
        [Answer(one.text, EVIL, one.labels, one.spans) for one in review_answers], tmp_path / "answers.jsonl"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("command", "exit_code", "shown"),
    [
        ("estimate plan.json corpus.jsonl --sample 3", 0, "One request:"),
        ("estimate plan.json corpus.jsonl --text-field body", 1, "The columns:"),
        ("answers import answers.jsonl --store answers.db", 0, "new answers"),
        ("answers import corpus.jsonl --format recorded --store answers.db", 1, "looks like a corpus"),
        (
            "annotate plan.json answers.jsonl --store answers.db --recorded answers.jsonl --output a.spacy",
            0,
            "recorded, by",
        ),
    ],
)
def test_no_command_shows_what_a_terminal_would_obey(evil, monkeypatch, command, exit_code, shown):
    monkeypatch.chdir(evil)
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == exit_code, result.output
    assert shown in " ".join(result.output.split()) and not OBEYED.search(result.output)
    if exit_code:
        assert len(result.output.strip().splitlines()) <= 12
