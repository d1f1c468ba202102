from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from spacy_falconer.cli import mine_guarantee, mine_ray, options
from spacy_falconer.cli.screen import mining, msg, plain_errors, say

N_SEARCHED = 100_000  # Records to search for the texts of the first rows.


def mine_cli(
    # fmt: off
    pipeline: Path = options.PIPELINE,
    corpus: str = typer.Argument(
        ...,
        help="Texts: .jsonl, .csv, .tsv, .txt (each also .gz or .zst), .parquet, or a folder of them",
        parser=mine_ray.parse_corpus,
        metavar="CORPUS",
    ),
    output: str = typer.Option(
        ...,
        "--output",
        "-o",
        help="The rows: a .jsonl or .parquet file, or a folder for parts of Parquet",
        parser=mine_ray.parse_output,
        metavar="PATH",
    ),
    text_field: options.TextField = ["text"],  # noqa: B006 (typer copies it)
    id_field: options.IdField = "id",
    since: Path | None = typer.Option(
        None,
        "--since",
        help="The .manifest.json of an earlier run: records that it read are skipped",
        exists=True,
        dir_okay=False,
    ),
    fresh: bool = typer.Option(False, "--fresh", help="Begin again, rather than go on where an earlier run stopped"),
    n_process: options.NProcess = 1,
    batch_size: int = typer.Option(
        256, "--batch-size", help="Texts that are read at once; fewer if they are long", min=1
    ),
    precision: options.Precision = "fp32",
    part_size: int = typer.Option(
        10_000, "--part-size", help="Texts that are saved together: the most that are read again after a kill", min=1
    ),
    gpu_id: options.Gpu = -1,
    engine: mine_ray.Engine = "local",
    workers: mine_ray.Workers = None,
    worker_cpus: mine_ray.WorkerCpus = mine_ray.WORKER_CPUS,
    worker_gpus: mine_ray.WorkerGpus = mine_ray.WORKER_GPUS,
    ray_address: mine_ray.RayAddress = None,
    guarantee: mine_guarantee.Guarantee = None,
    store: mine_guarantee.Store = None,
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
    show: int = typer.Option(10, "--show", help="Rows to print at the end", min=0),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress bar, no table"),
    # fmt: on
):
    """Run a pipeline over a corpus and write a row for every text that its plan keeps.

    It may be stopped, or killed, at any time: the same command goes on, and no row is lost or doubled. Rows of the
    corpus that cannot be read go to the .rejects.jsonl beside the rows. A .jsonl or .parquet file appears when it is complete.

    Example: falconer mine pipeline reviews.jsonl --output rows.jsonl
    """
    from spacy_falconer.pipeline.source import load_pipeline
    from spacy_falconer.workflow.corpus_file import CorpusFile
    from spacy_falconer.workflow.mining.clear import check_apart
    from spacy_falconer.workflow.mining.parts import Paths
    from spacy_falconer.workflow.mining.reading import check_processes
    from spacy_falconer.workflow.times import Took, note_beside

    with plain_errors():
        records = CorpusFile(corpus, text_field, id_field)
        check_apart(corpus, Paths(output))
        check_processes(n_process)  # Before a guarantee asks anything.
        settings = {"batch_size": batch_size, "precision": precision, "part_size": part_size, "fresh": fresh}
        alone = {"since": (since, None), "n_process": (n_process, 1), "guarantee": (guarantee, None)}
        endpoint = {
            "model": model, "max_cost": max_cost, "max_requests": max_requests, "max_in_flight": max_in_flight,
            "requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute, "timeout_s": timeout,
            "is_batch": batch, "redact": redact, "annotator": annotator,
        }  # fmt: skip
        mine_guarantee.warn_of_ignored(guarantee, endpoint, n_process=n_process)
        cluster = {"address": ray_address, "n_workers": workers, "n_threads": worker_cpus, "n_gpus": worker_gpus}
        on_ray = mine_ray.is_on_ray(engine, corpus, output, cluster=cluster, **alone)
        nlp = load_pipeline(pipeline)
        if on_ray:
            report = mine_ray.mine_by_ray(nlp, records, output, quiet=quiet, cluster=cluster, **settings)
        else:
            promised = mine_guarantee.keep_promise(
                guarantee, nlp, records, output, store=store, quiet=quiet, endpoint=endpoint, batch_size=batch_size,
                precision=precision, fresh=fresh, since=since,
            )  # fmt: skip
            settings |= {"n_process": n_process, "since": since, "guaranteed": promised}
            report = mine_here(nlp, records, output, quiet=quiet, **settings)
        note_beside(output, "mine", Took(round(report.seconds, 3), n_texts=report.n_texts - report.n_before))
    show_report(nlp, records, output, report, n_rows=show, quiet=quiet)


