"""Format values for error messages: as Python writes them, and never longer than a line."""

from __future__ import annotations

import reprlib
import textwrap
from collections.abc import Iterable

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 3


def show(value: object) -> str:
    """Return the repr of a value from an untrusted plan, shortened if it is long or deeply nested."""
    return _SHORT.repr(value)


def show_ids(ids: Iterable[str]) -> str:
    return textwrap.shorten(", ".join(ids) or "none", width=200, placeholder=" ...")
