"""What an estimate says, beside what the server then bills by a tokenizer of its own."""

from __future__ import annotations

import asyncio

from wasabi import table

from benchmarks.llm.common import MODEL, annotate, demo_texts, open_store, serve
from spacy_falconer.llm.estimate import Estimate, estimate
from spacy_falconer.llm.ledger import LedgerRow
from spacy_falconer.plan import Plan, parse_plan

BILLS = {"wordpiece": "MiniLM's tokenizer", "characters": "characters / 4"}
STEPS = [
    {"id": "positive", "op": "get_label", "instruction": "The reviewer is satisfied with the product overall."},
    {"id": "price", "op": "get_span", "instruction": "Amounts of money, such as prices paid."},
]
EACH = {"id": "paid", "op": "get_label", "instruction": "The reviewer paid {span}.", "for_each": "price"}
N_FIRST, N_THEN = 50, 300
HEADER = ["billed by", "texts", "", "requests", "input", "output", "cost", "off (cost)"]


def show_estimates() -> None:
    reviews = demo_texts(N_FIRST + N_THEN)
    cases = {
        "plain": (parse_plan({"instruction": "x", "steps": STEPS}), reviews),
        "1 of 10 corrected": (parse_plan({"instruction": "x", "steps": STEPS}), spoil(reviews)),
        "for_each": (parse_plan({"instruction": "x", "steps": [*STEPS, EACH]}), reviews),
    }
    rows = [row for case, (plan, texts) in cases.items() for bill in BILLS for row in compare(case, plan, texts, bill)]
    print(f"Estimated before any answer ({N_FIRST} texts), and after {N_FIRST} ({N_THEN} texts more); then asked.\n")
    print(table(rows, header=HEADER, divider=True, aligns=["l", "l", "l", *["r"] * 5]))


def spoil(texts: list[str]) -> list[str]:
    return [f"{text} <<unplaceable>>" if number % 10 == 0 else text for number, text in enumerate(texts)]


def compare(case: str, plan: Plan, texts: list[str], bill: str) -> list[list[str]]:
    """Two rows: of the estimate before any answer, and of the one after some."""
    rows = []
    with serve(bills=bill), open_store() as store:
        for name, asked in (("first", texts[:N_FIRST]), ("then", texts)):
            expected = estimate(asked, plan, model=MODEL, store=store)
            total = asyncio.run(annotate(asked, plan, store)).ledger.total
            rows.append([BILLS[bill], case, name, *show(expected, total)])
    return rows


def show(expected: Estimate, total: LedgerRow) -> list[str]:
    pairs = [
        (expected.n_requests.expected, total.n_requests), (expected.n_input_tokens.expected, total.n_input_tokens),
        (expected.n_output_tokens.expected, total.n_output_tokens),
    ]  # fmt: skip
    cells = [f"{guess:,.0f} / {billed:,}" for guess, billed in pairs]
    cost = expected.cost_usd.expected
    return [*cells, f"${cost:.4f} / ${total.cost_usd:.4f}", f"{100 * (cost / total.cost_usd - 1):+.1f}%"]
