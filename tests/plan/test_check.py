"""Every malformed plan is refused with a message that names the step, the value and the remedy."""

from __future__ import annotations

import pytest

from spacy_falconer.errors import PlanError
from spacy_falconer.plan import parse_plan

MEGABYTE = 2**20


def make_label(id="positive", **fields):
    return {"id": id, "op": "get_label", "instruction": "The reviewer is satisfied.", **fields}


def make_span(id="price", **fields):
    return {"id": id, "op": "get_span", "instruction": "Amounts of money.", **fields}


def make_plan(*steps, **fields):
    return {"instruction": "Extract all prices", "steps": list(steps or [make_label(), make_span()]), **fields}


def make_without(field, fields):
    return {key: value for key, value in fields.items() if key != field}


SHAPES = [
    ("no JSON", "Here is your plan:", "The plan", "'Here is your plan:'", "Correct the text"),
    ("no text", "", "The plan", "''", "Correct the text"),
    ("a megabyte", "x" * MEGABYTE, "The plan", "'xxx", "Correct the text"),
    ("deep JSON", "[" * 200_000, "The plan", "'[[[", "Correct the text"),
    ("a JSON list", '["positive"]', "The plan", "['positive']", "Correct it"),
    ("None", None, "The plan", "None", "Correct it"),
    ("no fields", {}, "The plan", "no 'instruction'", "Add it"),
    ("no steps", {"instruction": "x"}, "The plan", "no 'steps'", "Add it"),
    ("empty steps", {"instruction": "x", "steps": []}, "The plan", "[] in its 'steps'", "Correct it"),
    ("steps a string", make_plan() | {"steps": "positive"}, "The plan", "'positive' in its 'steps'", "Correct it"),
    ("step a string", make_plan(make_label(), "price"), "Step 2", "'price'", "Correct it"),
    ("plan field", make_plan(model="gpt"), "The plan", "unknown field 'model': 'gpt'", "Remove it"),
    ("not quite unsupported", make_plan(unsupported="no"), "The plan", "'unsupported': 'no'", "Remove it"),
    ("step field", make_plan(make_label(If="x")), "Step 1 'positive'", "unknown field 'If': 'x'", "Remove it"),
    ("field no string", make_plan(make_label() | {5: 6}), "Step 1 'positive'", "unknown field 5", "Remove it"),
    ("no id", make_plan(make_without("id", make_label())), "Step 1", "no 'id'", "Add it"),
    ("no op", make_plan(make_without("op", make_label())), "Step 1 'positive'", "no 'op'", "Add it"),
    ("id a number", make_plan(make_label(7)), "Step 1", "7 in its 'id'", "Correct it"),
    ("id in capitals", make_plan(make_label("Price")), "Step 1", "'Price' in its 'id'", "Correct it"),
    ("id with line end", make_plan(make_label("price\n")), "Step 1", r"'price\n' in its 'id'", "Correct it"),
    ("id from a digit", make_plan(make_label("1st")), "Step 1", "'1st' in its 'id'", "Correct it"),
    ("id a megabyte", make_plan(make_label("a" * MEGABYTE)), "Step 1 'aaa", "in its 'id'", "Correct it"),
    ("unknown op", make_plan(make_label(op="count")), "Step 1 'positive'", "'count' in its 'op'", "Correct it"),
    ("blank instruction", make_plan(make_label(instruction=" ")), "Step 1", "' ' in its 'instruction'", "Correct it"),
    ("half a character", make_plan(make_label(instruction="\ud83d")), "Step 1", r"'\ud83d' in its 'ins", "Correct it"),
    ("instruction 1 MB", make_plan(make_label(instruction="a" * MEGABYTE)), "Step 1", "'aaa", "Correct it"),
    ("when a list", make_plan(make_label(when=["x"])), "Step 1 'positive'", "['x'] in its 'when'", "Correct it"),
    ("one_of a number", make_plan(make_label(one_of=1)), "Step 1 'positive'", "1 in its 'one_of'", "Correct it"),
    ("keep is null", make_plan(keep=None), "The plan", "None in its 'keep'", "Correct it"),
    ("output a string", make_plan(output="price"), "The plan", "'price' in its 'output'", "Correct it"),
    ("output a number", make_plan(output=["price", 3]), "The plan", "3 in its 'output'", "Correct it"),
    ("unknown unit", make_plan(unit="page"), "The plan", "'page' in its 'unit'", "Correct it"),
]

IDS = [
    ("duplicate id", make_plan(make_label(), make_span("positive")), "Step 2 'positive'", "step 1", "Rename one"),
    ("reserved id", make_plan(make_label("not")), "Step 1 'not'", "reserved word", "Rename it"),
    ("Python's word", make_plan(make_label("return")), "Step 1 'return'", "reserved word", "'return_1'"),
    ("a constant", make_plan(make_label("true")), "Step 1 'true'", "reserved word", "Rename it"),
    ("unknown output", make_plan(output=["cost"]), "The plan", "'output': 'cost'", "Known steps: positive, price"),
    ("output twice", make_plan(output=["price", "price"]), "The plan", "'price' twice", "remove one"),
]

