from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli import options
from spacy_falconer.cli.screen import msg, open_corpus, plain_errors, say, show_bill


def plan_cli(
    # fmt: off
    sentence: str = typer.Argument(..., help="What to mine, in one sentence, or a text file with it"),
    corpus: Path | None = typer.Option(
        None, "--corpus", help="The texts it is about; the planner is shown a few", exists=True
    ),
    output: Path = typer.Option(..., "--output", "-o", help="The checked plan, as a .json file"),
    known: str | None = typer.Option(
        None, "--plan", help="A plan of your own, or a recorded one; by default a language model is asked"
    ),
    store: Path | None = typer.Option(None, "--store", help="Answer store that keeps the planner's replies, too"),
    planner_model: options.PlannerModel = None,
    model: options.Model = None,
    prices: options.Prices = None,
    timeout: options.Timeout = options.TIMEOUT_S,
    redact: options.Redact = None,
    text_field: options.TextField = ["text"],  # noqa: B006 (typer copies it)
    id_field: options.IdField = "id",
    seed: options.Seed = 0,
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Do not print the plan"),
    # fmt: on
):
    """Break a sentence into a plan of two primitives, check it and print it as a tree.

    Example: falconer plan "Extract all prices from positive reviews" --corpus reviews.jsonl --output plan.json
    """
    from spacy_falconer.workflow.plan import obtain_plan, read_sentence

    with plain_errors(), open_corpus(corpus, text_field, id_field) as records:
        endpoint = options.make_endpoint(planner_model or model, timeout_s=timeout)
        with show_bill(endpoint.ledger, quiet=quiet):
            found = obtain_plan(
                read_sentence(sentence), output, endpoint=endpoint, known=Path(known) if known else None,
                records=records, store=store, redact=options.find_redactor(redact), seed=seed,
            )  # fmt: skip
    if not quiet:
        show_plan(found, output)


def show_plan(found, output: Path) -> None:
    """Show whose plan it is, the plan as a tree, and what can be done with it."""
    from spacy_falconer.plan import format_tree

    origins = {
        "own": "This plan is your own; no language model was asked.",
        "recorded": f"This plan is a recorded answer, by {found.model}; no language model was asked.",
        "kept": f"{output} answers this sentence already; no language model was asked. Remove the file to plan again.",
        "asked": f"This plan is by {found.model}.",
    }
    msg.info(origins[found.origin])
    if found.replaced is not None:
        msg.warn(f"It replaces the plan in {output} for another sentence: {found.replaced!r}.")
    say(format_tree(found.plan))
    msg.info(f"The plan is in {output}. You may edit the file before anything is spent on answers.")
