"""Tokens as a text that a person would have written, and where each of them stands in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spacy_falconer.types import CharSpan

WRITTEN = {
    "-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}", "``": '"', "''": '"', "`": "'",
}  # fmt: skip
CLOSE = frozenset(".,;:!?%)]}”’»…")  # These stand close to what is before them,
OPEN = frozenset("“‘«¿¡$£€¥#")  # and these to words and numbers that follow.
BRACKETS = frozenset("([{")
QUOTES = frozenset("\"'")
CLITIC = re.compile(r"n['’]t|['’](?:s|m|re|ve|ll|d)", re.IGNORECASE)
UNSPACED = re.compile("[\u3001-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff00-\uffef]")  # Chinese and Japanese.


def join_tokens(tokens: Sequence[str]) -> tuple[str, list[CharSpan]]:
    """A text of the tokens, with spaces where English has them, and each token's characters in it.

    Marks of the Penn Treebank become what they stand for: -LRB- is "(", and `` is a quotation mark.
    """
    words = [WRITTEN.get(token, token) for token in tokens]
    roles = find_quote_roles(tokens, words)
    text, places = "", []
    for i, word in enumerate(words):
        if i and not is_close(words[i - 1], word, roles[i - 1], roles[i]):
            text += " "
        places.append(CharSpan(len(text), len(text) + len(word)))
        text += word
    return text, places


def is_close(before: str, word: str, role_before: str, role: str) -> bool:
    """Whether two neighbours have no space between them."""
    if role == "closes" or role_before == "opens" or before in BRACKETS or word in CLOSE or CLITIC.fullmatch(word):
        return True
    return (before in OPEN and word[0].isalnum()) or bool(UNSPACED.match(before[-1]) and UNSPACED.match(word))


def find_quote_roles(tokens: Sequence[str], words: Sequence[str]) -> list[str]:
    """Whether each token is a quotation mark that opens or closes. One without a partner closes, but for the first."""
    roles, is_open = [], dict.fromkeys(QUOTES, False)
    for i, (token, word) in enumerate(zip(tokens, words, strict=True)):
        if word not in QUOTES:
            roles.append("")
            continue
        opens = token in ("``", "`") or (token != "''" and not is_open[word] and (i == 0 or word in words[i + 1 :]))
        is_open[word] = opens
        roles.append("opens" if opens else "closes")
    return roles
