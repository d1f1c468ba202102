from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import typer

from spacy_falconer.cli import options
from spacy_falconer.cli.screen import batch_lines, msg, open_corpus, plain_errors, progress, say, show_bill, show_cost
from spacy_falconer.errors import FalconerError


def annotate_cli(
    # fmt: off
    plan: Path = typer.Argument(..., help="The plan, as a .json file", exists=True, dir_okay=False),
    corpus: Path | None = typer.Argument(
        None,
        help="Texts: .jsonl, .csv, .tsv, .txt (each also .gz or .zst), .parquet, or a folder of them; none with --again",
        exists=True,
    ),
    store: Path = typer.Option(..., "--store", help="File that keeps every answer; created if it does not exist"),
    output: Path = typer.Option(..., "--output", "-o", help="Answers to learn from, as a .spacy file"),
    test_output: Path | None = typer.Option(None, "--test-output", help="Answers to test on, as a .spacy file"),
    test_answers: Path | None = typer.Option(
        None,
        "--test-answers",
        parser=options.parse_file,
        metavar="FILE",
        help="Recorded answers to test on; without them, a fifth is held out",
    ),
    recorded: Path | None = typer.Option(
        None,
        "--recorded",
        parser=options.parse_path,
        metavar="FILE",
        help="Recorded answers; if they answer the plan, only they are used, and no language model is asked",
    ),
    again: Path | None = typer.Option(
        None,
        "--again",
        metavar="ANSWERS",
        help="Answers whose texts are asked about again, into a separate store, to see how far a language model agrees "
        "with itself (evaluate --second)",
        exists=True,
        dir_okay=False,
    ),
    sample: options.Sample = 500,
    recorded_only: options.RecordedOnly = False,
    model: options.Model = None,
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
    text_field: options.TextField = ["text"],  # noqa: B006 (typer copies it)
    id_field: options.IdField = "id",
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
    # fmt: on
):
    """Choose texts, get their answers, place the quotes and write them for training.

    Answers that the store holds are not paid for again. If a limit is reached, the answers so far are written, and
    the same command goes on from there.

    With --again, the texts of earlier answers are asked about a second time, in place of a corpus.

    Example: falconer annotate plan.json reviews.jsonl --sample 500 --store answers.db --output answers.spacy
    """
    from spacy_falconer.llm.store import AnswerStore
    from spacy_falconer.plan import read_plan
    from spacy_falconer.workflow.times import Took, note_beside
    from spacy_falconer.workflow.written import check_outputs, write_annotated

    with plain_errors():
        check_outputs(output, test_output, inputs=(plan, corpus, store, recorded), test_answers=test_answers)
        check_texts(again, corpus, output, {
            "--test-output": test_output, "--test-answers": test_answers, "--recorded": recorded, "--annotator": annotator,
            "--recorded-only": recorded_only, "--choose": choose != "random", "--rounds": rounds > 1,
        })  # fmt: skip
    with plain_errors(), AnswerStore(store) as opened, open_corpus(corpus, text_field, id_field) as records:
        endpoint = options.make_endpoint(
            model, max_cost=max_cost, max_requests=max_requests, max_in_flight=max_in_flight, is_batch=batch,
            requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute, timeout_s=timeout,
        )  # fmt: skip
        sampling = options.make_sampling(sample, choose, rounds, few_shot, seed=seed, config=config, source=source)
        checked = read_plan(plan)
        cost, start = show_cost(endpoint.ledger), time.perf_counter()
        with show_bill(endpoint.ledger, quiet=quiet), progress("Annotating", sample, quiet=quiet, note=cost) as tick:
            settings = {
                "sampling": sampling, "endpoint": endpoint, "redact": options.find_redactor(redact),
                "memory": output.with_suffix(".chosen.json"), "tick": tick, "watch": batch_lines(quiet=quiet),
            }  # fmt: skip
            annotated = get_answers(
                checked, again, records, opened, settings, recorded_only=recorded_only, recorded=recorded,
                annotator=options.find_annotator(annotator), warn=msg.warn,
            )  # fmt: skip
        took = Took(round(time.perf_counter() - start, 3), endpoint.ledger.total.n_requests)
        n_each = write_annotated(annotated, checked, output, test_output, test_answers=test_answers, seed=seed)
        if again is None:
            note_beside(output, "annotate", took)
        if not quiet:
            show_annotated(annotated, is_again=again is not None)
            msg.good(describe_written(annotated, output, *n_each, is_again=again is not None))
        if annotated.stopped is not None:
            raise annotated.stopped


def check_texts(again: Path | None, corpus: Path | None, output: Path, others: dict[str, object]) -> None:
    """RAISES (FalconerError): Texts come neither from a corpus nor from answers, or from both; or with those of answers,
    an option has no meaning, or the output would replace the answers.
    """
    if (again is None) == (corpus is None):
        raise FalconerError(
            "Expected texts to ask about: either a CORPUS, or --again ANSWERS, whose texts are asked about again."
        )
    if again is not None and (said := [name for name, value in others.items() if value]):
        raise FalconerError(
            f"With --again the texts are those of {str(again)!r}, and a language model is asked: {', '.join(said)} "
            "has no meaning there. Leave it out."
        )
    if again is not None and output.resolve() == again.resolve():
        raise FalconerError(f"The second reading would replace the first, {str(again)!r}. Name another --output.")


def get_answers(plan, again: Path | None, records, store, settings: dict[str, Any], **others: Any) -> Any:
    """Get answers to a corpus's texts, or new ones to those of answers. others: Settings for a corpus alone."""
    from spacy_falconer.workflow.again import annotate_again
    from spacy_falconer.workflow.annotate import annotate
    from spacy_falconer.workflow.written import answered_docs

    if again is not None:
        return annotate_again(plan, answered_docs(again, plan), store, **settings)
    return annotate(plan, records, store, **settings, **others)


def show_annotated(annotated, *, is_again: bool = False) -> None:
    """Show whose answers these are, a summary, and what failed. `is_again`: They are not meant to be learned from."""
    from spacy_falconer.workflow.bill import format_failed
    from spacy_falconer.workflow.summary import format_answers

    if annotated.is_recorded:
        msg.info(f"These answers are recorded, by {', '.join(annotated.models)}; no language model was asked.")
    say(format_answers(annotated.docs, annotated.report))
    if not is_again:
        warn_of_one_sided(annotated.docs)
    if annotated.failed:
        again = "They are not asked about again until you run `answers delete --failures`."
        msg.warn(f"Texts without an answer: {len(annotated.failed)}. {again}", format_failed(annotated.failed))
    if annotated.stopped is not None:
        msg.warn(f"It stopped before the end: {len(annotated.docs)} of {annotated.n_chosen} texts are answered.")


def describe_written(annotated, output: Path, n_train: int, n_test: int, *, is_again: bool) -> str:
    if not is_again:
        return f"{n_train} answered texts to learn from, {n_test} to test on"
    return f"{n_train} texts read again, by {', '.join(annotated.models)}. See how far both agree: evaluate --second {output}"


def warn_of_one_sided(docs) -> None:
    """Name the instructions that have the same answer everywhere."""
    from spacy_falconer.workflow.summary import list_always_true, list_never_true

    remedy = "Annotate more texts (--sample, --choose balanced), or put it in other words in the plan."
    if never := list_never_true(docs):
        msg.warn(f"True of no text: {', '.join(never)}. What is never true cannot be learned.", remedy)
    if always := list_always_true(docs):
        msg.warn(f"True of every text asked: {', '.join(always)}. What is never false cannot be learned.", remedy)
