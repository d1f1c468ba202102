"""Texts on a terminal: it must obey none of them."""

from __future__ import annotations

from anything import fuzz, words
from hypothesis import example, given

from spacy_falconer.plan import parse_plan
from spacy_falconer.workflow.report import format_rows

STEP = {"id": "price", "op": "get_span", "instruction": "Amounts of money."}
PLAN = parse_plan({"instruction": "Prices", "steps": [STEP], "output": ["price"]})


@fuzz
@given(words, words)
@example("\x1b[2J\x1b]0;owned\x07", "\x9b31m")
def test_no_text_moves_the_cursor(name, text):
    row = {"id": name, "labels": {}, "spans": {"price": [{"text": text, "start": 0, "end": len(text), "score": 0.9}]}}
    shown = format_rows([row], PLAN, {name: text})
    assert not any(ord(char) < 32 and char not in "\n\t\r" or 127 <= ord(char) < 160 for char in shown)
