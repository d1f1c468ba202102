"""The commands: `python -m spacy falconer COMMAND`, the same as `python -m spacy_falconer COMMAND`."""

from __future__ import annotations

import typer

from spacy_falconer.cli.annotate import annotate_cli
from spacy_falconer.cli.answers import answers
from spacy_falconer.cli.calibrate import calibrate_cli
from spacy_falconer.cli.estimate import estimate_cli
from spacy_falconer.cli.evaluate import evaluate_cli
from spacy_falconer.cli.induce import induce_cli
from spacy_falconer.cli.mine import mine_cli
from spacy_falconer.cli.plan import plan_cli
from spacy_falconer.cli.pretrain import pretrain_cli, ship_cli
from spacy_falconer.cli.report import report_cli
from spacy_falconer.cli.review import review
from spacy_falconer.cli.train import train_cli

app = typer.Typer(
    name="falconer",
    help="Knowledge mining at scale: a sentence and a corpus in, a mined table and a fast spaCy pipeline out.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # A traceback must not show texts or keys.
)

COMMANDS = (
    induce_cli, plan_cli, estimate_cli, annotate_cli, train_cli, calibrate_cli, evaluate_cli, mine_cli, report_cli,
    pretrain_cli, ship_cli,
)  # fmt: skip
for command in COMMANDS:
    app.command(command.__name__.removesuffix("_cli"))(command)
app.add_typer(answers)
app.add_typer(review)


def main() -> None:
    """Run the commands without spaCy's command line."""
    app()
