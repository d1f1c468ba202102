"""Every snippet of README and docs is run, in a folder with a small corpus, answers, a tiny pipeline and a server.

A line `<!-- not run: why -->` above a block has it checked alone: that it parses, and that its commands and options exist.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path
from typing import NamedTuple

import pytest
import spacy
import srsly
from reviewers import FINISH, read_tasks
from typer.main import get_command
from typer.testing import CliRunner

import spacy_falconer
from spacy_falconer.cli.app import app
from spacy_falconer.corpus.docbin import make_docs, write_docbin
from spacy_falconer.llm.exchange import write_exchange
from spacy_falconer.plan import write_plan

ROOT = Path(spacy_falconer.__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?P<mark><!-- not run: [^>]+ -->\n\n?)?^```(?P<kind>python|bash)\n(?P<code>.*?)^```$(?:\n\n^```\n(?P<printed>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)
TOOLS = {"prodigy", "argilla"}  # Snippets for those who have them.
OTHERS = {"prodigy", "ray", "git", "pip", "export", "make", "pre-commit"}


class Block(NamedTuple):
    kind: str
    code: str
    printed: str | None
    is_run: bool


def read_blocks(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf8")
    return [Block(one["kind"], one["code"], one["printed"], not one["mark"]) for one in BLOCK.finditer(text)]


def read_commands(code: str) -> list[list[str]]:
    """A block's commands, in words."""
    assert subprocess.run(["bash", "-n"], input=code, text=True, capture_output=True).returncode == 0, code
    lines = code.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def find_ours(words: list[str]) -> list[str] | None:
    """The arguments of our own command, also where another one starts it."""
    for ours in (["-m", "spacy", "falconer"], ["-m", "spacy_falconer"]):
        for i in range(len(words)):
            if words[i : i + len(ours)] == ours:
                return words[i + len(ours) :]
    return None


def check_ours(arguments: list[str]) -> None:
    """The command is there, and has the options."""
    command = get_command(app)
    while hasattr(command, "commands"):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    used = {word.partition("=")[0] for word in arguments if re.match(r"--?[a-z]", word)}
    assert used <= known, f"{command.name} has no {used - known}"


def check_other(words: list[str]) -> None:
    """A command of someone else's names what there is."""
    words = words[next(i for i, word in enumerate(words) if not re.match(r"[A-Z_]+=", word)) :]
    name = words[0].rpartition("/")[2]
    if name == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(words[1:]) <= set(targets), words
    elif name == "pip":
        check_install(words)
    elif words[1:2] == ["-m"]:
        check_module(words[2:])
    else:
        assert name in OTHERS, words


def check_install(words: list[str]) -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = re.findall(r"(?:spacy-falconer|^\.)\[([a-z,]+)\]", " ".join(words))
    assert all(config.has_option("options.extras_require", name) for one in extras for name in one.split(",")), words
    assert "-c" not in words or (ROOT / words[words.index("-c") + 1]).exists()


def check_module(words: list[str]) -> None:
    if words[:2] == ["spacy", "project"] and words[2] in {"clone", "assets", "document"}:
        assert set(words) & {"--repo", "--vars.repo", "--output"}, words
    elif words[:2] == ["spacy", "project"]:
        project = srsly.read_yaml(ROOT / "project.yml")
        names = {*project["workflows"], *(one["name"] for one in project["commands"])}
        used = {word.removeprefix("--vars.") for word in words if word.startswith("--vars.")}
        assert words[3] in names and used <= set(project["vars"]), words
    elif words[0].startswith("benchmarks"):
        path = ROOT / words[0].replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), words
    else:
        assert words[0] in {"venv", "pytest", "spacy"}, words


