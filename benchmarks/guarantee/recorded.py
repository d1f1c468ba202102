"""The cascade on recorded answers: real texts, a real language model, the shipped pipeline.

Scores are cross-fitted: every text is read by a pipeline that was trained on the other folds' answers. They are kept in
--scores, and made where that file is not there (minutes for each fold). Each split takes a random nine tenths of the texts
as the corpus, and draws its own coins; the promise is then compared with all recorded answers, also to the texts that the
cascade did not read.
"""

from __future__ import annotations

from pathlib import Path

import numpy
import spacy
import typer
from wasabi import table

from benchmarks.guarantee.trial import Trial, run_trial
from benchmarks.guarantee.worlds import World
from spacy_falconer.corpus.docbin import make_docs
from spacy_falconer.llm.exchange import read_exchange
from spacy_falconer.plan import Plan, read_plan
from spacy_falconer.types import Answer
from spacy_falconer.workflow.guarantee.promise import Promise
from spacy_falconer.workflow.guarantee.questions import Known, Question
from spacy_falconer.workflow.guarantee.reading import read_sayings
from spacy_falconer.workflow.train import train

TARGETS, DELTA, PART = (0.8, 0.9, 0.95), 0.05, 0.9
KINDS = (("recall",), ("precision",), ("precision", "recall"))
SHIPPED = Path("assets/en_falconer_sm")


def recorded(
    # fmt: off
    answers: list[Path] = typer.Option(..., help="Recorded answers; several files are one corpus", exists=True),
    plan: Path = typer.Option(..., help="The plan that holds the instructions", exists=True),
    scores: Path = typer.Option(..., help="Where the cross-fitted scores are kept (.npz)"),
    folds: int = typer.Option(3, help="Pipelines that are trained, where there are no scores yet", min=2),
    splits: int = typer.Option(100, help="Random splits of each cell"),
    source: Path = typer.Option(SHIPPED, help="The pipeline that is trained further"),
    # fmt: on
) -> None:
    """Targets met, and shares of texts asked about, on recorded answers."""
    checked = read_plan(plan)
    if not scores.exists():
        said = list({answer.text: answer for path in answers for answer in read_exchange(path)}.values())
        numpy.savez(scores, cells=make_scores(said, checked, source, folds))
    cells = numpy.load(scores)["cells"]  # (steps, 5, n_texts): said, its risks, false and missed.
    rows = [
        describe(step.id, kind, target, cell, step.op == "get_span", splits)
        for step, cell in zip(checked.steps, cells, strict=True)
        for kind in KINDS for target in TARGETS
    ]  # fmt: skip
    show(rows, cells.shape[2])


def make_scores(said: list[Answer], plan: Plan, source: Path, n_folds: int) -> numpy.ndarray:
    order = numpy.random.default_rng(0).permutation(len(said))
    cells = numpy.zeros((len(plan.steps), 5, len(said)))
    for fold in numpy.array_split(order, n_folds):
        others = [said[i] for i in numpy.setdiff1d(order, fold)]
        nlp, _ = train(plan, make_docs(others, plan, spacy.blank("en"))[0], source=source, quiet=True)
        texts = [said[i].text for i in fold]
        sayings = read_sayings(nlp, texts, list(plan.steps), batch_size=32, tick=lambda n: None)
        truth = sayings.judge(range(len(fold)), [said[i] for i in fold])
        for k, question in enumerate(sayings.questions):
            parts = (question.n_said, question.risk_false, question.risk_missed, truth.false[k], truth.missed[k])
            cells[k, :, fold] = numpy.stack(parts, axis=1)
    return cells


def describe(key: str, kind: tuple[str, ...], target: float, cell: numpy.ndarray, is_span: bool, n_splits: int) -> dict:
    """One instruction with one promise: in how many splits it is kept, and at what share of answers."""
    promise = Promise(**dict.fromkeys(kind, target), delta=DELTA)
    worlds = (take(cell, seed, is_span) for seed in range(n_splits))
    trials: list[Trial] = [run_trial(world, promise, seed=seed)[0] for seed, world in enumerate(worlds)]
    n_wanted = int(PART * (cell[0] - cell[3] + cell[4]).sum())
    return {
        "key": key, "kind": "+".join(kind), "target": target, "n_wanted": n_wanted,
        "met": 1.0 - float(numpy.mean([trial.misses(promise) for trial in trials])),
        "asked": float(numpy.mean([trial.asked for trial in trials])),
        "feasible": n_wanted >= numpy.log(DELTA) / numpy.log(target),  # 59 for 0.95, 29 for 0.9, 14 for 0.8.
    }  # fmt: skip


def take(cell: numpy.ndarray, seed: int, is_span: bool) -> World:
    n_texts = cell.shape[1]
    some = numpy.random.default_rng([seed, 0]).permutation(n_texts)[: round(PART * n_texts)]
    said, risk_false, risk_missed, false, missed = cell[:, some]
    truth = Known.none(1, len(some))
    counts = (false.astype("int64")[None], missed.astype("int64")[None])
    truth.update(numpy.arange(len(some)), Known(*counts, *numpy.zeros((2, len(some)), dtype=bool)))
    return World(Question(said.astype("int64"), risk_false, risk_missed, is_span=is_span), truth, None)


def show(rows: list[dict], n_texts: int) -> None:
    header = ["instruction", "promise", "target", "things", "met", "asked"]
    for title, some in (
        ("feasible", [r for r in rows if r["feasible"]]),
        ("too few", [r for r in rows if not r["feasible"]]),
    ):
        body = [(r["key"], r["kind"], r["target"], r["n_wanted"], f"{r['met']:.2f}", f"{r['asked']:.2f}") for r in some]
        print(f"{title}: {len(some)} cells of {round(PART * n_texts)} texts", table(body, header=header, divider=True))
        if some:
            n_met, n_cheap = (
                sum(test(r) for r in some) for test in (lambda r: r["met"] >= 0.95, lambda r: r["asked"] < 0.5)
            )
            print(f"met in at least 95% of splits: {n_met} of {len(some)}; asked about fewer than half: {n_cheap}")
