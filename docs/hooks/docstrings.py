"""Our docstrings name arguments at the beginnings of lines; on a page these are a list."""

from __future__ import annotations

import re

import griffe

ENTRY = re.compile(r"^(?=[a-z_][\w, ]*(?: \([^)]*\))?: |(?:RETURNS|RAISES|YIELDS)\b)", re.MULTILINE)
NAME = re.compile(r"^- ([a-z_](?:[\w, ]*\w)?|RETURNS|RAISES|YIELDS)", re.MULTILINE)


class SpacyStyle(griffe.Extension):
    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_list(obj.docstring.value)


def as_list(docstring: str) -> str:
    summary, _, rest = docstring.partition("\n")
    listed = NAME.sub(r"- **\1**", ENTRY.sub("- ", rest))
    return f"{summary}\n{listed}".replace("\n- ", "\n\n- ", 1)
