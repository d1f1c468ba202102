"""How fast answers come, beside the bare client and beside what a server could do at best."""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import time
from collections.abc import Sequence

from openai import AsyncOpenAI

from benchmarks.llm.common import MODEL, annotate, demo_plan, demo_texts, open_store, serve
from spacy_falconer.llm.formats import make_body
from spacy_falconer.llm.forms import TextForm

N_RUNS = 9
PAGE_MIB = 4096 / 2**20


def show_speed(*, n_texts: int = 50, n_in_flight: int = 16, delay_s: float = 0.1) -> None:
    """The same requests by the bare client, without a store, and by us; each with a client of its own."""
    plan, texts = demo_plan(), demo_texts(n_texts)
    forms = [TextForm(text, plan.steps) for text in texts]
    bodies = [make_body(MODEL, form.messages, form.schema, "json_schema") for form in forms]
    runs = {
        "bare client": lambda: time_bare(bodies, n_in_flight),
        "ours": lambda: time_ours(texts, n_in_flight),
    }
    with serve(delay_s=delay_s):
        times = {name: [] for name in runs}
        for number in range(N_RUNS + 1):
            for name, run in runs.items():
                taken = asyncio.run(run())
                times[name] += [taken] if number else []  # The first one imports.
    print(f"{n_texts} texts, {n_in_flight} in flight, {delay_s * 1000:.0f} ms a request, {N_RUNS} runs, alternating")
    for name, taken in times.items():
        print(f"{name:12} {statistics.median(taken):.3f} s (least {min(taken):.3f}, most {max(taken):.3f})")
    bare, ours = times.values()
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    print(
        f"ratio        {statistics.median(ratios):.2f} in the median, {min(ours) / min(bare):.2f} of the least; limit 1.20"
    )


async def time_bare(bodies: Sequence[dict], n_in_flight: int) -> float:
    start = time.perf_counter()
    room = asyncio.Semaphore(n_in_flight)
    async with AsyncOpenAI(max_retries=0) as client:

        async def ask(body: dict) -> dict:
            async with room:
                completion = await client.chat.completions.create(**body)
            return json.loads(completion.choices[0].message.content)

        await asyncio.gather(*map(ask, bodies))
    return time.perf_counter() - start


async def time_ours(texts: Sequence[str], n_in_flight: int) -> float:
    with open_store() as store:
        start = time.perf_counter()
        await annotate(texts, demo_plan(), store, max_in_flight=n_in_flight)
        taken = time.perf_counter() - start
        assert len(store) == len(texts) * len(demo_plan().steps)
    return taken


def show_rate(*, n_texts: int = 2000, n_in_flight: int = 64, delay_s: float = 1.0) -> None:
    """Many texts: how near to what so many requests at a time could do at best, and how the memory grows."""
    memory, n_done = [], 0

    def tick(n: int) -> None:
        nonlocal n_done
        n_done += n
        if n_done % (n_texts // 8) == 0:
            memory.append(read_memory_mib())

    async def run() -> float:
        with open_store() as store:
            start = time.perf_counter()
            await annotate(demo_texts(n_texts), demo_plan(), store, tick=tick, max_in_flight=n_in_flight)
            return time.perf_counter() - start

    with serve(delay_s=delay_s):
        used, taken = read_cpu_s(), asyncio.run(run())
        used = read_cpu_s() - used
    ideal = n_texts * delay_s / n_in_flight
    print(f"{n_texts} texts, {n_in_flight} in flight, {delay_s:g} s a request: {taken:.1f} s; at best {ideal:.2f} s")
    print(f"rate         {ideal / taken:.2f} of the ideal one; limit 0.90")
    print(f"processor    {1000 * used / n_texts:.1f} ms a text")
    print(f"memory       {', '.join(f'{one:.0f}' for one in memory)} MiB, after each eighth of the texts")


def read_memory_mib() -> float:
    with open("/proc/self/statm", encoding="ascii") as pages:
        return int(pages.read().split()[1]) * PAGE_MIB


def read_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
