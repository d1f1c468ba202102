from __future__ import annotations

import pytest

from spacy_falconer.plan import parse_plan


@pytest.fixture(scope="session")
def news_plan():
    steps = [
        {"id": "sports", "op": "get_label", "instruction": "It is about sports."},
        {"id": "person", "op": "get_span", "instruction": "Names of people."},
        {"id": "place", "op": "get_span", "instruction": "Names of places."},
        {"id": "wins", "op": "get_label", "instruction": "{span} wins.", "for_each": "person"},
    ]
    return parse_plan({"instruction": "Who wins where", "steps": steps, "output": ["person"]})


@pytest.fixture
def said(store, news_plan):
    """What the store answers about a text, by step id: a bool, or the passages. What was not asked is not there."""

    def find(text):
        values = {
            step.id: store.find(text, step.op, step.instruction) for step in news_plan.steps if step.for_each is None
        }
        return {
            key: value if isinstance(value, bool) else [(one.quote, one.start) for one in value]
            for key, value in values.items() if value is not None
        }  # fmt: skip

    return find
