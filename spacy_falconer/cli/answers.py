from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacy_falconer.cli import options
from spacy_falconer.cli.screen import msg, plain_errors, say
from spacy_falconer.errors import AnswerError

if TYPE_CHECKING:
    from spacy_falconer.workflow.own.bring import Brought

answers = typer.Typer(
    name="answers",
    help="Answers in a store: import, export, delete; and batches that are under way.",
    no_args_is_help=True,
)
STORE = typer.Option(..., "--store", help="The store", exists=True, dir_okay=False)


@answers.command("import")
def import_cli(
    # fmt: off
    file: Path = typer.Argument(
        ..., help="Recorded answers, or labelled data of your own", exists=True, dir_okay=False
    ),
    store: Path = typer.Option(..., "--store", help="The store; created if it does not exist"),
    plan: Path | None = typer.Option(
        None, "--plan", help="The plan whose steps the labels answer, as a .json file", exists=True, dir_okay=False
    ),
    names: list[str] = typer.Option(
        [], "--map", metavar="LABEL=STEP", help="Which label stands for which step; may be repeated"
    ),
    form: str | None = typer.Option(
        None, "--format", help="recorded, docbin, conll, prodigy, label-studio or argilla; by default recognized"
    ),
    complete: bool | None = typer.Option(
        None,
        "--complete/--partial",
        help="What is not labelled is not there (complete), or not known (partial); by default as such files are meant",
    ),
    model: str | None = typer.Option(None, "--model", help="Whose answers they are; by default people's"),
    text_field: str = typer.Option("text", "--text-field", help="Field of the text in Label Studio's tasks"),
    output: Path | None = typer.Option(
        None, "--output", "-o", help="All the store's answers about these texts, to learn from, as a .spacy file"
    ),
    test_output: Path | None = typer.Option(None, "--test-output", help="A fifth of it, to test on, as a .spacy file"),
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
    # fmt: on
):
    """Put recorded answers, or labelled data of your own, into a store. No language model is asked for these any more.

    Recorded answers that it holds already stay as they are. Labelled data (spaCy's .spacy, CoNLL, exports of Prodigy,
    Label Studio and Argilla) needs the plan; what was imported before is replaced by what the file says now.

    Example: falconer answers import answers.jsonl --store answers.db

    Example: falconer answers import train.spacy --plan plan.json --map MONEY=price --store answers.db --output answers.spacy
    """
    from spacy_falconer.workflow.own.forms import RECORDED, choose_form

    with plain_errors():
        chosen = choose_form(file, form, has_plan=plan is not None)
        if chosen == RECORDED:
            flag = "--partial" if complete is False else "--complete"
            given = {"--map": names, flag: complete, "--model": model, "--output": output, "--test-output": test_output}
            refuse_labels(given)
            import_recorded(file, store, quiet=quiet)
            return
        settings = {"names": names, "form": chosen, "complete": complete, "text_field": text_field}
        settings |= {"model": model} if model else {}
        import_labelled(file, plan, store, output, test_output, seed=seed, quiet=quiet, **settings)


def import_recorded(file: Path, store: Path, *, quiet: bool) -> None:
    from spacy_falconer.llm.exchange import read_exchange
    from spacy_falconer.llm.store import AnswerStore

    with AnswerStore(store) as opened:
        before = len(opened)
        opened.put_many(read_exchange(file))
        n_new, total, models = len(opened) - before, len(opened), opened.models()
    if not quiet:
        msg.good(f"{n_new} new answers; {store} holds {total}, by {', '.join(models)}")


def refuse_labels(given: Mapping[str, Any]) -> None:
    """RAISES (AnswerError): Options are for labelled data, but recorded answers say themselves who answered what."""
    if said := [name for name, value in given.items() if value not in (None, [])]:
        raise AnswerError(
            f"The file holds recorded answers, which name their instructions and models; expected no {said[0]}. Leave it "
            "out, or name the format of the file by --format."
        )


