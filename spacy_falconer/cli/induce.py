from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli.mine import show_mined
from spacy_falconer.cli.screen import msg, plain_errors, progress
from spacy_falconer.cli.train import show_training


def induce_cli(
    # fmt: off
    sentence: str = typer.Argument(..., help="What to mine, in one sentence, or a text file that holds it"),
    corpus: Path = typer.Argument(..., help="Texts: .jsonl, .csv, .parquet, .txt or a folder of .txt", exists=True),
    output: Path = typer.Option(
        ..., "--output", "-o", help="Folder for the plan, the answers, the pipeline and the rows"
    ),
    plan: Path | None = typer.Option(
        None, "--plan", help="A plan of your own, or a recorded one", exists=True, dir_okay=False
    ),
    answers: list[Path] = typer.Option(
        [], "--answers", help="Recorded answers to put into the store first", exists=True, dir_okay=False
    ),
    sample: int = typer.Option(500, "--sample", "-n", help="How many texts to answer at most", min=1),
    recorded_only: bool = typer.Option(False, "--recorded-only", help="Only texts that the store answers; ask nobody"),
    model: str | None = typer.Option(None, "--model", help="The language model; with --recorded-only, whose answers"),
    text_field: list[str] = typer.Option(["text"], "--text-field", help="Column of the text; several are joined"),
    id_field: str = typer.Option("id", "--id-field", help="Column of the text's id"),
    config: Path | None = typer.Option(
        None, "--config", "-c", help="Training config, such as configs/cpu.cfg", exists=True, dir_okay=False
    ),
    seed: int = typer.Option(0, "--seed", help="Seed of everything random"),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress, no tables"),
    # fmt: on
):
    """From a sentence and a corpus to a mined table and a pipeline, in one go.

    Example: falconer induce "Extract all prices from positive reviews" reviews.jsonl --output mined
    """
    from spacy_falconer.corpus.read import read_corpus
    from spacy_falconer.workflow.induce import induce
    from spacy_falconer.workflow.plan import read_sentence
    from spacy_falconer.workflow.report import format_scores

    with plain_errors():
        records = list(read_corpus(corpus, text_field=tuple(text_field), id_field=id_field))
        with progress("Mining", len(records), quiet=quiet) as tick:
            found = induce(
                read_sentence(sentence), records, output, plan=plan, answers=answers, n_sample=sample,
                recorded_only=recorded_only, model=model, config=config, seed=seed, quiet=quiet, tick=tick,
            )  # fmt: skip
    if not quiet:
        show_training(found.training, output / "pipeline")
        print(format_scores(found.scores))
        show_mined(found.nlp, records, output / "rows.jsonl", found.mining, n_rows=10)
        msg.good(f"Plan, answers, pipeline, scores and rows are in {output}")
