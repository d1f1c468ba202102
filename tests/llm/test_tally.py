from __future__ import annotations

import pytest

from spacy_falconer.llm.tally import read_tally
from spacy_falconer.types import Answer, CharSpan

ABOUT = {CharSpan(0, 1): Answer("t", "B", {"It is good.": True})}


@pytest.mark.parametrize(
    ("question", "answer", "failed"),
    [
        (("get_label", "Good."), Answer("t", "B", {"Good.": True}), {}),
        (("get_label", "Good."), Answer("t", "human", {"Good.": False}), {}),
        (("get_span", "Good."), Answer("t", "B", {"Good.": True}), {"refused": 1}),
        (("get_label", "Good."), Answer("u", "B", {"Good.": True}), {"refused": 1}),
        (("get_label", "Good."), Answer("t", "B", gold=Answer("t", "gold", {"Good.": True})), {"refused": 1}),
        (("get_label", "It is good.", CharSpan(0, 1)), Answer("t", "B", about=ABOUT), {}),
        (("get_label", "It is good.", CharSpan(0, 2)), Answer("t", "B", about=ABOUT), {"refused": 1}),
    ],
)
def test_what_somebody_else_has_answered_since_has_not_failed(store, question, answer, failed):
    store.put_failure("t", [question], model="A", reason="refused", version="v")
    assert read_tally(store.path).failed == {"refused": 1}
    store.put(answer)
    assert read_tally(store.path).failed == failed
