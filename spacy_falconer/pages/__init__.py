"""The templates of the report's page, with its style and its script."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

# What no page can show as it is: control characters, halves of characters, and what XML and HTML exclude.
UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def read_page(name: str) -> str:
    """The source of a file of the page, by its name."""
    return (files(__name__) / name).read_text(encoding="utf8").replace("\r\n", "\n")


@cache
def make_environment() -> jinja2.Environment:
    """Templates that escape every value, whoever wrote it, and take out what no page can show."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FunctionLoader(read_page), autoescape=True, finalize=showable, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def showable(value: Any) -> Any:
    """A text without the characters that a page cannot show; markup of our own, and anything else, as it is."""
    return UNSHOWN.sub("\ufffd", value) if type(value) is str else value
