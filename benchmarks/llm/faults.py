"""One text of ten goes wrong in some way: what a user sees, what is lost, and what it costs."""

from __future__ import annotations

import asyncio
import textwrap
from dataclasses import dataclass

from wasabi import table

from benchmarks.llm.common import annotate, demo_plan, open_store, read_counts, serve
from spacy_falconer.errors import FalconerError
from spacy_falconer.llm import chat
from spacy_falconer.llm.annotate import read_answer

LONG = " ".join(f"word{number} costs ${number}." for number in range(10_000))[:200_000]
# What the faulty text is; "<<500:2>>" fails twice, "<<500>>" always.
FAULTS = {
    "429 twice": "I paid $5 <<429:2>>", "429 always": "I paid $5 <<429>>",
    "429 with Retry-After, once": "I paid $5 <<429-after:1>>",
    "500 twice": "I paid $5 <<500:2>>", "500 always": "I paid $5 <<500>>",
    "hangs once": "I paid $5 <<hang:1>>", "hangs always": "I paid $5 <<hang>>",
    "connection cut twice": "I paid $5 <<cut:2>>", "connection cut always": "I paid $5 <<cut>>",
    "HTTP body cut off, twice": "I paid $5 <<broken:2>>",
    "truncated JSON, twice": "I paid $5 <<truncated:2>>", "truncated JSON, always": "I paid $5 <<truncated>>",
    "finish reason length, once": "I paid $5 <<length:1>>", "finish reason length, always": "I paid $5 <<length>>",
    "wrong schema, once": "I paid $5 <<wrong-schema:1>>", "wrong schema, always": "I paid $5 <<wrong-schema>>",
    "refusal, once": "I paid $5 <<refusal:1>>", "refusal, always": "I paid $5 <<refusal>>",
    "empty answer, once": "I paid $5 <<empty:1>>", "empty answer, always": "I paid $5 <<empty>>",
    "no JSON at all, always": "I paid $5 <<words>>",
    "unplaceable quote, once": "I paid $5 <<unplaceable:1>>", "unplaceable quote, always": "I paid $5 <<unplaceable>>",
    "surrogate and NUL in a quote": "I paid $5 <<surrogate>>",
    "NUL and surrogate in the text": "I paid \x00 $5 \ud83d",
    "empty text": "", "200,000 characters": LONG,
    "request refused (400)": "I paid $5 <<400>>", "key refused (401)": "I paid $5 <<401>>",
}  # fmt: skip
OTHERS = [f"I paid ${number} and love it." for number in range(9)]
HEADER = ["fault", "requests", "tokens", "others kept", "the text", "what the user sees"]


@dataclass(frozen=True)
class Outcome:
    n_requests: int
    n_tokens: int
    n_others: int
    text: str
    seen: str


def show_faults() -> None:
    chat.BACKOFF_S = 0.02  # Seconds that are only waited for.
    rows = []
    for name, text in FAULTS.items():
        found = asyncio.run(try_fault(text))
        rows.append(
            [name, f"{found.n_requests:+}", f"{found.n_tokens:+}", f"{found.n_others} of 9", found.text, found.seen]
        )
    print("One text of ten goes wrong. Requests and billed tokens: beyond one request for each of the ten.\n")
    print(table(rows, header=HEADER, divider=True, aligns=["l", "r", "r", "l", "l", "l"], max_col=110))


async def try_fault(text: str) -> Outcome:
    """Ask about ten texts, then once more: the second time nothing may be sent."""
    plan, stopped = demo_plan(), ""
    with serve() as url, open_store() as store:
        usual = await count_usual(url)
        try:
            await annotate([*OTHERS, text], plan, store, timeout_s=0.5, n_retries=2)
        except FalconerError as error:
            stopped = f"stops: {error}"
        counts = read_counts(url)
        answers = [read_answer(one, plan, store, model=None) for one in [*OTHERS, text]]
        reason = store.failures([text]).get(text, "")
        if not stopped:
            await annotate([*OTHERS, text], plan, store)
            assert read_counts(url)["n_requests"] == counts["n_requests"], "The second run sent something."
    seen = stopped or (f"text failed: {reason}" if reason else describe(answers[-1]))
    return Outcome(
        counts["n_requests"] - 10 - 1,
        sum(counts["billed"].values()) - counts["billed"]["requests"] - usual * 11,
        sum(answer is not None for answer in answers[:-1]),
        "answered" if answers[-1] else "failed" if reason else "to be asked",
        textwrap.shorten(seen, 108),
    )


async def count_usual(url: str) -> int:
    """The tokens of one text that nothing happens to."""
    with open_store() as store:
        await annotate(["I paid $5 and love it."], demo_plan(), store)
    billed = read_counts(url)["billed"]
    return billed["prompt_tokens"] + billed["completion_tokens"]


def describe(answer) -> str:
    quotes = [quote for quotes in answer.spans.values() for quote in quotes]
    n_unplaced = sum(quote.start is None for quote in quotes)
    return (
        f"{len(quotes)} quotes, {n_unplaced} without a place, counted as such"
        if n_unplaced
        else f"{len(quotes)} quotes"
    )
