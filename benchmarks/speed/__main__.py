"""How fast it is, beside the bare encoder, spaCy's own components, GLiNER's class of model and an LLM.

    python -m benchmarks.speed TEXTS.jsonl [--decisions OTHER.jsonl] [--gliner PYTHON] [--growth] [--counts 1000,10000]

Everything is read in turns, a block of texts at a time, in one run on one machine. Seconds are those of the processor,
which other programs on the machine disturb less, and of the clock; ratios are of the processor's, against the row that
is named. On a GPU (--gpu-id 0 --block 2050) they are the clock's. bare: the encoder's forward pass alone, of whole texts
sorted by length, in batches of as many pieces as ours.
"""

from __future__ import annotations

import json
import math
import platform
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import torch
import typer

from benchmarks.page import on_page
from benchmarks.speed.decisions import print_decisions
from benchmarks.speed.growth import print_growth
from benchmarks.speed.readers import make_nlp, read_bare, read_gliner, read_ours, read_spacys_own
from spacy_falconer.cli.options import Gpu
from spacy_falconer.corpus.read import read_corpus
from spacy_falconer.metamodel.device import on_gpu

PRICES = Path(__file__).parents[2] / "spacy_falconer" / "llm" / "prices.json"
CHARACTERS_PER_TOKEN, PROMPT_TOKENS, ANSWER_TOKENS = 4.0, 450, 80  # Of a text's request with four instructions.


def main(
    # fmt: off
    texts: Path = typer.Argument(..., help="Texts to read: .jsonl", exists=True),
    decisions: list[Path] = typer.Option([], help="Compare decisions with float32's on these texts", exists=True),
    pipeline: Path = typer.Option(
        Path("assets/en_falconer_sm"), help="A trained one, or one without instructions", exists=True
    ),
    precisions: str = typer.Option("fp32,bf16,int8,compiled", help="Those to measure"),
    n_texts: int = typer.Option(0, help="Read only so many of the texts, spread over all; 0: all"),
    block: int = typer.Option(64, help="Texts that are read in one turn"),
    threads: int = typer.Option(1, help="Of torch"),
    spacys_own: bool = typer.Option(True, help="Also spaCy's own components"),
    gliner: Path | None = typer.Option(None, help="A Python that has gliner: also its class of model"),
    gliner_share: int = typer.Option(8, help="It reads one text in so many, being slow"),
    growth: bool = typer.Option(False, help="Also how time and memory grow"),
    counts: str = typer.Option("1000,10000", help="Numbers of texts, for --growth"),
    speed: bool = typer.Option(True, help="Compare speeds"),
    latency_s: float = typer.Option(1.5, help="Of an LLM's request"),
    model: str = typer.Option("gpt-4o-mini", help="The LLM whose price is taken"),
    gpu_id: Gpu = -1,
    # fmt: on
):
    torch.set_num_threads(threads)
    machine = torch.cuda.get_device_name() if on_gpu() else platform.processor() or platform.machine()
    print(f"{machine}, torch {torch.__version__}, {threads} threads")
    names, some = precisions.split(","), spread([one.text for one in read_corpus(texts)], n_texts)
    if speed:
        took = compare(pipeline, names, some, block, spacys_own=spacys_own, gliner=gliner, gliner_share=gliner_share)
        print_speeds(took)
        print_llm(took, some, model, latency_s)
    for path in decisions:
        chosen = spread([one.text for one in read_corpus(path)], n_texts)
        print_decisions(make_nlp(pipeline), path.stem, chosen, [name for name in names if name != "fp32"])
    if growth:
        print_growth(pipeline.resolve(), some, [int(count) for count in counts.split(",")], "fp32")


