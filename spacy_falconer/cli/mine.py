from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli.screen import msg, plain_errors, progress


def mine_cli(
    # fmt: off
    pipeline: Path = typer.Argument(..., help="Folder of a trained pipeline", exists=True, file_okay=False),
    corpus: Path = typer.Argument(..., help="Texts: .jsonl, .csv, .parquet, .txt or a folder of .txt", exists=True),
    output: Path = typer.Option(..., "--output", "-o", help="The rows, as a .jsonl file"),
    text_field: list[str] = typer.Option(["text"], "--text-field", help="Column of the text; several are joined"),
    id_field: str = typer.Option("id", "--id-field", help="Column of the text's id"),
    show: int = typer.Option(10, "--show", help="Rows to print at the end"),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress, no table"),
    # fmt: on
):
    """Run a pipeline over a corpus and write a row for every text that its plan keeps.

    Example: falconer mine pipeline reviews.jsonl --output rows.jsonl
    """
    import spacy

    from spacy_falconer.corpus.read import read_corpus
    from spacy_falconer.workflow.mine import mine

    with plain_errors():
        nlp = spacy.load(pipeline)
        records = list(read_corpus(corpus, text_field=tuple(text_field), id_field=id_field))
        with progress("Mining", len(records), quiet=quiet) as tick:
            report = mine(nlp, records, output, tick=tick)
    if not quiet:
        show_mined(nlp, records, output, report, n_rows=show)


def show_mined(nlp, records, output: Path, report, *, n_rows: int) -> None:
    """The first rows as a table, then what was read and found."""
    from spacy_falconer.workflow.mine import find_plan
    from spacy_falconer.workflow.report import format_rows, read_rows

    texts = {record.id: record.text for record in records}
    print(format_rows(read_rows(output, n_rows), find_plan(nlp), texts))
    speed = f"{report.n_texts} texts in {report.seconds:.1f} s, {report.texts_per_second:.1f} texts/s"
    msg.good(f"{report.n_rows} rows in {output} ({speed})")
    if report.n_unread_tokens:
        msg.warn(f"The encoder has no piece for {report.n_unread_tokens} tokens; they were read as blanks.")
