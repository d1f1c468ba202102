"""Every command tells what it does and shows an example; the examples are what the commands take."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from spacy_falconer.cli.app import app


def find_commands(command, words=()):
    """All commands, those in groups too, by their words."""
    if not hasattr(command, "commands"):
        return {" ".join(words): command}
    return {
        key: one for name, sub in command.commands.items() for key, one in find_commands(sub, (*words, name)).items()
    }


COMMANDS = find_commands(get_command(app))


def read_examples(command):
    """The words after each `Example: falconer`."""
    return [shlex.split(line) for line in re.findall(r"^ *Example: falconer (.*)$", command.help, re.MULTILINE)]


@pytest.fixture
def at_work(tmp_path, monkeypatch):
    """Make what an example reads: a file where a name has an ending, else a folder."""
    monkeypatch.chdir(tmp_path)

    def make(words):
        for word in words:
            path = Path(word)
            if path.suffix and " " not in word:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            elif re.fullmatch(r"[a-z][a-z_/]*", word):
                path.mkdir(parents=True, exist_ok=True)

    return make


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_of_a_command_is_taken_by_it(name, at_work):
    command, words = COMMANDS[name], name.split()
    examples = read_examples(command)
    assert examples
    for example in examples:
        assert example[: len(words)] == words
        at_work(example[len(words) :])
        command.make_context(name, example[len(words) :])  # Parses and checks, and runs nothing.


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name):
    unexplained = [one.name for one in COMMANDS[name].params if not getattr(one, "help", None) and one.name != "help"]
    assert not unexplained


def test_an_example_that_is_wrong_is_noticed(at_work):
    at_work(["pipeline", "reviews.jsonl"])
    with pytest.raises(Exception, match="No such option"):
        COMMANDS["mine"].make_context("mine", ["pipeline", "reviews.jsonl", "--ouput", "rows.jsonl"])
