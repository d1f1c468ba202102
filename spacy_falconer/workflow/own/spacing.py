"""Join tokens to a text as a person would have written it, with each token's place in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spacy_falconer.types import CharSpan

WRITTEN = {
    "-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}", "``": '"', "''": '"', "`": "'",
}  # fmt: skip
CLOSE = frozenset(".,;:!?%)]}”’»…")  # There is no space before these,
OPEN = frozenset("“‘«¿¡$£€¥#")  # and none between these and a following word or number.
BRACKETS = frozenset("([{")
QUOTES = frozenset("\"'")
CLITIC = re.compile(r"n['’]t|['’](?:s|m|re|ve|ll|d)", re.IGNORECASE)
UNSPACED = re.compile("[\u3001-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff00-\uffef]")  # Chinese and Japanese.


def join_tokens(tokens: Sequence[str]) -> tuple[str, list[CharSpan]]:
    """Return a text of the tokens, with spaces as in English, and each token's characters in it.

    Symbols of the Penn Treebank become what they stand for: -LRB- becomes "(", and `` a quotation mark.
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
    """Return whether two neighbouring tokens have no space between them."""
    if role == "closes" or role_before == "opens" or before in BRACKETS or word in CLOSE or CLITIC.fullmatch(word):
        return True
    return (before in OPEN and word[0].isalnum()) or bool(UNSPACED.match(before[-1]) and UNSPACED.match(word))


def find_quote_roles(tokens: Sequence[str], words: Sequence[str]) -> list[str]:
    """Return whether each token is an opening or closing quotation mark. One without a partner closes, except a first token."""
    roles, is_open = [], dict.fromkeys(QUOTES, False)
    for i, (token, word) in enumerate(zip(tokens, words, strict=True)):
        if word not in QUOTES:
            roles.append("")
            continue
        opens = token in ("``", "`") or (token != "''" and not is_open[word] and (i == 0 or word in words[i + 1 :]))
        is_open[word] = opens
        roles.append("opens" if opens else "closes")
    return roles
