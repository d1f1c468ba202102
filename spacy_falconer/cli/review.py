from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli import options
from spacy_falconer.cli.screen import msg, open_corpus, plain_errors, progress

review = typer.Typer(
    name="review", help="Review by people: export uncertain texts, import corrections.", no_args_is_help=True
)


@review.command("export")
def export_cli(
    # fmt: off
    pipeline: Path = options.PIPELINE,
    corpus: Path = options.CORPUS,
    output: Path = typer.Option(..., "--output", "-o", help="Where to write the tasks", dir_okay=False),
    tool: str = typer.Option("prodigy", "--format", help="prodigy, label-studio or argilla"),
    n: int = typer.Option(50, "--n", "-n", help="How many texts at most", min=1),
    store: Path | None = typer.Option(
        None,
        "--store",
        help="Answers to compare with; without them, only texts it is unsure about are chosen",
        exists=True,
        dir_okay=False,
    ),
    rows: Path | None = typer.Option(
        None, "--rows", help="Mined rows; only texts that they were mined from", exists=True, dir_okay=False
    ),
    model: options.Model = None,
    text_field: options.TextField = ["text"],  # noqa: B006 (typer copies it)
    id_field: options.IdField = "id",
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
    # fmt: on
):
    """Write texts that a pipeline is unsure about, or where it contradicts the answers, for people to review.

    A second file has what the tool needs to show them: a labelling configuration, or settings.

    Example: falconer review export pipeline reviews.jsonl --store answers.db --format label-studio --output review.json
    """
    from spacy_falconer.llm.store import AnswerStore
    from spacy_falconer.pipeline.source import load_pipeline
    from spacy_falconer.workflow.files import check_not_read
    from spacy_falconer.workflow.review import export_reviews

    with plain_errors(), open_corpus(corpus, text_field, id_field) as records:
        check_not_read(output, corpus, store, rows)
        opened = AnswerStore(store) if store is not None else None
        with progress("Reading", None, quiet=quiet) as tick:
            done = export_reviews(
                load_pipeline(pipeline), records, output, tool=tool, n=n, store=opened, rows=rows, model=model, seed=seed,
                tick=tick,
            )  # fmt: skip
    if done.n_left_out:
        msg.warn(
            f"{done.n_left_out} texts with emoji and the like were left out: {tool} counts their characters differently"
        )
    if not quiet:
        msg.good(f"{done.n_texts} texts to review in {output}, shown by {done.config}")


@review.command("import")
def import_cli(
    # fmt: off
    plan: Path = typer.Argument(..., help="The plan, as a .json file", exists=True, dir_okay=False),
    files: list[Path] = typer.Argument(
        ..., help="What Prodigy, Label Studio or Argilla exported, .json or .jsonl", exists=True, dir_okay=False
    ),
    store: Path = typer.Option(..., "--store", help="Where the corrections go; created if it does not exist"),
    quiet: options.Quiet = False,
    # fmt: on
):
    """Take people's corrections into a store. They take precedence over a language model's answers and over earlier ones.

    Records that cannot be taken go to the .rejects.jsonl beside the first file, each with the reason.

    Example: falconer review import plan.json reviewed.jsonl --store answers.db
    """
    from spacy_falconer.llm.store import AnswerStore
    from spacy_falconer.plan import read_plan
    from spacy_falconer.workflow.review import take_reviews, write_rejects

    with plain_errors(), AnswerStore(store) as opened:
        taken = take_reviews(read_plan(plan), files, opened)
        rejects = write_rejects(taken.rejects, files[0], store=store)
    if rejects is not None:
        msg.warn(f"Not taken: {len(taken.rejects)}; all are in {rejects}. The first:", taken.rejects[0].reason)
    show_taken(taken, quiet=quiet)


def show_taken(taken, *, quiet: bool) -> None:
    """Show what people's work led to. Warnings are shown even with --quiet."""
    for words, n_answers in taken.foreign.items():
        msg.warn(f"{n_answers} answers are to {words!r}, which the plan does not ask; they are kept under these words")
    if taken.n_misaligned:
        msg.warn(f"{taken.n_misaligned} passages begin or end within a token: kept, but no pipeline can find them")
    if not taken.n_answers and taken.outcomes["open"]:
        msg.warn(
            f"Nobody has answered any of the {taken.outcomes['open']} records. Export the file again from the tool in which they "
            "were reviewed."
        )
    if quiet:
        return
    outcomes = ", ".join(f"{taken.outcomes[name]} {name}" for name in ("answered", "rejected", "skipped", "open"))
    msg.info(f"Records: {outcomes}; {taken.n_superseded} answers replaced by later ones of the same person")
    msg.good(
        f"{taken.n_answers} answers by people to {taken.n_texts} texts, {taken.n_new_texts} of them new to the store; "
        f"{taken.n_changed} answers were changed"
    )
