"""Show in a terminal what a guarantee will cost, and what is certain."""

from __future__ import annotations

from spacy_falconer.llm.estimate import Estimate
from spacy_falconer.workflow.bill import price_note
from spacy_falconer.workflow.guarantee.promise import Promise, show_rate
from spacy_falconer.workflow.guarantee.run import Guaranteed


def format_forecast(promise: Promise, n_forecast: int, n_texts: int, estimate: Estimate | None) -> str:
    """Return how many texts will be asked about, and the price, before anything is asked.

    estimate: None if nothing has to be paid for.
    """
    if estimate is None:
        return (
            f"{promise}: about {n_forecast:,} of {n_texts:,} texts will be asked about, if the pipeline's scores mean what "
            "they say. No language model is asked."
        )
    cost = estimate.cost_usd
    price = f", ${cost.low:.4f} to ${cost.high:.4f}" if cost is not None else ""
    share = f"about {n_forecast:,} of {n_texts:,} texts"
    return (
        f"{promise}: {share} will be asked about ({round(estimate.n_requests.expected):,} requests to {estimate.model}"
        f"{price}), if the pipeline's scores mean what they say. {price_note(is_known=cost is not None)}"
    )


def format_guaranteed(found: Guaranteed) -> str:
    """Return what is certain about each instruction's answers, and what it took."""
    chance = f"{100 * (1.0 - found.promise.delta):.6g}%"
    name = found.annotator
    answers = f"the answers of the annotator {name!r}" if name else "the language model's answers"
    lines = [
        f"Certain, with a chance of {chance} that all of it holds (against {answers}):",
        *(
            f"  {key}: " + ", ".join(f"{name} at least {show_rate(rate)}" for name, rate in rates.items())
            for key, rates in found.rates.items()
        ),
        f"  {found.n_texts:,} different texts: {found.n_asked:,} asked about, {found.n_recorded:,} answered before"
        + (f", {found.n_failed:,} without an answer" if found.n_failed else ""),
    ]
    return "\n".join(lines)
