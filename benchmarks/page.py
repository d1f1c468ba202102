"""Puts what a benchmark prints on the page of all benchmarks, docs/benchmarks.md.

    python -m benchmarks.choose ... --page docs/benchmarks.md

Every benchmark takes --page. What it prints (its progress goes to stderr) takes the place of the benchmark's section,
with the date, the machine and the command; all else on the page stays as it is, what people wrote between sections too.
Where one benchmark is run in several ways, each has a section of its own: --page docs/benchmarks.md#fewshot-bio.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

from spacy_falconer.workflow.files import whole

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- benchmark: {} -->", "<!-- end of benchmark: {} -->"


@contextmanager
def on_page() -> Iterator[None]:
    """Take --page off the command line; where it is given, publish what is printed within, unless it fails."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--page")
    known, rest = parser.parse_known_args(sys.argv[1:])
    if known.page is None or "--help" in rest:
        yield
        return
    module, (page, _, section) = sys.modules["__main__"], known.page.partition("#")
    name = module.__spec__.name.removesuffix(".__main__")  # type: ignore[union-attr]
    sys.argv[1:] = rest
    printed = Tee(sys.stdout)
    with redirect_stdout(printed):  # type: ignore[type-var]
        try:
            yield
        except SystemExit as end:
            if end.code:
                raise
    publish(
        Path(page), section or name.partition(".")[2], (module.__doc__ or name).strip().split("\n\n")[0].rstrip("."),
        f"```text\n{printed.as_block()}\n```",
        command=f"python -m {name} {show_arguments(rest)}".strip(),
        notes=f"What is measured, and what the columns mean: {link_source(Path(module.__file__ or ''), Path(page))}.",
    )  # fmt: skip


def publish(page: Path, section: str, title: str, table: str, *, command: str, notes: str = "") -> None:
    """Write a section of the page, or put it in the place of the one that is there.

    section (str): Its name in the marks around it. It is at the end where it is new.
    table (str): As it stands on the page: Markdown. command (str): What printed it. notes (str): A line below.
    """
    begin, end = BEGIN.format(section), END.format(section)
    head = f"{begin}\n### {' '.join(title.split())}\n\n{date.today()}, {describe_machine()}:\n\n"
    body = f"<!-- not run: it takes its time -->\n```bash\n{command}\n```\n\n{table}\n\n{notes}".rstrip()
    made = f"{head}{body}\n{end}"
    text = page.read_text(encoding="utf8")
    there = re.compile(rf"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    text = there.sub(lambda _: made, text, count=1) if there.search(text) else f"{text.rstrip()}\n\n{made}\n"
    with whole(page) as part:
        part.write_text(text, encoding="utf8")


def describe_machine() -> str:
    """The processor, how many of its cores may be used, and torch's threads where it is loaded."""
    torch: Any = sys.modules.get("torch")
    threads = f", torch with {count(torch.get_num_threads(), 'thread')}" if torch is not None else ""
    return f"{find_processor()}, {count(len(os.sched_getaffinity(0)), 'core')}{threads}"


def find_processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    known = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return known[1] if known else platform.processor() or platform.machine()


def count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def show_arguments(arguments: Sequence[str]) -> str:
    """The command's arguments; a path outside of the repository, which is elsewhere for others, by its last name."""
    return shlex.join("=".join(map(shorten, one.split("="))) for one in arguments)


def shorten(argument: str) -> str:
    path = Path(os.path.abspath(argument))
    is_path = Path(argument).is_absolute() or path.exists()
    return path.name if is_path and not path.is_relative_to(ROOT) else argument


def link_source(source: Path, page: Path) -> str:
    shown = Path(os.path.abspath(source)).relative_to(ROOT)
    return f"[{shown}]({os.path.relpath(ROOT / shown, page.resolve().parent)})"


class Tee(StringIO):
    """Keeps what is printed, and prints it."""

    def __init__(self, screen: Any):
        super().__init__()
        self.screen = screen

    def write(self, text: str) -> int:
        self.screen.write(text)
        return super().write(text)

    def flush(self) -> None:
        self.screen.flush()

    def as_block(self) -> str:
        """Without blanks at the ends of lines, and at most one empty line at a time."""
        lines = "\n".join(line.rstrip() for line in self.getvalue().splitlines())
        return re.sub(r"\n{3,}", "\n\n", lines).strip("\n")
