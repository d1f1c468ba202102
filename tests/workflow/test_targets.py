from __future__ import annotations

import pytest

from spacy_falconer.errors import PlanError
from spacy_falconer.metamodel.threshold import Target
from spacy_falconer.workflow.targets import parse_targets


def test_a_target_is_for_all_instructions_or_for_one():
    targets = parse_targets(["recall=0.9", "price:precision=0.95", "gift:f1"], keys=["price", "gift", "positive"])
    assert targets.of("positive") == Target("recall", 0.9)
    assert targets.of("price") == Target("precision", 0.95)
    assert targets.of("gift") == parse_targets([], keys=[]).of("anything") == Target("f1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("precision", "The target 'precision' cannot be read. Expected f1, precision=0.95 or recall=0.9"),
        ("precision=1", "from 0.01 to 0.99"),
        ("recall=95%", "'recall=95%' cannot be read"),
        ("recall=nan", "'recall=nan' cannot be read"),
        ("f1=0.9", "'f1=0.9' cannot be read"),
        ("accuracy=0.9", "'accuracy=0.9' cannot be read"),
        ("prise:recall=0.9", "unknown instruction: 'prise'. Known: price, gift"),
    ],
)
def test_targets_that_cannot_be_read(text, message):
    with pytest.raises(PlanError, match=message):
        parse_targets([text], keys=["price", "gift"])
