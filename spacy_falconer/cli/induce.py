from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import typer

from spacy_falconer.cli import options
from spacy_falconer.cli.annotate import show_annotated
from spacy_falconer.cli.mine import find_texts, show_problems
from spacy_falconer.cli.plan import show_plan
from spacy_falconer.cli.screen import batch_lines, msg, open_corpus, plain_errors, progress, say, show_bill, show_cost
from spacy_falconer.cli.train import show_training


def induce_cli(
    # fmt: off
    sentence: str = typer.Argument(..., help="What to mine, in one sentence, or a text file with it"),
    corpus: Path = options.CORPUS,
    output: Path = typer.Option(
        ..., "--output", "-o", help="Folder for the plan, the answers, the pipeline, the rows and the report"
    ),
    plan: Path | None = typer.Option(
        None, "--plan", help="A plan of your own, or a recorded one", exists=True, dir_okay=False
    ),
    answers: list[Path] = typer.Option(
        [], "--answers", help="Recorded answers to put into the store first", exists=True, dir_okay=False
    ),
    sample: options.Sample = 500,
    recorded_only: options.RecordedOnly = False,
    model: options.Model = None,
    planner_model: options.PlannerModel = None,
    prices: options.Prices = None,
    max_cost: options.MaxCost = None,
    max_requests: options.MaxRequests = None,
    max_in_flight: options.MaxInFlight = options.MAX_IN_FLIGHT,
    requests_per_minute: options.RequestsPerMinute = None,
    tokens_per_minute: options.TokensPerMinute = None,
    timeout: options.Timeout = options.TIMEOUT_S,
    batch: options.Batch = False,
    redact: options.Redact = None,
    annotator: options.Annotator = None,
    choose: options.Choose = "random",
    rounds: options.Rounds = 1,
    few_shot: options.FewShot = 0,
    config: options.Config = None,
    source: options.Source = None,
    replay: options.Replay = None,
    target: options.Target = (),
    precision: options.Precision = "fp32",
    n_process: options.NProcess = 1,
    text_field: options.TextField = ["text"],  # noqa: B006 (typer copies it)
    id_field: options.IdField = "id",
    seed: options.Seed = 0,
    gpu_id: options.Gpu = -1,
    quiet: options.Quiet = False,
    # fmt: on
):
    """Turn a sentence and a corpus into a mined table, a pipeline and a report, in one go.

    It may be stopped at any time: the same command goes on, and pays for nothing twice.

    Example: falconer induce "Extract all prices from positive reviews" reviews.jsonl --output mined
    """
    from spacy_falconer.workflow.induce import induce
    from spacy_falconer.workflow.plan import read_sentence

    with plain_errors(), open_corpus(corpus, text_field, id_field) as records:
        endpoint = options.make_endpoint(
            model, max_cost=max_cost, max_requests=max_requests, max_in_flight=max_in_flight, is_batch=batch,
            requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute, timeout_s=timeout,
        )  # fmt: skip
        sampling = options.make_sampling(sample, choose, rounds, few_shot, seed=seed, config=config, source=source)
        bar = partial(progress, quiet=quiet, note=show_cost(endpoint.ledger))
        with show_bill(endpoint.ledger, quiet=quiet):
            found = induce(
                read_sentence(sentence), records, output, endpoint=endpoint, planner_model=planner_model or None,
                sampling=sampling, replay=replay, targets=target, precision=precision, n_process=n_process, plan=plan,
                answers=answers, recorded_only=recorded_only,
                redact=options.find_redactor(redact), annotator=options.find_annotator(annotator), quiet=quiet, progress=bar, warn=msg.warn,
                watch=ignore if quiet else partial(show_step, output=output), watch_batches=batch_lines(quiet=quiet),
            )  # fmt: skip
    if not quiet:
        show_induced(found, records)


def ignore(step: str, result: Any) -> None:
    """Show nothing, with --quiet."""


def show_step(step: str, result: Any, *, output: Path) -> None:
    """Show the result of a step, as soon as it is done."""
    from spacy_falconer.workflow.report import format_agreement

    if step == "plan":
        show_plan(result, output / "plan.json")
    elif step == "annotate":
        show_annotated(result)
    elif step == "train":
        show_training(result, output / "pipeline")
    elif step == "compose":
        msg.info("The plan still asks texts the same: the trained pipeline took it over, and was not trained again.")
    elif step == "evaluate":
        msg.info(format_agreement(result))
    elif step == "mine":
        show_problems(result, output / "rows.jsonl")
        msg.good(f"{result.n_rows} rows of {result.n_texts} texts, {result.texts_per_second:.1f} texts/s")


def show_induced(found: Any, records: Any) -> None:
    """Show what was done before, and everything that there is now."""
    from spacy_falconer.workflow.report import N_ROWS, format_folder

    if found.done_before:
        msg.info(f"Done before, and not repeated: {', '.join(found.done_before)}.")
    ids = {row["id"] for row in islice(found.rows(), N_ROWS)}
    say(format_folder(found.output, find_texts(records, ids)))
