"""Where a small model stays behind: counting, reasoning, comparing numbers, long range, what is very rare.

    python -m benchmarks.failures --page docs/benchmarks.md

The texts are our own (texts.py), and their answers are known by construction. No language model was asked: a careful one
is taken to have all of them right, which was not measured. Each group has a hard statement and an easy one about the same
texts. One pipeline learns all ten statements from some of the texts (a text is asked its own group's alone), and is
tested on others.

"true": of how many of its training texts a statement is true. "yes to all": F1 of saying yes to every text. regression,
zero-shot, keywords: as `evaluate --baselines` has them. "warned": whether `evaluate`, and so `induce`, says that the
statement is not to be relied on. The warning itself stands below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import spacy
import torch
import typer
from spacy.tokens import Doc
from wasabi import table

from benchmarks.failures.texts import GROUPS, write_answers
from benchmarks.page import on_page
from spacy_falconer.corpus.docbin import make_docs
from spacy_falconer.pipeline.source import find_base
from spacy_falconer.plan import Plan, parse_plan
from spacy_falconer.types import Answer
from spacy_falconer.workflow.evaluate import evaluate, texts_of
from spacy_falconer.workflow.scoring.said import read_answers
from spacy_falconer.workflow.scoring.weak import find_base_f1
from spacy_falconer.workflow.train import train

OTHERS = ("regression", "zero_shot", "keywords")


def main(
    # fmt: off
    n_train: int = typer.Option(60, help="Texts of each group to learn from"),
    n_test: int = typer.Option(150, help="Texts of each group to test on"),
    seed: int = typer.Option(0, help="Seed of the texts and of the training"),
    # fmt: on
):
    torch.set_num_threads(1)
    plan, (docs, tests) = make_plan(), make_parts(n_train, n_test, seed=seed)
    nlp, _ = train(plan, docs, source=find_base(), seed=seed, quiet=True)
    scores = evaluate(nlp, tests, train_docs=docs, source=find_base(), seed=seed)
    print(f"{len(GROUPS)} groups, each {n_train} texts to learn from and {n_test} to test on, seed {seed}\n")
    print(format_groups(scores, docs, tests))
    print("\n".join(scores["notes"]))


def make_plan() -> Plan:
    """All statements, each group's under ids of its own."""
    steps = [
        {"id": make_id(group, kind), "op": "get_label", "instruction": statement}
        for group, (_, hard, _, easy) in GROUPS.items() for kind, statement in (("hard", hard), ("easy", easy))
    ]  # fmt: skip
    return parse_plan({"instruction": "What is hard for a small model, and what is not", "steps": steps})


def make_id(group: str, kind: str) -> str:
    return f"{group.replace(' ', '_')}_{kind}"


def make_parts(n_train: int, n_test: int, *, seed: int) -> tuple[list[Doc], list[Doc]]:
    """Docs to learn from and to test on; no text is in both."""
    parts: tuple[list[Answer], list[Answer]] = ([], [])
    for group in GROUPS:
        for part, answers in zip(parts, write_answers(group, n_train, n_test, seed=seed), strict=True):
            part.extend(answers)
    plan, blank = make_plan(), spacy.blank("en")
    return make_docs(parts[0], plan, blank)[0], make_docs(parts[1], plan, blank)[0]


def format_groups(scores: dict[str, Any], docs: Sequence[Doc], tests: Sequence[Doc]) -> str:
    """A row for each statement: F1 beside that of a yes to all, and of simpler ways."""
    wanted, texts, body = [read_answers(doc) for doc in tests], texts_of(tests), []
    for group, (_, hard, _, easy) in GROUPS.items():
        for kind, statement in (("hard", hard), ("easy", easy)):
            key = make_id(group, kind)
            line, n_true = scores["labels"]["per_instruction"][key], sum(doc.cats.get(key, 0.0) == 1.0 for doc in docs)
            low, high = line["f_ci"]
            shares = [find_base_f1(key, wanted, texts), *(find_f1(scores["baselines"][name], key) for name in OTHERS)]
            cells = [f"{line['f']:.2f}", f"{low:.2f} to {high:.2f}", *(f"{share:.2f}" for share in shares)]
            is_named = any(f" {key} (" in note for note in scores["notes"])
            body.append([f"{group}, {kind}", statement, str(n_true), *cells, "yes" if is_named else ""])
    header = ["", "statement", "true", "ours", "95%", "yes to all", "regression", "zero-shot", "keywords", "warned"]
    return table(body, header=header, divider=True, aligns=["l", "l", *"r" * 8], max_col=80)


def find_f1(scores: dict[str, Any], key: str) -> float:
    return scores["labels"]["per_instruction"][key]["f"]


if __name__ == "__main__":
    with on_page():
        typer.run(main)
