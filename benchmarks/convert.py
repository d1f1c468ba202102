"""Compact answers (`{"id", "labels", "spans"}` beside a corpus and a file of instructions) in the exchange format.

    python -m benchmarks.convert SHARED bio OUTPUT

Reads SHARED/answers/NAME-{train,test}.jsonl, SHARED/answers/primitives.json and SHARED/corpora/NAME.jsonl; writes
NAME-train.jsonl, NAME-test.jsonl and NAME-plan.json, a plan that holds all of the instructions.
"""

from __future__ import annotations

from pathlib import Path

import srsly
import typer

from spacy_falconer.llm.exchange import write_exchange
from spacy_falconer.plan import parse_plan, write_plan
from spacy_falconer.types import Answer, Quote

MODEL = "Claude, 2026-11-22, recorded"


def main(shared: Path, name: str, output: Path):
    """Write the two files of answers and the plan."""
    known = srsly.read_json(shared / "answers" / "primitives.json")[name]
    texts = {row["id"]: row["text"] for row in srsly.read_jsonl(shared / "corpora" / f"{name}.jsonl")}
    output.mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        rows = srsly.read_jsonl(shared / "answers" / f"{name}-{part}.jsonl")
        write_exchange((make_answer(row, texts[row["id"]], known) for row in rows), output / f"{name}-{part}.jsonl")
    steps = [{"id": key, "op": op, "instruction": text} for op, text, key in list_steps(known)]
    fields = {"instruction": f"Everything that was asked of {name}", "output": list(known["spans"])}
    write_plan(parse_plan({"steps": steps, **fields}), output / f"{name}-plan.json")


def list_steps(known: dict) -> list[tuple[str, str, str]]:
    ops = (("get_label", known["labels"]), ("get_span", known["spans"]))
    return [(op, text, key) for op, instructions in ops for key, text in instructions.items()]


def make_answer(row: dict, text: str, known: dict) -> Answer:
    labels = {known["labels"][key]: value for key, value in row["labels"].items()}
    spans = {known["spans"][key]: tuple(Quote(quote) for quote in quotes) for key, quotes in row["spans"].items()}
    return Answer(text, MODEL, labels, spans, make_gold(row["gold"], text, known) if "gold" in row else None)


def make_gold(gold: dict, text: str, known: dict) -> Answer:
    spans = {known["spans"][key]: tuple(Quote(text[a:b], a) for a, b in places) for key, places in gold.items()}
    return Answer(text, "gold", {}, spans)


if __name__ == "__main__":
    typer.run(main)
