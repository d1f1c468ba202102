"""Show in a terminal what was spent, or will be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from wasabi import table

from spacy_falconer.llm.batch import OpenBatch
from spacy_falconer.llm.estimate import Estimate
from spacy_falconer.llm.ledger import Ledger, LedgerRow
from spacy_falconer.llm.prices import REMEDY, prices_origin

EXAMPLE_WIDTH, MAX_REASONS = 60, 5


def format_bill(ledger: Ledger) -> str:
    """Return what each step took: requests, tokens, price and time. Empty if nothing was sent."""
    rows = ledger.rows()
    if not rows:
        return ""
    header = ["step", "requests", "tokens in", "tokens out", "cost", "waited"]
    body = [_make_cells(row) for row in (rows if len(rows) == 1 else [*rows, ledger.total])]
    bill = table(body, header=header, divider=True, aligns=["l", "r", "r", "r", "r", "r"])
    return bill + "\n".join(_list_notes(ledger.total))


def format_cost(row: LedgerRow) -> str:
    """Return the dollars, or the tokens if the price is unknown, for one line."""
    if row.cost_usd is None:
        return f"{row.n_input_tokens + row.n_output_tokens:,} tokens"
    return f"${row.cost_usd:.4f}"


def format_estimate(found: Estimate) -> str:
    """Return what asking will take, with the least and the most, and one request in full."""
    if not found.n_texts:
        return "Nothing has to be asked: the store answers all of the texts."
    rows = [
        ("requests", found.n_requests), ("tokens in", found.n_input_tokens), ("tokens out", found.n_output_tokens)
    ]  # fmt: skip
    body = [(name, *(f"{round(n):,}" for n in (one.expected, one.low, one.high))) for name, one in rows]
    cost = found.cost_usd
    if cost is not None:
        body.append(("cost", *(f"${n:.4f}" for n in (cost.expected, cost.low, cost.high))))
    header = ["", f"{found.n_texts:,} texts, {found.model}", "at least", "at most"]
    learned = "Counted as the model's earlier replies were." if found.is_learned else "Nothing was asked of it yet."
    notes = [price_note(is_known=cost is not None), learned]
    shown = table(body, header=header, divider=True, aligns=["l", "r", "r", "r"])
    return "\n".join([shown + " ".join(notes), "", "One request:", found.example_prompt])


def format_batches(batches: Sequence[OpenBatch]) -> str:
    """Return the batches under way, one per line."""
    if not batches:
        return "No batches are under way."
    return "\n".join(
        f"{one.batch_id or 'a new batch'}: {one.status}, {one.n_done} of {one.n_requests} requests done, {one.model}"
        for one in batches
    )


def price_note(*, is_known: bool) -> str:
    """Return where the prices come from, or that one is missing."""
    if is_known:
        return f"Prices {prices_origin()}."
    return f"The model's price is unknown, and so is the cost. {REMEDY}."


def format_failed(failed: Mapping[str, str]) -> str:
    """Return why texts have no answer, most frequent reason first, each with the number of texts and the beginning of one."""
    examples = {reason: text for text, reason in failed.items()}
    return "\n".join(
        f"{n} x {' '.join(reason.split())} For example: {examples[reason][:EXAMPLE_WIDTH]!r}"
        for reason, n in Counter(failed.values()).most_common(MAX_REASONS)
    )


def _make_cells(row: LedgerRow) -> list[str]:
    cost = "unknown" if row.cost_usd is None else f"${row.cost_usd:.4f}"
    tokens = [f"{n:,}" for n in (row.n_requests, row.n_input_tokens, row.n_output_tokens)]
    return [row.step, *tokens, cost, f"{row.seconds:.1f} s"]


def _list_notes(total: LedgerRow) -> list[str]:
    notes = [price_note(is_known=total.cost_usd is not None)]
    return (
        [*notes, "The server counted no tokens; those of its replies are estimated."] if total.is_estimated else notes
    )
