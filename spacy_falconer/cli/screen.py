"""What the commands share: messages, progress bars, bills, and errors without a traceback.

All that a command writes goes through `msg` and `say`: texts, columns, labels and models may hold codes that control a terminal.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from wasabi import Printer

from spacy_falconer.errors import FalconerError
from spacy_falconer.pages import showable

if TYPE_CHECKING:
    from spacy_falconer.corpus.docbin import GroundingReport
    from spacy_falconer.llm.ledger import Ledger
    from spacy_falconer.types import Record
    from spacy_falconer.workflow.fitted import Fitted

LINE_INTERVAL_S = 15.0
TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # They turn the direction of writing, also of what follows.


def plain(text: str) -> str:
    """Return a text without characters that control a terminal, except line ends."""
    return "\n".join(TURNS.sub("\ufffd", showable(line)) for line in re.split("\r\n|\r|\n", text))


def one_line(text: str) -> str:
    return " ".join(plain(text).split())


def say(text: str, *, file: IO[str] | None = None) -> None:
    """Print a text without characters that control a terminal."""
    print(plain(text), file=file, flush=True)


@dataclass(frozen=True)
class Messages:
    """wasabi's messages without control characters: a title of one line, and a text."""

    printer: Printer

    def good(self, title: str, text: str = "", **options: Any) -> None:
        self.printer.good(one_line(title), plain(text), **options)

    def info(self, title: str, text: str = "", **options: Any) -> None:
        self.printer.info(one_line(title), plain(text), **options)

    def warn(self, title: str, text: str = "", **options: Any) -> None:
        self.printer.warn(one_line(title), plain(text), **options)

    def fail(self, title: str, text: str = "", **options: Any) -> None:
        self.printer.fail(one_line(title), plain(text), **options)


msg = Messages(Printer(pretty=sys.stdout.isatty()))


@contextmanager
def plain_errors() -> Iterator[None]:
    """Show errors that the user can correct as one message; others keep their traceback."""
    try:
        yield
    except FalconerError as error:
        msg.fail(type(error).__name__, one_line(str(error)), exits=1)


@contextmanager
def open_corpus(path: Path | None, text_field: list[str], id_field: str) -> Iterator[Iterable[Record]]:
    """Open a corpus whose bad rows are left out; their number and the first one are shown at the end. No path: no records."""
    from spacy_falconer.workflow.corpus_file import CorpusFile

    flaws: dict[str, None] = {}
    try:
        yield () if path is None else CorpusFile(path, text_field, id_field, flaws.setdefault)
    finally:
        if flaws:
            msg.warn(
                f"Rows of the corpus that could not be read, and were left out: {len(flaws)}",
                one_line(next(iter(flaws))),
            )


@contextmanager
def show_bill(ledger: Ledger, *, quiet: bool) -> Iterator[None]:
    """Show what was spent at the end, even if the run failed, and when the planner is asked."""
    from spacy_falconer.workflow.bill import format_bill

    if not quiet:
        ledger.watch = tell_planning
    try:
        yield
    finally:
        if not quiet and (bill := format_bill(ledger)):
            say(bill)


def tell_planning(step: str | Sequence[str], model: str) -> None:
    """Print a line when the planner is asked: no progress bar can show how far it is."""
    if step == "plan":
        say(f"Planning: {model} is asked. This may take a minute.", file=sys.stderr)


def warn_of_places(placed: GroundingReport) -> None:
    """Show which quoted passages no model can learn, if there are any."""
    reason = placed.explain()
    if reason is not None:
        msg.warn(reason)


def warn_of_thresholds(fitted: Sequence[Fitted]) -> None:
    """Show which thresholds too few answers support."""
    unsure = [one.key for one in fitted if one.is_shared]
    if unsure:
        msg.warn(f"Too few positive answers for a threshold of their own: {', '.join(unsure)}. Annotate more.")
    for reason in filter(None, (one.explain() for one in fitted)):
        msg.warn(reason)


def show_cost(ledger: Ledger) -> Callable[[], str]:
    """Return a function that says what was spent so far, for a progress bar."""
    from spacy_falconer.workflow.bill import format_cost

    return lambda: format_cost(ledger.total) if ledger.rows() else ""


def batch_lines(*, quiet: bool) -> Callable[[list[Any]], None]:
    """Return a function that prints a line for each batch under way, whenever something has changed."""
    from spacy_falconer.workflow.bill import format_batches

    last = ""

    def show(batches: list[Any]) -> None:
        nonlocal last
        lines = format_batches(batches) if batches else ""
        if lines and lines != last and not quiet:
            say(lines, file=sys.stderr)
        last = lines

    return show


@contextmanager
def progress(
    title: str, total: int | None, *, quiet: bool, note: Callable[[], str] = lambda: ""
) -> Iterator[Callable[[int], Any]]:
    """Show a bar with rate and time left in a terminal, a line now and then elsewhere, and nothing with `quiet`.

    note: Returns what to show beside it, such as the cost so far.
    """
    from tqdm import tqdm

    in_terminal = sys.stderr.isatty()
    with tqdm(total=total, desc=title, unit=" texts", disable=quiet or not in_terminal, file=sys.stderr) as bar:

        def tick(n: int) -> None:
            bar.set_postfix_str(note(), refresh=False)
            bar.update(n)

        yield tick if quiet or in_terminal else plain_lines(title, total, note)


@contextmanager
def mining(corpus: Any, n_done: int, *, quiet: bool) -> Iterator[Callable[[int], Any]]:
    """Show the progress of mining a corpus, beyond what an earlier run has done.

    corpus: If it is remote, its rows are not counted, as it would have to be read here.
    """
    from spacy_falconer.corpus.count import count_rows

    if n_done and not quiet:
        msg.info(f"Going on after {n_done} texts that an earlier run has done.")
    total = count_rows(corpus) if isinstance(corpus, Path) and not quiet else None
    with progress("Mining", total - n_done if total else None, quiet=quiet) as tick:
        yield tick


def plain_lines(title: str, total: int | None, note: Callable[[], str] = lambda: "") -> Callable[[int], None]:
    """Return a function that prints a line every `LINE_INTERVAL_S` seconds, for logs."""
    start = last = time.monotonic()
    n_done = 0

    def tick(n: int) -> None:
        nonlocal n_done, last
        n_done += n
        now = time.monotonic()
        if now - last >= LINE_INTERVAL_S:
            last, rate = now, n_done / (now - start)
            left = [f"{(total - n_done) / rate:.0f} s left"] if total else []
            said = [f"{n_done} of {total or 'unknown'} texts", f"{rate:.1f} texts/s", *left, *filter(None, [note()])]
            say(f"{title}: {', '.join(said)}", file=sys.stderr)

    return tick
