"""About how many tokens a text has, without any model's own tokenizer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

PIECES = re.compile(r"[A-Za-z]+|\d{1,3}|\s{2,}|[^\sA-Za-z\d]")
LONG_WORD = 9  # Letters of the words that are one token.
N_LETTERS = 5  # Of each further token of a longer word.
N_PER_MESSAGE = 4  # What a chat puts around each message.


def count_tokens(text: str) -> int:
    """An estimate for words of Latin letters, digits and signs. Other scripts count a token a character."""
    return sum(1 + max(0, len(piece) - LONG_WORD + N_LETTERS - 1) // N_LETTERS if piece[0].isalpha() else 1
               for piece in PIECES.findall(text))  # fmt: skip


def count_message_tokens(messages: Iterable[Mapping[str, str]]) -> int:
    return sum(count_tokens(message["content"]) + N_PER_MESSAGE for message in messages)


def count_schema_tokens(schema: Mapping[str, object]) -> int:
    return count_tokens(json.dumps(schema))
