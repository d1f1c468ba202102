"""Estimate how many tokens a text has, without a model's own tokenizer."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

PIECES = re.compile(
    r"(?P<latin>[A-Za-z\u00c0-\u024f]+)"
    r"|(?P<dense>[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])"  # Scripts without spaces between words.
    r"|(?P<script>[^\W\d_]+)"
    r"|\d{1,3}|\n|\s{2,}"
    r"|(?P<signs>[^\w\s]+|_+)"
)
LONG_WORD, N_LETTERS = 9, 5  # Letters of the longest words that are one token, and of each further token.
N_SCRIPT_LETTERS = 4  # Letters per token, in scripts other than Latin.
DENSE, SIGN = 0.8, 0.4  # Tokens per character in scripts without spaces, and per further sign after a sign.
N_PER_MESSAGE = 4  # What a chat puts around each message.


def count_tokens(text: str) -> int:
    """Estimate the tokens of a text in any script, for vocabularies that are common now."""
    return math.ceil(sum(_count_piece(match.lastgroup, len(match[0])) for match in PIECES.finditer(text)))


def count_message_tokens(messages: Iterable[Mapping[str, str]]) -> int:
    return sum(_count_message(message["content"]) + N_PER_MESSAGE for message in messages)


def count_schema_tokens(schema: Mapping[str, object]) -> int:
    return _count_message(json.dumps(schema))


def _count_piece(kind: str | None, length: int) -> float:
    match kind:
        case "latin":
            return 1 + max(0, length - LONG_WORD + N_LETTERS - 1) // N_LETTERS
        case "script":
            return 1 + (length - 1) // N_SCRIPT_LETTERS
        case "signs":
            return 1 + (length - 1) * SIGN
    return DENSE if kind == "dense" else 1


_count_message = lru_cache(maxsize=64)(count_tokens)  # Much of what is sent is the same every time.
