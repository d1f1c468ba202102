"""The commands: `python -m spacy falconer COMMAND`, the same as `python -m spacy_falconer COMMAND`."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="falconer",
    help="Knowledge mining at scale: a sentence and a corpus in, a mined table and a fast spaCy pipeline out.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # A traceback must not show texts or keys.
)


def register() -> None:
    """Import the commands: each adds itself to `app`."""
    from spacy_falconer.cli import annotate, answers, evaluate, induce, mine, plan, report, train  # noqa: F401


register()


def main() -> None:
    """The commands on their own."""
    app()
