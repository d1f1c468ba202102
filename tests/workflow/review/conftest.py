from __future__ import annotations

import pytest


@pytest.fixture
def reader_nlp(make_nlp, review_plan):
    """A pipeline that reads the plan with random weights."""
    steps = {op: {step.id: step.instruction for step in review_plan.text_steps(op)} for op in ("get_label", "get_span")}
    nlp = make_nlp(labels=steps["get_label"], spans=steps["get_span"])
    nlp.add_pipe("falconer_plan").set_plan(review_plan)
    return nlp
