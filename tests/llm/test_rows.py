from __future__ import annotations

from itertools import combinations

from spacy_falconer.llm.rows import Question, Row, make_key
from spacy_falconer.types import CharSpan

KEY = "cf93e5574eb5b4a8783ba3c4331723d62abe8b78c4f066b7d444cc0f7b4cfe91"


def test_keys_of_stores_that_exist_do_not_change():
    assert make_key(Row("m", Question("get_label", "Good."), None, "true"), "Text.").hex() == KEY


def test_no_two_questions_share_a_key():
    questions = [
        Question("get_label", "Good."), Question("get_span", "Good."), Question("get_label", "Good"),
        Question("get_label", "Good.", CharSpan(1, 23)), Question("get_label", "Good.", CharSpan(12, 3)),
    ]  # fmt: skip
    rows = [Row(model, one, version, "") for model in "mn" for one in questions for version in (None, "1-23", "v")]
    keys = [make_key(row, text) for row in rows for text in ("Text.", "Text. ")]
    assert all(one != other for one, other in combinations(keys, 2))
