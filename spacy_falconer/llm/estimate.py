"""Estimate what asking will take, before anything is sent. The estimate learns from what earlier answers took."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from spacy_falconer.llm.forms import Form
from spacy_falconer.llm.prices import Price, find_price
from spacy_falconer.llm.redact import Redactor, hide_answers
from spacy_falconer.llm.store import AnswerStore, Usage
from spacy_falconer.llm.survey import Survey
from spacy_falconer.plan import Plan
from spacy_falconer.types import Answer

MAX_TEXTS = 500  # The most to look at. Of more texts, this many are drawn, and the counts scaled up.
N_KNOWN = 20  # Requests after which what they took is trusted.
N_DOUBTED = 2  # How many requests the usual factors weigh as much as.
KINDS = ("requests", "input", "output")
# What is usually taken relative to what is counted (the rest is mostly corrections), where nothing is known; and the low
# and high ends of the range, relative to the expected value, before and after N_KNOWN requests.
USUAL = {"requests": 1.0, "input": 1.03, "output": 1.03}
SPREADS = {
    "requests": ((1.0, 1.3), (0.98, 1.05)), "input": ((0.8, 1.4), (0.95, 1.05)), "output": ((0.5, 2.0), (0.85, 1.15)),
}  # fmt: skip


@dataclass(frozen=True)
class Range:
    low: float
    expected: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """What it will take to ask about texts.

    n_texts: Those that the store does not answer yet.
    cost_usd: None if the model's price is unknown.
    is_learned: Whether the store holds enough of the model's answers to learn from what they took.
    example_prompt: A request, as text. Empty if there is nothing to ask.
    """

    model: str
    n_texts: int
    n_requests: Range
    n_input_tokens: Range
    n_output_tokens: Range
    cost_usd: Range | None
    is_learned: bool
    example_prompt: str


def estimate(
    texts: Iterable[str],
    plan: Plan,
    *,
    model: str,
    store: AnswerStore,
    seed: int = 0,
    examples: Sequence[Answer] = (),
    accept: str | None = None,
    redact: Redactor | None = None,
    prices: Mapping[str, Price] | None = None,
) -> Estimate:
    """Estimate what `ask_answers` with the same arguments will take. Nothing is sent.

    seed (int): Of the choice of texts to look at, if there are very many.
    """
    shown = tuple(examples) if redact is None else tuple(hide_answers(examples, redact))
    survey = Survey(plan, model, store, shown, accept, redact)
    texts = list(dict.fromkeys(texts))
    drawn = random.Random(seed).sample(texts, MAX_TEXTS) if len(texts) > MAX_TEXTS else texts
    scale = len(texts) / max(1, len(drawn))
    needed = [forms for forms in map(survey.list_forms, drawn) if any(forms)]
    usage, price = store.usage(model), find_price(model, prices)
    n_requests, n_input, n_output = _add_up(survey, needed, scale, usage)
    return Estimate(
        model,
        round(scale * len(needed)),
        n_requests,
        n_input,
        n_output,
        _price(price, n_input, n_output) if price else None,
        _count_known(usage) >= N_KNOWN,
        next((show_messages([*sure, *possible][0]) for sure, possible in needed), ""),
    )


def show_messages(form: Form) -> str:
    """Return a request as text, as it will be sent."""
    return "\n".join(f"--- {message['role']} ---\n{message['content']}" for message in form.messages)


def _add_up(
    survey: Survey, needed: Sequence[tuple[list[Form], list[Form]]], scale: float, usage: Mapping[str, Usage]
) -> list[Range]:
    """Return the ranges of requests, input tokens and output tokens."""
    sure, possible = Counter(), Counter()
    for forms in needed:
        for counted, listed in zip((sure, possible), forms, strict=True):
            for form in listed:
                counted.update(survey.count(form))
    counts = {kind: [scale * (sure[kind] + chance * possible[kind]) for chance in survey.chances] for kind in KINDS}
    return [_learn(kind, *amounts, usage) for kind, amounts in counts.items()]


def _learn(kind: str, low: float, likely: float, high: float, usage: Mapping[str, Usage]) -> Range:
    """Correct a count by what earlier answers took, compared with what was counted for them."""
    n_known = _count_known(usage)
    counted, billed = (usage[kind].n_counted, usage[kind].n_billed) if n_known else (0, 0)
    doubt = N_DOUBTED * counted / n_known if n_known else 1
    factor = (billed + doubt * USUAL[kind]) / (counted + doubt)
    least, most = SPREADS[kind][n_known >= N_KNOWN]
    return Range(low * factor * least, likely * factor, high * factor * most)


def _count_known(usage: Mapping[str, Usage]) -> int:
    return usage["requests"].n_counted if "requests" in usage else 0


def _price(price: Price, n_input: Range, n_output: Range) -> Range:
    return Range(
        price.cost_usd(n_input.low, n_output.low),
        price.cost_usd(n_input.expected, n_output.expected),
        price.cost_usd(n_input.high, n_output.high),
    )
