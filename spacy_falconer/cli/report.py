from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli.screen import plain_errors


def report_cli(
    # fmt: off
    folder: Path = typer.Argument(..., help="Output folder of induce or of the project", exists=True, file_okay=False),
    corpus: Path | None = typer.Option(
        None, "--corpus", help="The corpus, to show how the rows' texts begin", exists=True
    ),
    # fmt: on
):
    """Print what a run came to: the plan, the agreement, the first rows, and where the files lie.

    Example: falconer report output
    """
    from spacy_falconer.corpus.read import read_corpus
    from spacy_falconer.workflow.report import format_folder

    with plain_errors():
        texts = {record.id: record.text for record in read_corpus(corpus)} if corpus is not None else {}
        print(format_folder(folder, texts))