CONDITIONS = [
    (
        "unknown id",
        make_plan(make_label(), make_span(when="positive and happy")),
        "Step 2 'price'",
        "'when': 'happy'",
        "Earlier steps: positive. Correct its 'when'",
    ),
    (
        "reads a later step",
        make_plan(make_span(when="not positive"), make_label()),
        "Step 1 'price'",
        "'positive' in its 'when' 'not positive'",
        "only after step 2 'positive'. Steps run in order: reorder them",
    ),
    ("reads itself", make_plan(make_span(when="price")), "Step 1 'price'", "'price' in its 'when'", "reorder them"),
    (
        "reads an open group",
        make_plan(make_label("good", one_of="tone"), make_span(when="good"), make_label("bad", one_of="tone")),
        "Step 2 'price'",
        "'good' in its 'when'",
        "only after step 3 'bad'",
    ),
    (
        "reads its own group",
        make_plan(make_label("good", one_of="tone"), make_label("bad", one_of="tone", when="not good")),
        "Step 2 'bad'",
        "'good' in its 'when'",
        "only after step 2 'bad'",
    ),
    ("keep no condition", make_plan(keep="positive, price"), "The plan, 'keep'", "'positive, price'", "Rewrite it"),
    ("keep empty", make_plan(keep=""), "The plan, 'keep'", "''", "Rewrite it"),
    ("keep unknown", make_plan(keep="gift or price"), "The plan", "'keep': 'gift'", "Known steps: positive, price"),
    ("code", make_plan(keep="__import__('os')"), "The plan, 'keep'", "__import__('os')", "Rewrite it"),
    ("a call", make_plan(make_label(when="exit()")), "Step 1 'positive', 'when'", "'exit()'", "Rewrite it"),
    ("a number", make_plan(keep="price > 5"), "The plan, 'keep'", "'price > 5'", "Rewrite it"),
    (
        "10,000 parentheses",
        make_plan(make_label(when="(" * 10_000 + "true" + ")" * 10_000)),
        "Step 1 'positive', 'when'",
        "nested 10,000 deep, more than 50",
        "Rewrite it",
    ),
    ("a megabyte", make_plan(keep="a" * MEGABYTE), "The plan, 'keep'", "has 1,048,576 characters", "Rewrite it"),
]

PRODUCT, EACH = make_span("product"), {"for_each": "product", "instruction": "The review praises {span}."}
GROUPS = [
    ("alone", make_plan(make_label(one_of="tone")), "Step 1 'positive'", "'tone'", "Add one, or remove 'one_of'"),
    (
        "a span step",
        make_plan(make_label(one_of="tone"), make_span(one_of="tone")),
        "Step 2 'price'",
        "'tone'",
        "Remove 'one_of'",
    ),
    (
        "mixed for_each",
        make_plan(PRODUCT, make_label("good", one_of="tone"), make_label("bad", one_of="tone", **EACH)),
        "Step 3 'bad'",
        "'product'",
        "the same 'for_each', or another group",
    ),
    ("for an unknown step", make_plan(make_label(**EACH)), "Step 1 'positive'", "'product' in its 'for_each'", "none"),
    ("for a later step", make_plan(make_label(**EACH), PRODUCT), "Step 1", "'product' in its 'for_each'", "Correct"),
    ("for itself", make_plan(make_span("product", **EACH)), "Step 1", "'product' in its 'for_each'", "Correct"),
    ("for a label", make_plan(make_label("product"), make_span(**EACH)), "Step 2", "'product' in its", "Correct"),
    (
        "for each of each",
        make_plan(PRODUCT, make_span("part", **EACH), make_label(**{**EACH, "for_each": "part"})),
        "Step 3 'positive'",
        "'part' in its 'for_each'",
        "no 'for_each' itself: product. Correct its 'for_each'",
    ),
    (
        "a slot unfilled",
        make_plan(make_label(instruction="Praises {span}.")),
        "Step 1 'positive'",
        "'Praises {span}.'",
        "Add 'for_each', or take out '{span}'",
    ),
    (
        "no slot",
        make_plan(PRODUCT, make_label(for_each="product")),
        "Step 2 'positive'",
        "'The reviewer is satisfied.'",
        "Put '{span}' where",
    ),
]


@pytest.mark.parametrize(
    ("plan", "step", "value", "remedy"),
    [pytest.param(*case, id=name) for name, *case in SHAPES + IDS + CONDITIONS + GROUPS],
)
def test_malformed(plan, step, value, remedy):
    with pytest.raises(PlanError) as caught:
        parse_plan(plan)
    message = str(caught.value)
    assert message.startswith(step)
    assert value in message
    assert remedy in message
    assert len(message) < 600


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(make_plan(), id="least"),
        pytest.param(make_plan(make_label(), make_span(when="positive"), keep="price", output=["price"]), id="demo"),
        pytest.param(make_plan(make_label("type"), make_label("none"), keep="type or none"), id="words of Python"),
        pytest.param(
            make_plan(make_label("good", one_of="tone"), make_label("bad", one_of="tone"), make_span(when="good")),
            id="a closed group",
        ),
        pytest.param(
            make_plan(PRODUCT, make_label("good", one_of="tone", **EACH), make_label("bad", one_of="tone", **EACH)),
            id="a choice for each",
        ),
        pytest.param(make_plan(make_label(instruction="a" * 4_000)), id="long instruction"),
    ],
)
def test_well_formed(plan):
    assert [step.id for step in parse_plan(plan).steps] == [step["id"] for step in plan["steps"]]
