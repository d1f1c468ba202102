from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli.screen import msg, plain_errors


def annotate_cli(
    # fmt: off
    plan: Path = typer.Argument(..., help="The plan, as a .json file", exists=True, dir_okay=False),
    corpus: Path = typer.Argument(..., help="Texts: .jsonl, .csv, .parquet, .txt or a folder of .txt", exists=True),
    sample: int = typer.Option(500, "--sample", "-n", help="How many texts to answer at most", min=1),
    store: Path = typer.Option(..., "--store", help="Where every answer is kept; made if it is not there"),
    output: Path = typer.Option(..., "--output", "-o", help="Answers to learn from, as a .spacy file"),
    test_output: Path | None = typer.Option(None, "--test-output", help="Answers to test on, as a .spacy file"),
    test_answers: str | None = typer.Option(
        None, "--test-answers", help="Recorded answers to test on; else a fifth is held out"
    ),
    recorded_only: bool = typer.Option(False, "--recorded-only", help="Only texts that the store answers; ask nobody"),
    model: str | None = typer.Option(None, "--model", help="The language model; with --recorded-only, whose answers"),
    text_field: list[str] = typer.Option(["text"], "--text-field", help="Column of the text; several are joined"),
    id_field: str = typer.Option("id", "--id-field", help="Column of the text's id"),
    seed: int = typer.Option(0, "--seed", help="Seed of the choice of texts"),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Print no table"),
    # fmt: on
):
    """Choose texts, get their answers, place the quotes and write them for training.

    Example: falconer annotate plan.json reviews.jsonl --sample 500 --store answers.db --output answers.spacy
    """
    from spacy_falconer.corpus.docbin import write_docbin
    from spacy_falconer.corpus.read import read_corpus
    from spacy_falconer.llm.store import AnswerStore
    from spacy_falconer.plan import read_plan
    from spacy_falconer.workflow.annotate import annotate, hold_out

    with plain_errors(), AnswerStore(store) as opened:
        checked = read_plan(plan)
        records = read_corpus(corpus, text_field=tuple(text_field), id_field=id_field)
        options = {"n_sample": sample, "recorded_only": recorded_only, "model": model, "seed": seed}
        annotated = annotate(checked, records, opened, **options)
        docs, test_docs = annotated.docs, []
        if test_output is not None:
            docs, test_docs = hold_out(docs, checked, Path(test_answers) if test_answers else None, seed=seed)
            write_docbin(test_docs, test_output)
        write_docbin(docs, output)
    if not quiet:
        show_annotated(annotated, n_train=len(docs), n_test=len(test_docs), recorded_only=recorded_only)


def show_annotated(annotated, *, n_train: int, n_test: int, recorded_only: bool) -> None:
    from spacy_falconer.workflow.report import format_grounding

    if recorded_only:
        msg.info(f"These answers are recorded, by {', '.join(annotated.models)}; no language model was asked.")
    print(format_grounding(annotated.report))
    msg.good(f"{n_train} answered texts to learn from, {n_test} to test on")
