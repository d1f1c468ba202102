from __future__ import annotations

from spacy_falconer.plan import format_tree, parse_plan


def test_steps_stand_under_what_they_depend_on():
    choice = {"for_each": "product", "one_of": "verdict"}
    plan = parse_plan(
        {
            "instruction": "What is praised\nin positive reviews?",
            "steps": [
                {"id": "positive", "op": "get_label", "instruction": "The reviewer is satisfied."},
                {"id": "product", "op": "get_span", "instruction": "The product.", "when": "positive"},
                {"id": "price", "op": "get_span", "instruction": "Amounts of money.", "when": "positive"},
                {"id": "good", "op": "get_label", "instruction": "{span} is good.", **choice},
                {"id": "bad", "op": "get_label", "instruction": "{span} is bad.", **choice},
            ],
            "keep": "good or bad",
            "output": ["product", "price"],
        }
    )
    assert format_tree(plan) == (
        "What is praised in positive reviews?\n"
        "├── positive = get_label: The reviewer is satisfied.\n"
        "├── when positive\n"
        "│   ├── product = get_span: The product.\n"
        "│   └── price = get_span: Amounts of money.\n"
        "├── for each product\n"
        "│   └── one of verdict\n"
        "│       ├── good = get_label: {span} is good.\n"
        "│       └── bad = get_label: {span} is bad.\n"
        "├── unit: document\n"
        "├── keep: good or bad\n"
        "└── output: product, price"
    )


def test_an_instruction_cannot_steer_the_terminal():
    plan = parse_plan(
        {"instruction": "x", "steps": [{"id": "a", "op": "get_label", "instruction": "Red \x1b[31m\u202e ink\r\n."}]}
    )
    assert format_tree(plan) == (
        "x\n├── a = get_label: Red [31m ink .\n├── unit: document\n├── keep: true\n└── output: the kept texts"
    )
