"""kill -9 at random moments of one annotation run, which is begun again each time."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
import time
from pathlib import Path

from benchmarks.llm.common import annotate, demo_texts, read_counts, serve
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import Plan, parse_plan

N_KILLS, N_IN_FLIGHT, SEED = 20, 8, 0
STEPS = [
    {"id": "positive", "op": "get_label", "instruction": "The reviewer is satisfied."},
    {"id": "price", "op": "get_span", "instruction": "Amounts of money."},
    {"id": "cheap", "op": "get_label", "instruction": "{span} is cheap.", "for_each": "price"},
]


def show_kills() -> None:
    plan = parse_plan({"instruction": "Prices", "steps": STEPS})
    texts = make_texts()
    with tempfile.TemporaryDirectory() as folder, serve(delay_s=0.03) as url:
        whole, killed = Path(folder) / "whole.db", Path(folder) / "killed.db"
        start = time.perf_counter()
        run(whole, plan, texts, kill_after_s=None)
        taken, n_whole = time.perf_counter() - start, read_counts(url)["n_requests"]
        moments = random.Random(SEED)
        n_killed = sum(run(killed, plan, texts, moments.uniform(0, 2 * taken / N_KILLS)) for _ in range(N_KILLS))
        run(killed, plan, texts, kill_after_s=None)
        n_sent = read_counts(url)["n_requests"] - n_whole
        run(killed, plan, texts, kill_after_s=None)
        n_again = read_counts(url)["n_requests"] - n_whole - n_sent
        are_equal = read_all(whole) == read_all(killed)
    print(f"{len(texts)} texts, {N_IN_FLIGHT} in flight; undisturbed: {n_whole} requests in {taken:.1f} s")
    print(f"killed at {n_killed} of {N_KILLS} random moments and begun again: {n_sent} requests, {n_sent - n_whole:+}")
    print(
        f"at most in flight at the kills: {n_killed * N_IN_FLIGHT}; within: {n_sent - n_whole <= n_killed * N_IN_FLIGHT}"
    )
    print(f"the store equals that of the undisturbed run: {are_equal}; a further run sends {n_again} requests")


def make_texts() -> list[str]:
    """Reviews with prices; some replies need a correction, one text has windows."""
    reviews = [f"{text[:300]} It cost ${number}." for number, text in enumerate(demo_texts(150))]
    faults = {0: " <<unplaceable>>", 5: " <<words:1>>", 7: " <<empty:1>>"}
    return [text + faults.get(number % 10, "") for number, text in enumerate(reviews)] + [" ".join(reviews[:120])]


def run(path: Path, plan: Plan, texts: list[str], kill_after_s: float | None) -> bool:
    """Annotate in a process of its own. RETURNS: Whether it was killed before it was through."""
    child = os.fork()
    if not child:
        with AnswerStore(path) as store:
            asyncio.run(annotate(texts, plan, store, max_in_flight=N_IN_FLIGHT))
        os._exit(0)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


def read_all(path: Path) -> list[str]:
    with AnswerStore(path) as store:
        return sorted(map(repr, store.export()))
