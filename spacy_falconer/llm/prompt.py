"""Fill in prompts. Each is a file with one block per role."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from itertools import count
from typing import Any

from spacy_falconer.prompts import read_prompt

UNSENDABLE = re.compile("[\0\ud800-\udfff]")  # NUL and half characters: some servers choke on them.


def render(name: str, role: str, **values: object) -> str:
    """Return one block of a prompt, filled in: what is said to the model in that role."""
    template = _read_template(name)
    return "".join(template.blocks[role](template.new_context(values))).strip()


def choose_fence(texts: Sequence[str], *, seed: str = "") -> str:
    """Return a word that none of the texts contains, so that no text can end the block in which it is shown.

    With the same seed it is the same for nearly all texts, so that servers can cache the beginnings of requests.
    """
    salt = seed.encode("utf8", "replace")
    words = (sha256(b"%d %b" % (number, salt)).hexdigest()[:8] for number in count())
    return next(word for word in words if not any(word in text for text in texts))


def clean(text: str) -> str:
    """Return the text as it is sent. It has the same length, so that places in it are places in the text."""
    return UNSENDABLE.sub("\N{REPLACEMENT CHARACTER}", text)


@cache
def _read_template(name: str) -> Any:
    from jinja2 import Environment, StrictUndefined

    return Environment(undefined=StrictUndefined, trim_blocks=True).from_string(read_prompt(name))
