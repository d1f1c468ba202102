from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli import options
from spacy_falconer.cli.screen import open_corpus, plain_errors, say


def estimate_cli(
    # fmt: off
    plan: Path = typer.Argument(..., help="The plan, as a .json file", exists=True, dir_okay=False),
    corpus: Path = options.CORPUS,
    sample: options.Sample = 500,
    store: Path | None = typer.Option(
        None, "--store", help="File of answers, if it exists, which are not paid for again", dir_okay=False
    ),
    model: options.Model = None,
    prices: options.Prices = None,
    batch: options.Batch = False,
    redact: options.Redact = None,
    choose: options.Choose = "random",
    rounds: options.Rounds = 1,
    few_shot: options.FewShot = 0,
    text_field: options.TextField = ["text"],  # noqa: B006 (typer copies it)
    id_field: options.IdField = "id",
    seed: options.Seed = 0,
    # fmt: on
):
    """Estimate what annotate takes with the same options: requests, tokens, price and one prompt. Nothing is sent.

    Example: falconer estimate plan.json reviews.jsonl --sample 500 --store answers.db
    """
    from spacy_falconer.plan import read_plan
    from spacy_falconer.workflow.bill import format_estimate
    from spacy_falconer.workflow.estimate import estimate

    with plain_errors(), open_corpus(corpus, text_field, id_field) as records:
        found = estimate(
            read_plan(plan), records, store,
            sampling=options.make_sampling(sample, choose, rounds, few_shot, seed=seed),
            endpoint=options.make_endpoint(model, is_batch=batch), redact=options.find_redactor(redact),
        )  # fmt: skip
    say(format_estimate(found))
