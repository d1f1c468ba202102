from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli import options
from spacy_falconer.cli.screen import msg, plain_errors, say, warn_of_places, warn_of_thresholds


def calibrate_cli(
    # fmt: off
    pipeline: Path = options.PIPELINE,
    answers: Path = typer.Argument(
        ..., help="Answers it was not trained on, .spacy or .jsonl", exists=True, dir_okay=False
    ),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for the pipeline with its new thresholds"),
    target: options.Target = (),
    gpu_id: options.Gpu = -1,
    quiet: options.Quiet = False,
    # fmt: on
):
    """Fit a trained pipeline's scores and thresholds to answers, without training.

    Example: falconer calibrate pipeline test.spacy --output precise --target precision=0.95
    """
    from spacy_falconer.pipeline.source import load_pipeline
    from spacy_falconer.workflow.answers import check_answered, read_answers
    from spacy_falconer.workflow.calibration import format_changes, measure_changes
    from spacy_falconer.workflow.files import check_writable
    from spacy_falconer.workflow.fitted import format_thresholds, note_fitted
    from spacy_falconer.workflow.mining.mined import find_plan
    from spacy_falconer.workflow.targets import parse_targets
    from spacy_falconer.workflow.thresholds import fit_candidates, read_candidates

    with plain_errors():
        check_writable(output, is_folder=True)
        nlp = load_pipeline(pipeline)
        plan = find_plan(nlp)
        targets = parse_targets(target, plan=plan)
        docs, placed = read_answers(answers, plan, nlp)
        check_answered(docs, plan)
        heard = read_candidates(nlp, docs)
        changes = measure_changes(heard)
        fitted = fit_candidates(heard, targets)
        note_fitted(nlp, fitted)
        output.mkdir(parents=True, exist_ok=True)
        nlp.to_disk(output)
    if not quiet:
        msg.good(f"Scores and thresholds fitted to {len(docs)} answered texts. Pipeline: {output}")
        say(format_changes(changes))
        msg.info("Before: as the scores were. After: each fifth of the texts with calibrations fitted to the others.")
        say(format_thresholds(fitted))
        warn_of_places(placed)
        warn_of_thresholds(fitted)
