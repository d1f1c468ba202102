from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli.screen import msg, plain_errors


def report_cli(
    # fmt: off
    folder: Path = typer.Argument(..., help="Output folder of induce or of the project", exists=True, file_okay=False),
    # fmt: on
):
    """Print what a run came to: the plan, the agreement, the first rows, and where the files lie.

    Example: falconer report output
    """
    from spacy_falconer.workflow.report import format_folder

    with plain_errors():
        print(format_folder(folder))
    msg.good(f"All of it is in {folder}")
