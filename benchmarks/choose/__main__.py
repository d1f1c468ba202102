"""What each strategy of choosing texts finds and teaches, with 100 and with 300 answers.

    python -m benchmarks.choose --train TRAIN.jsonl --test TEST.jsonl --plan PLAN.json

TRAIN and TEST are recorded answers, PLAN holds their instructions. Texts are chosen among those of TRAIN, whose answers
are known, by every strategy with 20 seeds. The metamodel is played by logistic regression on MiniLM's vectors, a
classifier an instruction; of a passage instruction it is asked whether the text has such a passage.

found         texts that an instruction is true of, for the instructions true of at most a quarter of TRAIN
F1            of the regression that learned from the chosen texts, on TEST: of those instructions, and of all
share off     how far the chosen texts' shares are from TRAIN's, with weights and without: the mean over the seeds,
              absolute, averaged over all instructions
F1 off        the same for the F1 of another regression, learned from TEST, as scored on the chosen texts

Even without bias the mean over 20 seeds is off by chance: random's is the measure for the others.
"""

from __future__ import annotations

from pathlib import Path

import numpy
import typer
from wasabi import table

from benchmarks.choose.known import Known, read_known
from benchmarks.choose.regression import learn
from benchmarks.choose.strategies import STRATEGIES, Strategy
from benchmarks.page import on_page
from spacy_falconer.corpus.choose import estimate_f, estimate_share
from spacy_falconer.plan import read_plan

SIZES = (100, 300)
RARE = 0.25


def main(
    # fmt: off
    train_file: Path = typer.Option(..., "--train", help="Recorded answers to choose from", exists=True),
    test_file: Path = typer.Option(..., "--test", help="Recorded answers to test on", exists=True),
    plan: Path = typer.Option(..., help="The plan that holds the instructions", exists=True),
    seeds: int = typer.Option(20, help="How often every strategy chooses"),
    # fmt: on
):
    steps = read_plan(plan).text_steps()
    pool, tests = read_known([train_file, test_file], [step.instruction for step in steps])
    shares = pool.truth.mean(axis=0)
    rare = numpy.flatnonzero(shares <= RARE)
    judged = learn(tests.vectors, tests.truth, pool.vectors) >= 0.5
    rows = []
    for n in SIZES:
        for name, choose in STRATEGIES.items():
            runs = [measure(choose, pool, tests, judged, n=n, seed=seed) for seed in range(seeds)]
            rows.append([n, name, *format_row(runs, rare, shares, f_scores(judged, pool.truth))])
    print(f"{len(pool.truth)} texts to choose from, {len(tests.truth)} to test on, {seeds} seeds")
    print(", ".join(f"{step.id} {share:.1%}" for step, share in zip(steps, shares, strict=True)))
    found = [steps[i].id for i in rare]
    header = ["n", "strategy", *found, "F1 rare", "F1 all", "share off", "weighted", "F1 off", "weighted"]
    print(table(rows, header=header, divider=True, aligns=["r", "l", *"r" * (len(header) - 2)]))


def measure(
    choose: Strategy, pool: Known, tests: Known, judged: numpy.ndarray, *, n: int, seed: int
) -> dict[str, numpy.ndarray]:
    """One choice: what it found, taught and would say of the pool; everything of shape (K,)."""
    places, weights = choose(pool, n, seed)
    truth, alike = pool.truth[places], numpy.ones(n)
    taught = learn(pool.vectors[places], truth, tests.vectors) >= 0.5
    return {
        "found": truth.sum(axis=0),
        "taught": f_scores(taught, tests.truth),
        "shares": numpy.array([estimate_share(column, alike).share for column in truth.T]),
        "weighted shares": numpy.array([estimate_share(column, weights).share for column in truth.T]),
        "judged": f_scores(judged[places], truth),
        "weighted judged": f_scores(judged[places], truth, weights),
    }


def f_scores(found: numpy.ndarray, wanted: numpy.ndarray, weights: numpy.ndarray | None = None) -> numpy.ndarray:
    """F1 of each instruction, shape (K,)."""
    counted = numpy.ones(len(found)) if weights is None else weights
    pairs = zip(found.T, wanted.T, strict=True)
    return numpy.array([estimate_f(one & other, one & ~other, ~one & other, counted) for one, other in pairs])


def format_row(runs: list[dict], rare: numpy.ndarray, shares: numpy.ndarray, true_f: numpy.ndarray) -> list[str]:
    """The means over the seeds, as they are printed."""
    means = {name: numpy.mean([run[name] for run in runs], axis=0) for name in runs[0]}
    offs = [("shares", shares), ("weighted shares", shares), ("judged", true_f), ("weighted judged", true_f)]
    return [
        *(f"{found:.1f}" for found in means["found"][rare]),
        f"{means['taught'][rare].mean():.3f}",
        f"{means['taught'].mean():.3f}",
        *(f"{numpy.abs(means[name] - true).mean():.3f}" for name, true in offs),
    ]


if __name__ == "__main__":
    with on_page():
        typer.run(main)