def spread(texts: list[str], n: int) -> list[str]:
    return texts[:: max(1, len(texts) // n)][:n] if n else texts


def compare(pipeline: Path, precisions: list[str], texts: list[str], block: int, *, spacys_own, gliner, gliner_share):
    """Seconds of processor and clock, and texts, by what read them."""
    took = defaultdict(lambda: [0.0, 0.0, 0])
    with ExitStack() as stack:
        readers = {}
        for name in precisions:  # Each with a pipeline of its own, for `accelerate` holds for a whole one.
            readers[f"bare {name}"] = stack.enter_context(read_bare(make_nlp(pipeline), name))
            readers[f"nlp.pipe {name}"] = stack.enter_context(read_ours(make_nlp(pipeline), name))
        if spacys_own:
            readers["spaCy's own fp32"] = stack.enter_context(read_spacys_own())
        if gliner:
            readers["GLiNER's class fp32"] = stack.enter_context(read_gliner(gliner, torch.get_num_threads()))
        for read in readers.values():
            read(getattr(read, "prepare", list)(texts[:2]))
        blocks = [texts[i : i + block] for i in range(0, len(texts), block)]
        for turn, some in enumerate(blocks):
            order = list(readers)[:: 1 if turn % 2 else -1]
            for name in order:
                add(took[name], readers[name], some[::gliner_share] if name.startswith("GLiNER") else some)
    return took


def add(row: list, read, texts: list[str]) -> None:
    prepared = getattr(read, "prepare", list)(texts)
    clock, used = time.perf_counter(), time.process_time()
    said = read(prepared)
    if on_gpu():
        torch.cuda.synchronize()
    own = said if said else (time.perf_counter() - clock, time.process_time() - used)
    row[0] += own[0] if on_gpu() else own[1]
    row[1] += own[0]
    row[2] += len(texts)


def print_speeds(took: dict) -> None:
    per_text = {name: used / n for name, (used, _, n) in took.items()}
    unit = "clock" if on_gpu() else "processor"
    print(
        f"{'':22}{'texts':>7}{f'{unit} s':>13}{'clock s':>9}{f'texts/{unit} s':>19}{'against bare':>14}{'against fp32':>14}"
    )
    for name, (used, clock, n) in took.items():
        kind, _, precision = name.rpartition(" ")
        bare = per_text.get(f"bare {precision}", 0.0) / per_text[name]
        exact = per_text.get(f"{kind} fp32", 0.0) / per_text[name]
        print(f"{name:22}{n:>7}{used:>13.1f}{clock:>9.1f}{n / used:>19.2f}{bare:>14.3f}{exact:>14.3f}")
    best = min((seconds, name) for name, seconds in per_text.items() if name.startswith("nlp.pipe"))
    for name in (name for name in per_text if not name.startswith(("bare", "nlp.pipe"))):
        print(
            f"against {name}: fp32 {per_text[name] / per_text['nlp.pipe fp32']:.2f}, {best[1]} {per_text[name] / best[0]:.2f}"
        )


def print_llm(took: dict, texts: list[str], model: str, latency_s: float) -> None:
    """A formula, not a measurement: requests in flight over latency; tokens by their price."""
    price = json.loads(PRICES.read_text(encoding="utf8"))["models"][model]
    tokens = PROMPT_TOKENS + sum(map(len, texts)) / len(texts) / CHARACTERS_PER_TOKEN
    cost = (tokens * price["input"] + ANSWER_TOKENS * price["output"]) / 1e6
    rates = {name: n / used for name, (used, _, n) in took.items() if name.startswith("nlp.pipe")}
    name, rate = max(rates.items(), key=lambda pair: pair[1])
    print(
        f"{model} (formula): {tokens:.0f} + {ANSWER_TOKENS} tokens a text, {cost * 1e6:,.0f} USD a million texts, {latency_s} s a request"
    )
    for n, wished in ((1, 100), (16, 20), (64, 20)):
        theirs = n / latency_s
        print(
            f"  {n:>3} in flight: {theirs:>7.2f} texts/s; {name} is {rate / theirs:.2f} times as fast on one thread; "
            f"{wished} times takes {math.ceil(wished * theirs / rate)} such cores"
        )


if __name__ == "__main__":
    with on_page():
        typer.run(main)
