"""How well answers through our own prompts agree with answers that were recorded before, and those with themselves.

    python -m benchmarks.annotation --reference TEST.jsonl --plan PLAN.json --answers benchmarks/annotation/NAME.jsonl

TEST holds recorded answers in the exchange format, PLAN their instructions. The answers in the last file are read; with
--model, and OPENAI_BASE_URL and OPENAI_API_KEY set, texts that it lacks are asked for and put there. `python -m
benchmarks.convert` makes TEST and PLAN.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from random import Random

import spacy
import typer
from spacy.training import Example
from wasabi import table

from benchmarks.page import on_page
from spacy_falconer.corpus.docbin import answer_to_doc
from spacy_falconer.llm.annotate import read_answer
from spacy_falconer.llm.ask import ask_answers
from spacy_falconer.llm.chat import Chat
from spacy_falconer.llm.exchange import read_exchange, write_exchange
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.pipeline.score import score_labels, score_spans
from spacy_falconer.plan import Plan, read_plan

TIMEOUT_S = 3600


def main(
    # fmt: off
    reference: Path = typer.Option(..., help="Recorded answers to compare with", exists=True),
    plan: Path = typer.Option(..., help="The plan that holds the instructions", exists=True),
    answers: Path = typer.Option(..., help="Answers through our prompts; made or completed with --model"),
    model: str = typer.Option(None, help="The language model to ask"),
    n: int = typer.Option(30, help="How many texts"),
    # fmt: on
):
    checked = read_plan(plan)
    known = {answer.text: answer for answer in read_exchange(reference)}
    texts = Random(0).sample(sorted(known), min(n, len(known)))
    with tempfile.TemporaryDirectory() as folder, AnswerStore(Path(folder) / "answers.db") as store:
        if answers.exists():
            store.put_many(read_exchange(answers))
        if model is not None:
            asyncio.run(ask(texts, checked, model, store))
            write_exchange(store.export(), answers)
        ours = {text: read_answer(text, checked, store, model=None) for text in texts}
    print_agreement({text: answer for text, answer in ours.items() if answer is not None}, known, checked)


async def ask(texts: list[str], plan: Plan, model: str, store: AnswerStore) -> None:
    async with Chat(model, max_in_flight=64, timeout_s=TIMEOUT_S) as chat:
        await ask_answers(texts, plan, chat, store)


def print_agreement(ours: dict, known: dict, plan: Plan) -> None:
    """F1 of each instruction, exact spans, the recorded answers taken for right."""
    nlp = spacy.blank("en")
    pairs = [(answer_to_doc(answer, plan, nlp), answer_to_doc(known[text], plan, nlp)) for text, answer in ours.items()]
    examples = [Example(found, wanted) for found, wanted in pairs]
    labels, spans = ([step.id for step in plan.text_steps(op)] for op in ("get_label", "get_span"))
    settings = {"threshold": 0.5, "thresholds": {}}
    by_label = score_labels(examples, labels=labels, **settings)
    by_span = score_spans(examples, labels=spans, spans_key="sc", **settings)
    rows = {**by_label["cats_f_per_type"], **by_span["spans_sc_per_type"]}
    print(f"{len(examples)} texts by {', '.join(sorted({answer.model for answer in ours.values()}))}")
    print(table([(key, *(f"{prf[name]:.3f}" for name in "prf")) for key, prf in rows.items()], header=["", "p", "r", "f"], divider=True))  # fmt: skip
    print(f"macro: labels {by_label['cats_macro_f']:.3f}, spans {by_span['spans_sc_macro_f']:.3f}")


if __name__ == "__main__":
    with on_page():
        typer.run(main)
