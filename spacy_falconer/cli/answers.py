from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli import options
from spacy_falconer.cli.screen import msg, plain_errors
from spacy_falconer.errors import AnswerError

answers = typer.Typer(name="answers", help="Answers in a store: in, out, forgotten.", no_args_is_help=True)
STORE = typer.Option(..., "--store", help="The store", exists=True, dir_okay=False)


@answers.command("import")
def import_cli(
    # fmt: off
    file: Path = typer.Argument(..., help="Recorded answers, one JSON a text", exists=True, dir_okay=False),
    store: Path = typer.Option(..., "--store", help="The store, made if it is not there"),
    quiet: options.Quiet = False,
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
    store: Path = STORE,
    # fmt: on
):
    """Write all of a store's answers to a file.

    Example: falconer answers export answers.jsonl --store answers.db
    """
    from spacy_falconer.workflow.answers import export

    with plain_errors():
        export(store, file)
    msg.good(f"Answers written to {file}")


@answers.command("delete")
def delete_cli(
    # fmt: off
    store: Path = STORE,
    texts: Path | None = typer.Option(None, "--texts", help="Answers about these texts, a corpus", exists=True),
    ids: list[str] = typer.Option([], "--id", help="Of the corpus, only the text with this id; may be repeated"),
    model: str | None = typer.Option(None, "--model", help="Answers of this language model"),
    instruction: str | None = typer.Option(None, "--instruction", help="Answers to this instruction, word for word"),
    failures: bool = typer.Option(False, "--failures", help="No answers, but that texts failed: they are asked again"),
    text_field: options.TextField = ["text"],  # noqa: B006 (typer copies it)
    id_field: options.IdField = "id",
    # fmt: on
):
    """Forget answers: those that fit all that is named. Nothing of them stays readable in the file.

    Example: falconer answers delete --store answers.db --texts withdrawn.jsonl
    """
    from spacy_falconer.workflow.answers import ask_failed_again, forget
    from spacy_falconer.workflow.corpus_file import CorpusFile

    with plain_errors():
        if failures and any((texts, ids, model, instruction)):
            raise AnswerError(
                "--failures stands alone: all texts that failed are asked again. Name nothing else with it."
            )
        if failures:
            ask_failed_again(store)
            msg.good("Texts that failed are asked again")
            return
        records = CorpusFile(texts, text_field, id_field) if texts else None
        n_forgotten = forget(store, records=records, ids=ids, model=model, instruction=instruction)
    msg.good(f"{n_forgotten} answers forgotten")


@answers.command("batches")
def batches_cli(
    # fmt: off
    store: Path = STORE,
    cancel: bool = typer.Option(False, "--cancel", help="Cancel them, and keep what they have answered"),
    # fmt: on
):
    """The batches under way for a store, as they were last seen; or cancel them.

    Example: falconer answers batches --store answers.db
    """
    from spacy_falconer.workflow.answers import find_batches, stop_batches
    from spacy_falconer.workflow.bill import format_batches

    with plain_errors():
        if cancel:
            stop_batches(store)
        print(format_batches(find_batches(store)))
