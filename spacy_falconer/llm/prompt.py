"""A prompt, filled in. Each is a file with one block for each role."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import count

from spacy_falconer.prompts import read_prompt


def render(name: str, role: str, **values: object) -> str:
    """One block of a prompt: what is said to the model in that role."""
    from jinja2 import Environment, StrictUndefined

    template = Environment(undefined=StrictUndefined, trim_blocks=True).from_string(read_prompt(name))
    return "".join(template.blocks[role](template.new_context(values))).strip()


def choose_fence(texts: Sequence[str]) -> str:
    """A word that stands in none of the texts, so that none of them can end the place where it is shown."""
    seed = "\0".join(texts).encode("utf8", "replace")
    words = (sha256(b"%d %b" % (number, seed)).hexdigest()[:8] for number in count())
    return next(word for word in words if not any(word in text for text in texts))
