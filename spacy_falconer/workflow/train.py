"""Train a pipeline on answers and compose it with the plan. The training is spaCy's, by a config that a user may change."""

from __future__ import annotations

import configparser
import io
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from os import devnull
from pathlib import Path
from statistics import median
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as run_training_loop
from spacy.util import load_config, registry
from thinc.api import Config

from spacy_falconer.corpus.docbin import SPANS_KEY, fold_docs, split_docs, write_docbin
from spacy_falconer.errors import AnswerError, ModelError
from spacy_falconer.metamodel.accelerate import read_as_trained
from spacy_falconer.metamodel.average import average_models
from spacy_falconer.pipeline.components import find_instructed, set_spans_key
from spacy_falconer.pipeline.source import find_parts
from spacy_falconer.plan import Plan, write_plan
from spacy_falconer.workflow.answers import check_answered, keep_answered, list_asked
from spacy_falconer.workflow.fitted import Fitted, note_fitted
from spacy_falconer.workflow.remember import find_silent, leave_out, remember
from spacy_falconer.workflow.targets import BEST_F1, Targets
from spacy_falconer.workflow.thresholds import Heard, fit_candidates, join_candidates, read_candidates

Part = tuple[list[Doc], list[Doc]]  # Answers to learn from, and held-out ones.

DEV_SHARE = 0.2
MIN_ANSWERS = 8
BATCH_TEXTS = 8
N_EPOCHS, MIN_READS, MAX_READS = 5, 1200, 12_000  # Reads of texts; few answers are read more often than many.
FEW_ANSWERS, N_MEMBERS = 600, 3  # Up to this many answers, there are several trainings,
MEMBER_EPOCHS, MEMBER_READS, MAX_EPOCHS = 3, 500, 12  # each of which reads less,
WATCHED_TEXTS = 32  # shows its progress on so many of its held-out answers, which choose nothing then,
START_COUNTS = 12  # and keeps a share of the weights that it started from, which count as much as a dozen answers.
SOURCE_RATE = 1.5e-4  # What was trained before needs smaller steps than fresh heads.
N_EVALUATIONS, WARMUP_SHARE = 4, 0.1


@dataclass(frozen=True)
class TrainReport:
    """What the training was based on.

    n_train, n_dev: Answered texts to learn from, and held-out ones. Few answers are both, in different members.
    n_members: How many trainings' weights were averaged.
    fitted: The thresholds of the plan's instructions, and what they are based on.
    silent: Keys without any positive answer to learn from. A pre-trained pipeline answers them as before.
    unasked: Keys without any answer at all. They are answered as before, too.
    """

    n_train: int
    n_dev: int
    silent: list[str]
    unasked: list[str] = field(default_factory=list)
    n_members: int = 1
    fitted: list[Fitted] = field(default_factory=list)


def train(
    plan: Plan,
    docs: Sequence[Doc],
    *,
    source: Path | None = None,
    replay: Sequence[Doc] = (),
    config: Path | None = None,
    overrides: dict[str, Any] | None = None,
    targets: Targets = BEST_F1,
    seed: int = 0,
    quiet: bool = False,
) -> tuple[Language, TrainReport]:
    """Train a pipeline on answers and compose it with the plan.

    A fifth of the answers is held out, to choose the model, to calibrate its scores and to choose its thresholds. Few
    answers are too valuable for that: then several members are trained from the source, each with another part held out,
    and the pipeline is their mean, with a share of the source. So it learns from all answers, and is judged by all of them.
    A member learns to the end of its schedule: with few answers, which step was best is mostly chance.

    docs: Answers, as `corpus.docbin` makes them.
    source (Path): A pipeline to start from: the pre-trained one, or that of an earlier task, whose instructions are
        kept. Without it, the config's encoder gets fresh heads.
    replay: Answers to the earlier instructions, some of which are learned again. Without them, what the source itself
        finds in `docs` takes their place.
    config (Path): A training config in place of the package's own, `configs/cpu.cfg`.
    overrides (dict): Config values by their dotted names, as `spacy train` takes them.
    targets: What the thresholds are chosen for.
    RAISES (AnswerError): There are too few answers to learn from.
    """
    check_enough(docs, plan)
    parts = split_answers(docs, source=source, seed=seed)
    teach = partial(teach_member, plan, source=source, replay=replay, config=config, overrides=overrides, quiet=quiet)
    members = []
    for i, part in enumerate(parts):
        if len(parts) > 1 and not quiet:
            print(f"\nTraining {i + 1} of {len(parts)}, on {len(part[0])} of {len(docs)} answered texts")
        members.append(teach(*part, seed=seed + i, n_members=len(parts)))
    heard = [hear(member, dev_docs) for member, (_, dev_docs) in zip(members, parts, strict=True)]
    nlp = average(members)
    fitted = [one for one in fit_candidates(join_candidates(heard), targets) if one.key in plan.steps_by_id]
    compose(nlp, plan)
    note_fitted(nlp, fitted, source=source)
    return nlp, make_report(plan, parts, fitted)


