from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli import options
from spacy_falconer.cli.screen import plain_errors, progress, say, warn_of_places


def evaluate_cli(
    # fmt: off
    pipeline: Path = options.PIPELINE,
    answers: Path = typer.Argument(
        ..., help="Answers it was not trained on, .spacy or .jsonl", exists=True, dir_okay=False
    ),
    baselines: Path | None = typer.Option(
        None,
        "--baselines",
        metavar="ANSWERS",
        help="The answers it was trained on; regression and others that learn from them are compared, too",
        exists=True,
        dir_okay=False,
    ),
    second: Path | None = typer.Option(
        None,
        "--second",
        metavar="ANSWERS",
        help="A second reading of the texts by the language model, to compare it with itself",
        exists=True,
        dir_okay=False,
    ),
    curve: bool = typer.Option(
        False, "--curve", help="Learn from growing parts of the training answers; it takes minutes"
    ),
    quick_curve: bool = typer.Option(
        False, "--quick-curve", help="The same with only the heads, on the pre-trained encoder; it takes seconds"
    ),
    source: options.Source = None,
    config: options.Config = None,
    json_file: Path | None = typer.Option(
        None, "--json", help="Also write all that was measured to this file; `report` shows it if it is scores.json"
    ),
    seed: options.Seed = 0,
    gpu_id: options.Gpu = -1,
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Print no table"),
    # fmt: on
):
    """Measure the agreement with the language model, and with people if they answered.

    It comes with 95% intervals, beside keywords and the metamodel without training, and, with --baselines, beside methods
    that learn from the same answers.

    Example: falconer evaluate pipeline test.spacy --baselines train.spacy --json scores.json
    """
    import srsly

    from spacy_falconer.pipeline.source import load_pipeline
    from spacy_falconer.workflow.answers import read_answers
    from spacy_falconer.workflow.evaluate import count_reads, evaluate, find_origin, name_plan
    from spacy_falconer.workflow.files import check_not_read, check_writable
    from spacy_falconer.workflow.report import format_scores

    with plain_errors():
        if json_file is not None:
            check_not_read(json_file, answers, baselines, second)
            check_writable(json_file, in_place=True)
        nlp = load_pipeline(pipeline)
        plan = name_plan(nlp)
        docs, placed = read_answers(answers, plan, nlp)
        train_docs, again = (
            read_answers(path, plan, nlp)[0] if path is not None else [] for path in (baselines, second)
        )
        origin = find_origin(*options.tell_apart(source, config))
        with progress("Reading", count_reads(docs, train_docs, origin["source"]), quiet=quiet) as tick:
            scores = evaluate(
                nlp, docs, train_docs=train_docs, second=again, curve="full" if curve else "heads" if quick_curve else None,
                **origin, seed=seed, tick=tick,
            )  # fmt: skip
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        srsly.write_json(json_file, scores)
    if not quiet:
        warn_of_places(placed)
        say(format_scores(scores))
