"""A prompt, filled in. Each is a file with one block for each role."""

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
    """One block of a prompt: what is said to the model in that role."""
    template = _read_template(name)
    return "".join(template.blocks[role](template.new_context(values))).strip()


def choose_fence(texts: Sequence[str], *, seed: str = "") -> str:
    """A word that stands in none of the texts, so that none of them can end the place where it is shown.

    With one seed it is the same for nearly all texts: servers remember how requests begin, and need not read it again.
    """
    salt = seed.encode("utf8", "replace")
    words = (sha256(b"%d %b" % (number, salt)).hexdigest()[:8] for number in count())
    return next(word for word in words if not any(word in text for text in texts))


def clean(text: str) -> str:
    """The text as it is sent: of the same length, so that places in it are places in the text."""
    return UNSENDABLE.sub("\N{REPLACEMENT CHARACTER}", text)


@cache
def _read_template(name: str) -> Any:
    from jinja2 import Environment, StrictUndefined

    return Environment(undefined=StrictUndefined, trim_blocks=True).from_string(read_prompt(name))
