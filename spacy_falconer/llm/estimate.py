"""What asking will take, before anything is sent. It learns from what earlier answers took."""

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

MAX_TEXTS = 500  # That are looked at; more are drawn from, and scaled up.
N_KNOWN = 20  # Requests after which what they took is known to hold.
N_DOUBTED = 2  # Requests' worth of doubt that it does.
KINDS = ("requests", "input", "output")
# What is taken beyond what is counted, corrections mostly, where nothing is known; and the least and most of that, as
# parts of it, before and after N_KNOWN requests.
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
    cost_usd: None where the model's price is unknown.
    is_learned: Earlier answers of the model, in the store, say how it counts.
    example_prompt: A request, as text. Empty where there is nothing to ask.
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
    """What `ask_answers` with the same arguments will take. Nothing is sent.

    seed (int): Of the choice of the texts that are looked at, where there are very many.
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
    """A request as text, as it will be sent."""
    return "\n".join(f"--- {message['role']} ---\n{message['content']}" for message in form.messages)


def _add_up(
    survey: Survey, needed: Sequence[tuple[list[Form], list[Form]]], scale: float, usage: Mapping[str, Usage]
) -> list[Range]:
    """Requests, and tokens in and out."""
    sure, possible = Counter(), Counter()
    for forms in needed:
        for counted, listed in zip((sure, possible), forms, strict=True):
            for form in listed:
                counted.update(survey.count(form))
    counts = {kind: [scale * (sure[kind] + chance * possible[kind]) for chance in survey.chances] for kind in KINDS}
    return [_learn(kind, *amounts, usage) for kind, amounts in counts.items()]


def _learn(kind: str, low: float, likely: float, high: float, usage: Mapping[str, Usage]) -> Range:
    """What earlier answers took, beside what was counted for them, says how far to trust the count."""
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
