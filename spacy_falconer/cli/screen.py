"""What the commands share: messages, progress bars, and errors without a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from wasabi import Printer

from spacy_falconer.errors import FalconerError

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
    """A bar with rate and time left in a terminal, a line now and then elsewhere, nothing with `quiet`."""
    from tqdm import tqdm

    interval = 0.5 if sys.stderr.isatty() else 15.0
    with tqdm(total=total, desc=title, unit="text", mininterval=interval, disable=quiet, file=sys.stderr) as bar:
        yield bar.update
