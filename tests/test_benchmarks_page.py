"""The page of all benchmarks: sections are replaced alone, and the command line's --page does it for every benchmark."""

from __future__ import annotations

import re
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import page as page_module
from benchmarks.page import on_page, publish

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
NO_TABLE = {"benchmarks/convert.py", "benchmarks/speed/gliner_class.py"}
RUNNABLE = [
    path
    for path in sorted((ROOT / "benchmarks").rglob("*.py"))
    if 'if __name__ == "__main__"' in path.read_text("utf8")
]


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("# Benchmarks\n\nHow to read.\n")
    return path


def test_a_section_is_replaced_and_all_else_stays(page):
    publish(page, "one", "First", "```text\n1\n```", command="python -m benchmarks.one")
    publish(page, "two", "Second", "```text\n2\n```", command="python -m benchmarks.two", notes="A remark.")
    page.write_text(page.read_text().replace("<!-- benchmark: two -->", "Written by hand.\n\n<!-- benchmark: two -->"))
    publish(page, "one", "First", "```text\n\\1 anew\n```", command="python -m benchmarks.one --seed 1")
    text = page.read_text()
    assert text.startswith("# Benchmarks\n\nHow to read.\n") and "Written by hand." in text and "A remark." in text
    assert text.count("### First") == 1 and "\\1 anew" in text and "```text\n1\n```" not in text
    assert text.index("### First") < text.index("Written by hand.") < text.index("### Second")
    assert "```bash\npython -m benchmarks.one --seed 1\n```" in text


def test_a_section_says_when_and_where(page, monkeypatch):
    monkeypatch.setattr(page_module.os, "sched_getaffinity", lambda pid: {0})
    monkeypatch.setattr(page_module, "find_processor", lambda: "A processor")
    publish(page, "one", "First", "1", command="python -m benchmarks.one")
    assert re.search(r"^\d{4}-\d\d-\d\d, A processor, 1 core(, torch with \d+ threads?)?:$", page.read_text(), re.M)


@pytest.fixture
def run_benchmark(monkeypatch):
    """Run a function as if it were a benchmark's module, with arguments."""
    module = ModuleType("__main__", "What it finds,\nand how.\n\n    python -m benchmarks.choose\n\nMore.")
    module.__spec__ = ModuleSpec("benchmarks.choose.__main__", None)
    module.__file__ = str(ROOT / "benchmarks" / "choose" / "__main__.py")

    def run(main, *arguments):
        monkeypatch.setattr(sys, "argv", ["choose", *map(str, arguments)])
        monkeypatch.setitem(sys.modules, "__main__", module)
        with on_page():
            main()

    return run


def report(code=0):
    print("   F1   \n0.50")
    print("half way", file=sys.stderr)
    raise SystemExit(code)


def test_what_is_printed_goes_on_the_page(page, run_benchmark, tmp_path, capsys):
    answers = tmp_path / "answers.jsonl"
    answers.write_text("")
    run_benchmark(report, "--train", answers, "--page", page, f"--test={answers}", "assets", "--n", "3")
    text = page.read_text()
    assert "```text\n   F1\n0.50\n```" in text and "half way" not in text and "### What it finds, and how\n" in text
    assert "python -m benchmarks.choose --train answers.jsonl --test=answers.jsonl assets --n 3\n" in text
    assert sys.argv[1:] == ["--train", str(answers), f"--test={answers}", "assets", "--n", "3"]
    assert str(tmp_path) not in text and "<!-- benchmark: choose -->" in text
    assert capsys.readouterr().out == "   F1   \n0.50\n"


def test_one_benchmark_may_have_several_sections(page, run_benchmark):
    for name in ("bio", "reviews"):
        run_benchmark(lambda name=name: print(f"of {name}"), f"--page={page}#choose-{name}")
    text = page.read_text()
    assert text.index("of bio") < text.index("of reviews") and text.count("### What it finds") == 2


def test_a_benchmark_that_fails_leaves_the_page(page, run_benchmark):
    before = page.read_text()
    with pytest.raises(SystemExit):
        run_benchmark(lambda: report(1), "--page", page)
    with pytest.raises(ZeroDivisionError):
        run_benchmark(lambda: print(1 / 0), "--page", page)
    run_benchmark(lambda: print("help"), "--page", page, "--help")
    assert page.read_text() == before


def test_without_a_page_nothing_is_taken(run_benchmark, capsys):
    run_benchmark(lambda: print(*sys.argv[1:]), "--pa", "x", "--pages", "2")
    assert capsys.readouterr().out == "--pa x --pages 2\n"


@pytest.mark.parametrize("path", RUNNABLE, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_benchmark_takes_a_page(path):
    main = path.read_text("utf8").partition('if __name__ == "__main__":\n')[2]
    assert main.startswith("    with on_page():\n") or str(path.relative_to(ROOT)) in NO_TABLE


def test_the_page_is_whole():
    """Marks are in pairs, each name once, and no path is one of the machine that it was made on."""
    text = PAGE.read_text("utf8")
    begun, ended = (re.findall(rf"<!-- {word}benchmark: (\S+) -->", text) for word in ("", "end of "))
    assert begun == ended and len(set(begun)) == len(begun)
    assert not re.findall(r"(?:^|[\s=\"'])(?:/\w+/|\.\./(?!benchmarks))\S*", text)


def name_module(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")


def test_the_page_names_every_benchmark_and_no_other():
    """In the table at its beginning; there "`benchmarks.speed`, `scale`" are two."""
    named = set()
    for row in re.findall(r"^\| (`benchmarks\..*?) \|", PAGE.read_text("utf8"), re.MULTILINE):
        first, *others = re.findall(r"`([\w.]+)`", row)
        named |= {first, *(f"{first.rpartition('.')[0]}.{other}" for other in others)}
    assert named == {name_module(path) for path in RUNNABLE if str(path.relative_to(ROOT)) not in NO_TABLE}


def test_the_command_of_a_section_is_one_of_a_benchmark():
    sections = re.findall(r"<!-- benchmark: (\S+) -->\n(.*?)<!-- end of", PAGE.read_text("utf8"), re.DOTALL)
    modules = {name_module(path) for path in RUNNABLE}
    for name, section in sections:
        assert not section or set(re.findall(r"^python -m (benchmarks[\w.]*)", section, re.MULTILINE)) & modules, name
