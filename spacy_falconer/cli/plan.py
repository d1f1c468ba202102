from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli.screen import msg, plain_errors


def plan_cli(
    # fmt: off
    sentence: str = typer.Argument(..., help="What to mine, in one sentence, or a text file that holds it"),
    corpus: Path | None = typer.Option(None, "--corpus", help="The texts it is about", exists=True),
    known: str | None = typer.Option(
        None, "--plan", help="A plan of your own, or a recorded one; else a language model is asked"
    ),
    output: Path = typer.Option(..., "--output", "-o", help="The checked plan, as a .json file"),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Do not print the plan"),
    # fmt: on
):
    """Break a sentence into a plan of two primitives, check it and print it as a tree.

    Example: falconer plan "Extract all prices from positive reviews" --corpus reviews.jsonl --output plan.json
    """
    from spacy_falconer.plan import format_tree, write_plan
    from spacy_falconer.workflow.plan import find_plan, read_sentence, recorded_by

    path = Path(known) if known else None
    with plain_errors():
        plan = find_plan(read_sentence(sentence), path)
        output.parent.mkdir(parents=True, exist_ok=True)
        write_plan(plan, output)
    if not quiet:
        if path is not None and recorded_by(path):
            msg.info(f"This plan is a recorded answer, by {recorded_by(path)}; no language model was asked.")
        print(format_tree(plan))
