from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli import options
from spacy_falconer.cli.screen import msg, plain_errors, warn_of_places, warn_of_thresholds


def train_cli(
    # fmt: off
    plan: Path = typer.Argument(..., help="The plan, as a .json file", exists=True, dir_okay=False),
    answers: Path = typer.Argument(
        ..., help="Answers: the .spacy file of annotate, or recorded answers as .jsonl", exists=True, dir_okay=False
    ),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for the trained pipeline"),
    source: options.Source = None,
    replay: options.Replay = None,
    config: options.Config = None,
    target: options.Target = (),
    seed: int = typer.Option(0, "--seed", help="Seed of everything random"),
    gpu_id: options.Gpu = -1,
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress, errors only"),
    # fmt: on
):
    """Train a pipeline on answers and compose it with the plan.

    Example: falconer train plan.json answers.spacy --output pipeline
    """
    import spacy

    from spacy_falconer.pipeline.source import choose_source
    from spacy_falconer.plan import read_plan
    from spacy_falconer.workflow.answers import read_answers
    from spacy_falconer.workflow.files import check_writable
    from spacy_falconer.workflow.remember import find_earlier
    from spacy_falconer.workflow.targets import parse_targets
    from spacy_falconer.workflow.train import train

    with plain_errors():
        check_writable(output, is_folder=True)
        checked = read_plan(plan)
        targets = parse_targets(target, plan=checked)
        docs, placed = read_answers(answers, checked, spacy.blank("en"))
        source, config = options.tell_apart(source, config)
        start = choose_source(source, config)
        earlier = find_earlier(replay, start)
        nlp, report = train(
            checked, docs, source=start, replay=earlier, config=config, targets=targets, seed=seed, quiet=quiet
        )
        output.mkdir(parents=True, exist_ok=True)
        nlp.to_disk(output)
    if not quiet:
        warn_of_places(placed)
        show_training(report, output)


def show_training(report, output: Path) -> None:
    held_out = f"{report.n_dev} held out for scores and thresholds"
    if report.n_members > 1:
        held_out = f"each held out once for scores and thresholds; the mean of {report.n_members} trainings"
    msg.good(f"Trained on {report.n_train} answered texts, {held_out}. Pipeline: {output}")
    if report.unasked:
        msg.warn(f"Not asked, so answered as before: {', '.join(report.unasked)}. Annotate with this plan.")
    if report.silent:
        msg.warn(f"No positive answer to learn from, so answered as before: {', '.join(report.silent)}. Annotate more.")
    warn_of_thresholds(report.fitted)