def import_labelled(
    file: Path, plan: Path, store: Path, output: Path | None, test_output: Path | None, *, seed: int, quiet: bool,
    **settings: Any,
) -> None:  # fmt: skip
    from spacy_falconer.llm.store import AnswerStore
    from spacy_falconer.plan import read_plan
    from spacy_falconer.workflow.own.bring import bring_answers, write_brought
    from spacy_falconer.workflow.review import write_rejects
    from spacy_falconer.workflow.written import check_outputs

    if output is None and test_output is not None:
        raise AnswerError(
            f"--test-output {str(test_output)!r} is given without --output. Name a file for the other answers by --output."
        )
    if output is not None:
        check_outputs(output, test_output, inputs=(file, plan, store))
    checked = read_plan(plan)
    with AnswerStore(store) as opened:
        brought = bring_answers(file, checked, opened, **settings)
        show_brought(brought, write_rejects(brought.taken.rejects, file, store=store), quiet=quiet)
        if output is not None:
            n_train, n_test = write_brought(brought.texts, checked, opened, output, test_output, seed=seed)
            if not quiet:
                msg.good(f"{n_train} answered texts to learn from, {n_test} to test on")


def show_brought(brought: Brought, rejects: Path | None, *, quiet: bool) -> None:
    """Show what was taken from a file. Warnings are shown even with --quiet."""
    taken = brought.taken
    if rejects is not None:
        msg.warn(f"Not taken: {len(taken.rejects)}; all are in {rejects}. The first:", taken.rejects[0].reason)
    if brought.foreign:
        named = ", ".join(f"{name} ({n})" for name, n in brought.foreign.most_common(20))
        msg.warn(f"Labels that belong to no step, left out: {named}. Say which step they are by --map LABEL=STEP.")
    if brought.missing:
        msg.warn(f"The file has no label {', '.join(brought.missing)}, which --map names.")
    if taken.n_misaligned:
        msg.warn(f"{taken.n_misaligned} passages begin or end within a token: kept, but no pipeline can find them")
    if quiet:
        return
    for key, (n_texts, n_found) in brought.counts.items():
        say(f"  {key}: answered for {n_texts} texts, true or found in {n_found}")
    if brought.unanswered:
        msg.info(f"Steps about which it says nothing, and which stay open: {', '.join(brought.unanswered)}")
    unread = ", ".join(f"{n} {name}" for name, n in taken.outcomes.items() if name != "answered")
    msg.good(
        f"{taken.n_answers} answers to {taken.n_texts} texts, read as {brought.form}"
        + (f" ({unread})" if unread else "")
    )


@answers.command("export")
def export_cli(
    # fmt: off
    file: Path = typer.Argument(..., help="Where to write recorded answers, one line of JSON per text", dir_okay=False),
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
    texts: Path | None = typer.Option(None, "--texts", help="Answers about the texts of this corpus", exists=True),
    ids: list[str] = typer.Option([], "--id", help="Only the corpus's text with this id; may be repeated"),
    pipeline: Path | None = typer.Option(
        None, help="Answers about sentences as this pipeline cuts them, too", file_okay=False
    ),
    model: str | None = typer.Option(None, "--model", help="Answers of this language model"),
    instruction: str | None = typer.Option(None, "--instruction", help="Answers to this instruction, word for word"),
    failures: bool = typer.Option(
        False, "--failures", help="Only forget which texts failed, so that they are asked again"
    ),
    text_field: options.TextField = ["text"],  # noqa: B006 (typer copies it)
    id_field: options.IdField = "id",
    # fmt: on
):
    """Delete the answers that match all given options. Nothing of them stays readable in the file.

    Example: falconer answers delete --store answers.db --texts withdrawn.jsonl
    """
    from spacy_falconer.pipeline.source import load_pipeline
    from spacy_falconer.workflow.answers import ask_failed_again, forget
    from spacy_falconer.workflow.corpus_file import CorpusFile

    with plain_errors():
        if failures and any((texts, ids, model, instruction)):
            raise AnswerError(
                "--failures cannot be combined with other options: all texts that failed are asked again. Leave them out."
            )
        if failures:
            ask_failed_again(store)
            msg.good("Texts that failed will be asked again")
            return
        records = CorpusFile(texts, text_field, id_field) if texts else None
        nlp = load_pipeline(pipeline) if pipeline is not None else None
        n_forgotten = forget(store, records=records, ids=ids, model=model, instruction=instruction, nlp=nlp)
    msg.good(f"{n_forgotten} answers forgotten")


@answers.command("batches")
def batches_cli(
    # fmt: off
    store: Path = STORE,
    cancel: bool = typer.Option(False, "--cancel", help="Cancel them, and keep what they have answered"),
    # fmt: on
):
    """Show the batches under way for a store, as they were last seen, or cancel them.

    Example: falconer answers batches --store answers.db
    """
    from spacy_falconer.workflow.answers import find_batches, stop_batches
    from spacy_falconer.workflow.bill import format_batches

    with plain_errors():
        if cancel:
            stop_batches(store)
        say(format_batches(find_batches(store)))
