from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli.screen import plain_errors


def evaluate_cli(
    # fmt: off
    pipeline: Path = typer.Argument(..., help="Folder of a trained pipeline", exists=True, file_okay=False),
    answers: Path = typer.Argument(
        ..., help="Answers it was not trained on, .spacy or .jsonl", exists=True, dir_okay=False
    ),
    json_file: Path | None = typer.Option(None, "--json", help="Write the scores to this file, too"),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Print no table"),
    # fmt: on
):
    """Agreement with the language model, and with people where they answered.

    Example: falconer evaluate pipeline answers-test.jsonl --json scores.json
    """
    import spacy
    import srsly

    from spacy_falconer.workflow.answers import read_answers
    from spacy_falconer.workflow.evaluate import evaluate
    from spacy_falconer.workflow.mine import find_plan
    from spacy_falconer.workflow.report import format_scores

    with plain_errors():
        nlp = spacy.load(pipeline)
        docs, _ = read_answers(answers, find_plan(nlp), nlp)
        scores = evaluate(nlp, docs)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        srsly.write_json(json_file, scores)
    if not quiet:
        print(format_scores(scores))
