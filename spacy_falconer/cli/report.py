from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli import options
from spacy_falconer.cli.screen import msg, plain_errors, say


def report_cli(
    # fmt: off
    folder: Path = typer.Argument(..., help="Output folder of induce or of the project", exists=True, file_okay=False),
    corpus: Path | None = typer.Option(
        None, "--corpus", help="The corpus, to show the rows' texts with what was found in them", exists=True
    ),
    prices: options.Prices = None,
    # fmt: on
):
    """Write an HTML page with the results of a run, and print the plan, the agreement and the first rows.

    The page is report.html in the folder. It loads nothing from elsewhere. What a run does not have is left out, with a note.

    Example: falconer report output --corpus reviews.jsonl
    """
    from spacy_falconer.workflow.page import find_row_texts, read_run, write_page
    from spacy_falconer.workflow.report import format_run

    with plain_errors():
        run = read_run(folder)
        texts = find_row_texts(run, corpus) if corpus is not None else None
        page = write_page(run, texts)
        say(format_run(folder, run.plan, run.scores, run.first, run.n_rows, texts or {}))
        for line in run.missing:
            msg.warn(line)
    say(f"The report, for a browser: {page}")