@pytest.fixture(scope="module")
def workshop(tmp_path_factory, review_plan, review_answers, trained):
    """All that the snippets name, small."""
    folder = tmp_path_factory.mktemp("workshop")
    (folder / "assets").symlink_to(ROOT / "assets")
    write_plan(review_plan, folder / "plan.json")
    (folder / "my-sentence.txt").write_text("Extract all prices from positive reviews")
    write_exchange(review_answers[:30], folder / "answers.jsonl")
    for name, answers in {
        "answers": review_answers[:30],
        "train": review_answers[:30],
        "test": review_answers[30:],
    }.items():
        write_docbin(make_docs(answers, review_plan, spacy.blank("en"))[0], folder / f"{name}.spacy")
    rows = [{"id": str(i), "text": one.text} for i, one in enumerate(review_answers)]
    for name in ("reviews", "my-reviews"):
        srsly.write_jsonl(folder / f"{name}.jsonl", rows)
    trained[0].to_disk(folder / "pipeline")
    write_tickets(folder / "tickets.parquet", rows)
    with change_folder(folder):
        run("answers import answers.jsonl --store answers.db")
        run("review export pipeline reviews.jsonl --store answers.db --format label-studio --n 6 --output review.json")
    done = [FINISH["label-studio"](task, ["gift"], []) for task in read_tasks(folder / "review.json")]
    (folder / "reviewed.json").write_text(json.dumps(done))
    return folder


@contextlib.contextmanager
def change_folder(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


def write_tickets(path, rows):
    pyarrow = pytest.importorskip("pyarrow")
    columns = {"ticket": [row["id"] for row in rows], "subject": ["A review"] * len(rows)}
    table = pyarrow.table({**columns, "body": [row["text"] for row in rows]})
    pytest.importorskip("pyarrow.parquet").write_table(table, path)


def run(line):
    arguments = shlex.split(line) if isinstance(line, str) else line
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, f"{' '.join(arguments)}\n{result.output}\n{result.exception!r}"


@pytest.fixture
def at_work(workshop, tmp_path, make_nlp, llm_server, monkeypatch):
    """In a copy of the workshop; tasks start from a tiny pre-trained pipeline, and read their texts a few times."""
    shutil.copytree(workshop, tmp_path / "work", symlinks=True)
    make_nlp(labels={}, spans={}).to_disk(tmp_path / "base")
    monkeypatch.setattr("spacy_falconer.pipeline.source.find_base", lambda: tmp_path / "base")
    monkeypatch.setattr("spacy_falconer.workflow.train.MIN_READS", 80)
    monkeypatch.chdir(tmp_path / "work")


def run_python(block: Block, names: dict) -> None:
    code = compile(block.code, "snippet", "exec")
    imported = set(re.findall(r"^(?:import|from) (\w+)", block.code, re.MULTILINE))
    if not block.is_run or imported & TOOLS:
        return
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, names)  # noqa: S102 (ours)
    if block.printed is not None:
        assert out.getvalue() == block.printed


def run_bash(block: Block) -> None:
    for words in read_commands(block.code):
        ours = find_ours(words)
        if ours is None:
            check_other(words)
            continue
        check_ours(ours)
        if block.is_run and words[0] == "python" and not any("://" in word for word in ours):
            run(ours)


@pytest.mark.parametrize("path", [path for path in PAGES if read_blocks(path)], ids=lambda path: path.name)
def test_the_snippets_of_a_page_run_one_after_another(path, at_work):
    names = {"__name__": "snippets"}
    for block in read_blocks(path):
        if block.kind == "bash":
            run_bash(block)
        elif path.name != "README.md":  # Its Python is run in test_docs.py.
            run_python(block, names)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("python -m spacy falconer mine pipeline texts.jsonl --ouput rows.jsonl", "--ouput"),
        ("make tests", "tests"),
        ("pip install 'spacy-falconer[rays]'", "rays"),
        ("python -m spacy project run all . --vars.sentence my.txt", "sentence"),
        ("python -m benchmarks.nothing", "nothing"),
    ],
)
def test_what_is_not_there_is_noticed(line, message):
    (words,) = read_commands(line)
    with pytest.raises((AssertionError, KeyError), match=message):
        check_other(words) if find_ours(words) is None else check_ours(find_ours(words))
