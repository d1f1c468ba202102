from __future__ import annotations

import pytest

from spacy_falconer.errors import PlanError
from spacy_falconer.metamodel.threshold import Target
from spacy_falconer.plan import parse_plan
from spacy_falconer.workflow.targets import parse_targets

OPS = {"positive": "get_label", "gift": "get_label", "price": "get_span"}
ABOUT = {"id": "praised", "op": "get_label", "instruction": "It praises {span}.", "for_each": "price"}
STEPS = [*({"id": key, "op": op, "instruction": f"{key}?"} for key, op in OPS.items()), ABOUT]
PLAN = parse_plan({"instruction": "x", "steps": STEPS, "output": ["price"]})


def test_a_target_is_for_all_instructions_or_for_one():
    targets = parse_targets(["recall=0.9", "price:precision=0.95", "gift:f1"], plan=PLAN)
    assert targets.of("positive") == Target("recall", 0.9)
    assert targets.of("price") == Target("precision", 0.95)
    assert targets.of("gift") == parse_targets([], plan=PLAN).of("anything") == Target("f1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("precision", "The target 'precision' cannot be read. Expected f1, precision=0.95 or recall=0.9"),
        ("precision=1", "from 0.01 to 0.99"),
        ("recall=95%", "'recall=95%' cannot be read"),
        ("recall=nan", "'recall=nan' cannot be read"),
        ("f1=0.9", "'f1=0.9' cannot be read"),
        ("accuracy=0.9", "'accuracy=0.9' cannot be read"),
        ("prise:recall=0.9", "for 'prise'. Expected a step that asks about texts: positive, gift, price"),
        ("praised:recall=0.9", "for 'praised'. Expected a step that asks about texts: positive, gift, price"),
    ],
)
def test_targets_that_cannot_be_read(text, message):
    with pytest.raises(PlanError, match=message):
        parse_targets([text], plan=PLAN)