def split_answers(docs: Sequence[Doc], *, source: Path | None, seed: int) -> list[Part]:
    """Return what each member learns from and is judged by. Only members with the same source can be averaged."""
    if source is not None and len(docs) <= FEW_ANSWERS:
        return fold_docs(docs, n_folds=N_MEMBERS, seed=seed)
    return [split_docs(docs, dev_share=DEV_SHARE, seed=seed)]


def teach_member(
    plan: Plan,
    train_docs: Sequence[Doc],
    dev_docs: Sequence[Doc],
    *,
    source: Path | None,
    replay: Sequence[Doc],
    config: Path | None,
    overrides: dict[str, Any] | None,
    seed: int,
    n_members: int,
    quiet: bool,
) -> Language:
    """Train once. RETURNS: The pipeline of the best evaluation; or one of several members, with a share of its source."""
    silent = find_silent(plan, train_docs)
    taught = train_docs if source is None else [leave_out(doc, silent) for doc in train_docs]
    learned = taught if source is None else remember(source, plan, taught, replay, silent=silent, seed=seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        watched = dev_docs if n_members == 1 else dev_docs[:: -(-len(dev_docs) // WATCHED_TEXTS)]
        paths = write_inputs(plan, learned, watched, folder)
        options = {**paths, "system.seed": seed, **(overrides or {})}
        filled = fill_config(config, learned, options, source=source, n_members=n_members)
        if n_members == 1:
            return run_training(filled, folder, quiet=quiet)
        last = run_training(filled, None, quiet=quiet)
        kept = START_COUNTS / (START_COUNTS + len(train_docs))
        return average([last, init_nlp(filled)], (1 - kept, kept))


def hear(nlp: Language, docs: Sequence[Doc]) -> Heard:
    """Return what a pipeline says of held-out answers."""
    with read_as_trained(nlp):
        return read_candidates(nlp, docs)


def average(pipelines: Sequence[Language], shares: Sequence[float] | None = None) -> Language:
    """Return the first pipeline, with the mean of all their weights. shares: How much each counts; None: all alike."""
    for name, pipe in pipelines[0].pipeline:
        if hasattr(pipe, "model"):
            average_models([one.get_pipe(name).model for one in pipelines], shares)
    return pipelines[0]


def make_report(plan: Plan, parts: Sequence[Part], fitted: list[Fitted]) -> TrainReport:
    n_train, n_dev = (len({doc for part in parts for doc in part[side]}) for side in (0, 1))
    asked = set().union(*(list_asked(doc) for part in parts for doc in part[0]))
    silent = set.intersection(*(set(find_silent(plan, train_docs)) for train_docs, _ in parts))
    unasked = [step.id for step in plan.text_steps() if step.id not in asked]
    denied = [key for key in plan.steps_by_id if key in silent and key in asked]
    return TrainReport(n_train, n_dev, denied, unasked, len(parts), fitted)


def check_enough(docs: Sequence[Doc], plan: Plan) -> None:
    check_answered(docs, plan)
    n_answered = len(keep_answered(docs, plan))
    if n_answered < MIN_ANSWERS:
        raise AnswerError(
            f"There are {n_answered} answered texts; expected at least {MIN_ANSWERS} to learn from. "
            "Annotate more, or import recorded answers whose instructions are the plan's, word for word."
        )


def write_inputs(plan: Plan, train_docs: Sequence[Doc], dev_docs: Sequence[Doc], folder: Path) -> dict[str, str]:
    """Write what the config reads. RETURNS: The paths, by their names in the config."""
    paths = {name: folder / f"{name}.spacy" for name in ("train", "dev")} | {"plan": folder / "plan.json"}
    write_docbin(train_docs, paths["train"])
    write_docbin(dev_docs, paths["dev"])
    write_plan(plan, paths["plan"])
    return {f"paths.{name}": str(path) for name, path in paths.items()}


def fill_config(
    path: Path | None, docs: Sequence[Doc], overrides: dict[str, Any], *, source: Path | None, n_members: int = 1
) -> Config:
    """Return the training config with a schedule that fits the number of answers, and with the parts of the source."""
    path = path or find_default_config()
    batcher = {**read_batcher(path), "size": count_batch_tokens(docs)}
    n_batches = sum(1 for _ in registry.resolve({"batcher": batcher})["batcher"](docs))
    n_steps = count_steps(len(docs), n_batches, n_members)
    n_evaluations = N_EVALUATIONS if n_members == 1 else 1
    fitting = {"training.batcher.size": batcher["size"], **schedule(n_steps, n_evaluations)}
    if source is not None:
        fitting["training.optimizer.learn_rate.initial_rate"] = SOURCE_RATE
    config = load_config(path, overrides={**fitting, **overrides})
    if source is not None:
        parts = find_parts(source)
        config["nlp"]["pipeline"] = parts
        config["components"] = {name: {"source": str(source)} for name in parts}
    return config


def read_batcher(path: Path) -> dict[str, Any]:
    """RAISES (ModelError): It is not a training config."""
    try:
        return load_config(path)["training"]["batcher"]
    except (KeyError, ValueError, configparser.Error) as error:
        raise ModelError(
            f"{str(path)!r} is not a training config ({error!r}). Expected one with [training.batcher], such as configs/cpu.cfg. "
            "Name one by --config."
        ) from error


def find_default_config() -> Path:
    """Return the path of the config that comes with the package."""
    return Path(__file__).parents[1] / "configs" / "cpu.cfg"


def count_batch_tokens(docs: Sequence[Doc]) -> int:
    """Return the tokens of a batch, including padding: about `BATCH_TEXTS` texts of median length."""
    return max(1, round(BATCH_TEXTS * median(len(doc) for doc in docs)))


def count_steps(n_texts: int, n_batches: int, n_members: int = 1) -> int:
    """Return the number of steps. Few answers are read more often than many; one of several members reads less."""
    if n_members == 1:
        n_reads = min(MAX_READS, max(MIN_READS, N_EPOCHS * n_texts))
    else:
        n_reads = min(MAX_EPOCHS * n_texts, max(MEMBER_READS, MEMBER_EPOCHS * n_texts))
    return max(1, round(n_reads / n_texts * n_batches))


def schedule(n_steps: int, n_evaluations: int = N_EVALUATIONS) -> dict[str, Any]:
    return {
        "training.max_steps": n_steps,
        "training.eval_frequency": max(1, n_steps // n_evaluations),
        "training.optimizer.learn_rate.total_steps": n_steps,
        "training.optimizer.learn_rate.warmup_steps": int(WARMUP_SHARE * n_steps),
    }


def run_training(config: Config, folder: Path | None, *, quiet: bool) -> Language:
    """Run spaCy's own training. RETURNS: The pipeline of the best evaluation, by way of the folder; without one, the last."""
    nlp = init_nlp(config)
    keys = {pipe.name: pipe.cfg["spans_key"] for pipe in find_instructed(nlp, "get_span")}
    move_spans(nlp, dict.fromkeys(keys, SPANS_KEY))  # The answers are under this key.
    with open(devnull, "w") as nowhere, read_as_trained(nlp):
        stdout, stderr = (nowhere, nowhere) if quiet else (Screen(), sys.stderr)
        run_training_loop(nlp, folder, stdout=stdout, stderr=stderr)
    trained = nlp if folder is None else spacy.load(folder / "model-best")
    move_spans(trained, keys)
    return trained


def move_spans(nlp: Language, keys: Mapping[str, str]) -> None:
    """Let span components, given by name, write to other keys of `doc.spans`."""
    for name, key in keys.items():
        set_spans_key(nlp, name, key)


class Screen(io.TextIOBase):
    """Standard output without the line that names the training's folder, which is gone when the user reads it."""

    def write(self, text: str) -> int:
        return len(text) if "Saved pipeline to output directory" in text else sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


def compose(nlp: Language, plan: Plan) -> None:
    """Make the trained components run the plan, on a machine that has none of the training's files."""
    if plan.unit == "sentence":
        nlp.add_pipe("sentencizer", first=True)
    nlp.add_pipe("falconer_plan").set_plan(plan)
    nlp.config["paths"] = {name: None for name in nlp.config["paths"]}
    nlp.meta.update(name="falconer", description=plan.instruction)
