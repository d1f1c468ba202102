"""The tables of the end-to-end benchmark."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from wasabi import table

from benchmarks.endtoend.cost import HOUR_S, Ours
from benchmarks.endtoend.scores import MACROS, Scored
from spacy_falconer.plan import Plan

IN_FLIGHT = (1, 16, 64)
WIDTH = 80  # Of a column, at most.
SHARE, COST_SHARE, TIMES = 0.95, 0.05, {1: 100, 16: 20}  # What is aimed at.


def format_sentences(plans: Mapping[str, Plan]) -> str:
    return "\n".join(f'{name}: "{plan.instruction}" Kept: {plan.keep}' for name, plan in plans.items())


def format_scores(scores: Sequence[Scored], header: tuple[str, str]) -> str:
    """F1 of each system, ours with its interval and as a share of the language model's agreement with itself."""
    others = list(dict.fromkeys(name for one in scores for name in one.lines if name != "ours"))
    body = [
        [*one.what, show(one.ours), show_interval(one.lines["ours"]["f_ci"]), show_itself(one), show(one.share)]
        + [show(one.lines[name]["f"]) if name in one.lines else "" for name in others]
        for one in scores
    ]
    head = [*header, "ours", "95%", "LLM itself", "share", *others]
    return table(body, header=head, divider=True, aligns=["l", "l", *"r" * (len(head) - 2)])


def show(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def show_interval(bounds: Sequence[float] | None) -> str:
    return "" if bounds is None else f"{bounds[0]:.2f} to {bounds[1]:.2f}"


def show_itself(one: Scored) -> str:
    """With the number of texts where it was counted here."""
    return show(one.itself) + (f" ({one.n_itself})" if one.n_itself else "")


def format_costs(ways: Mapping[str, Ours], n_texts: int) -> str:
    """Dollars for a corpus of so many texts, and from how many texts on ours is cheaper."""
    body = []
    for name, ours in ways.items():
        asking = ours.asking
        dollars = asking.usd(n_texts), ours.usd(n_texts)
        cells = [f"{asking.n_input:.0f}", f"{asking.n_output:.0f}", *(f"${usd:.2f}" for usd in dollars)]
        body.append([name, *cells, f"{dollars[1] / dollars[0]:.1%}", show_count(ours.break_even())])
    header = ["sentence", "tokens in", "and out", "LLM", "ours", "share", "even at texts"]
    return table(body, header=header, divider=True, aligns=["l", *"r" * 6])


def format_times(ways: Mapping[str, Ours], n_texts: int) -> str:
    """Hours for a corpus of so many texts, all steps included; and the speed of reading alone beside the LLM's."""
    body = []
    for name, ours in ways.items():
        hours = [(ours.asking.seconds(n_texts, n) / HOUR_S, ours.seconds(n_texts, n) / HOUR_S) for n in IN_FLIGHT]
        times = [f"{ours.times_as_fast(n):.1f}" for n in IN_FLIGHT]
        spent = [f"{llm:.1f} / {own:.1f}" for llm, own in hours]
        body.append([name, f"{ours.texts_per_s:.1f}", f"{ours.train_s:.0f}", *times, *spent])
    times_as_fast = [f"x LLM at {n}" for n in IN_FLIGHT]
    header = ["sentence", "texts/s", "training s", *times_as_fast, *(f"hours at {n}" for n in IN_FLIGHT)]
    return table(body, header=header, divider=True, aligns=["l", *"r" * (len(header) - 1)])


def show_count(number: float) -> str:
    return "never" if math.isinf(number) else f"{number:,.0f}"


def format_goals(rows: Sequence[Scored], instructions: Sequence[Scored], ways: Sequence[Ours], n_texts: int) -> str:
    """What was aimed at, and how often it was reached."""
    means = [one.share for one in instructions if one.what[1] in MACROS.values()]
    costs = [ours.usd(n_texts) / ours.asking.usd(n_texts) for ours in ways]
    body = [
        [f"mean F1 of a primitive at least {SHARE} of the LLM's with itself", *judge(means, at_least(SHARE))],
        [f"F1 of rows at least {SHARE} of the LLM's with itself", *judge([one.share for one in rows], at_least(SHARE))],
        [
            f"cost at {n_texts:,} texts at most {COST_SHARE:.0%} of the LLM's",
            *judge(costs, lambda cost: cost <= COST_SHARE, "{:.1%}"),
        ],
    ]
    for n, least in TIMES.items():
        speeds = [ours.times_as_fast(n) for ours in ways]
        body.append([f"{least} times the LLM's speed at {n} in flight", *judge(speeds, at_least(least), "{:.1f}")])
    header = ["aim", "reached", "least", "median", "most"]
    return table(body, header=header, divider=True, aligns=["l", *"r" * 4], max_col=WIDTH)


def at_least(bound: float) -> Callable[[float], bool]:
    return lambda value: value >= bound


def judge(values: Iterable[float | None], is_reached: Callable[[float], bool], form: str = "{:.2f}") -> list[str]:
    """How many of those that are known reach it; the least, the middle one and the most."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return ["unknown", "", "", ""]
    n_reached = sum(map(is_reached, known))
    picked = (known[0], known[len(known) // 2], known[-1])
    return [f"{n_reached} of {len(known)}", *(form.format(one) for one in picked)]
