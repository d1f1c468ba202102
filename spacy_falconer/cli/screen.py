"""What the commands share: messages, progress bars, and errors without a traceback."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from wasabi import Printer

from spacy_falconer.errors import FalconerError

LINE_INTERVAL_S = 15.0

msg = Printer(pretty=sys.stdout.isatty())


@contextmanager
def plain_errors() -> Iterator[None]:
    """What the user can mend is told in one message; anything else keeps its traceback."""
    try:
        yield
    except FalconerError as error:
        msg.fail(type(error).__name__, str(error), exits=1)


@contextmanager
def progress(title: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[int], Any]]:
    """A bar with rate and time left in a terminal, a plain line now and then elsewhere, nothing with `quiet`."""
    from tqdm import tqdm

    in_terminal = sys.stderr.isatty()
    with tqdm(total=total, desc=title, unit=" texts", disable=quiet or not in_terminal, file=sys.stderr) as bar:
        yield bar.update if quiet or in_terminal else plain_lines(title, total)


def plain_lines(title: str, total: int | None) -> Callable[[int], None]:
    """A line every `LINE_INTERVAL_S` seconds, for logs."""
    start = last = time.monotonic()
    n_done = 0

    def tick(n: int) -> None:
        nonlocal n_done, last
        n_done += n
        now = time.monotonic()
        if now - last >= LINE_INTERVAL_S:
            last, rate = now, n_done / (now - start)
            left = f", {(total - n_done) / rate:.0f} s left" if total else ""
            print(
                f"{title}: {n_done} of {total or 'unknown'} texts, {rate:.1f} texts/s{left}",
                file=sys.stderr,
                flush=True,
            )

    return tick