def mine_here(nlp: Any, records: Any, output: Path, *, quiet: bool, **settings: Any) -> Any:
    """Mine on this machine, and show the progress. RETURNS: A MineReport."""
    from spacy_falconer.workflow.mine import count_done, mine

    n_done = 0 if settings["fresh"] else count_done(output)
    with mining(records.path, n_done, quiet=quiet) as tick:
        return mine(nlp, records, output, tick=tick, **settings)


def show_report(nlp: Any, records: Any, output: Path, report: Any, *, n_rows: int, quiet: bool) -> None:
    show_problems(report, output)
    if not quiet:
        show_mined(nlp, records, output, report, n_rows=n_rows)


def show_mined(nlp: Any, records: Any, output: Path, report: Any, *, n_rows: int) -> None:
    """Show the first rows as a table, then what was read and found."""
    from spacy_falconer.workflow.mine import find_plan
    from spacy_falconer.workflow.mining.parts import read_first_rows
    from spacy_falconer.workflow.report import format_rows

    if isinstance(output, Path) and isinstance(records.path, Path):  # Remote files are not read here.
        rows = read_first_rows(output, n_rows)
        say(format_rows(rows, find_plan(nlp), find_texts(records, {row["id"] for row in rows})))
    if report.n_texts and report.n_texts == report.n_before and not report.seconds:
        msg.good(f"{report.n_rows} rows in {output}: mined before, from the same inputs. To mine again, use --fresh.")
        return
    speed = f"{report.seconds:.1f} s, {report.texts_per_second:.1f} texts/s"
    before = f", {report.n_before} of them by an earlier run" if report.n_before else ""
    msg.good(f"{report.n_rows} rows of {report.n_texts} texts{before}, in {output} ({speed})")
    if report.n_duplicates:
        msg.info(f"{report.n_duplicates} texts repeat earlier ones in the corpus, and were not read again.")
    if report.n_skipped:
        msg.info(f"{report.n_skipped} records were skipped: the earlier run has read them.")


def find_texts(records: Any, ids: set[str]) -> dict[str, str]:
    """Return the texts with some ids, if they are near the beginning."""
    from spacy_falconer.workflow.mine import read_input
    from spacy_falconer.workflow.mining.mined import match_texts

    items = (item for (_, item), _ in zip(read_input(records), range(N_SEARCHED), strict=False))
    return match_texts(items, ids)


def show_problems(report: Any, output: Path) -> None:
    """Show what a user must know about the rows, even with --quiet."""
    from spacy_falconer.workflow.mining.parts import Paths

    if not report.n_texts and not report.n_rejected and not report.n_skipped:
        msg.warn("The corpus has no texts, so there are no rows.")
    if report.n_rejected:
        rejects = Paths(output).beside("rejects.jsonl")
        msg.warn(
            f"{report.n_rejected} rows of the corpus could not be read; they are in {rejects}, each with the reason."
        )
    if report.n_damaged:
        msg.warn(f"{report.n_damaged} files are damaged: what comes after the damage is not mined.")
    if n_other := sum(report.languages.values()):
        share, names = n_other / max(report.n_texts, 1), ", ".join(list(report.languages)[:3])
        msg.warn(
            f"{n_other} texts ({share:.1%}) seem to be in other languages than the pipeline's, mostly: {names}. "
            "Their scores mean little."
        )
    if report.n_unread_tokens:
        msg.warn(f"The encoder has no piece for {report.n_unread_tokens} tokens; they were read as blanks.")
