from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli.screen import msg, plain_errors

answers = typer.Typer(name="answers", help="Recorded answers, in and out of a store.", no_args_is_help=True)


@answers.command("import")
def import_cli(
    # fmt: off
    file: Path = typer.Argument(..., help="Recorded answers, one JSON a text", exists=True, dir_okay=False),
    store: Path = typer.Option(..., "--store", help="The store, made if it is not there"),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Print nothing"),
    # fmt: on
):
    """Put recorded answers into a store. Answers that it holds already stay as they are.

    Example: falconer answers import answers.jsonl --store answers.db
    """
    from spacy_falconer.llm.exchange import read_exchange
    from spacy_falconer.llm.store import AnswerStore

    with plain_errors(), AnswerStore(store) as opened:
        before = len(opened)
        opened.put_many(read_exchange(file))
        n_new, total, models = len(opened) - before, len(opened), opened.models()
    if not quiet:
        msg.good(f"{n_new} new answers; {store} holds {total}, by {', '.join(models)}")


@answers.command("export")
def export_cli(
    # fmt: off
    file: Path = typer.Argument(..., help="Where to write recorded answers, one JSON a text", dir_okay=False),
    store: Path = typer.Option(..., "--store", help="The store", exists=True, dir_okay=False),
    # fmt: on
):
    """Write all of a store's answers to a file.

    Example: falconer answers export answers.jsonl --store answers.db
    """
    from spacy_falconer.llm.exchange import write_exchange
    from spacy_falconer.llm.store import AnswerStore

    with plain_errors(), AnswerStore(store) as opened:
        write_exchange(opened.export(), file)
    msg.good(f"Answers written to {file}")
