"""The cascade on corpora that are drawn by chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import typer
from scipy.stats import beta

from benchmarks.guarantee.rival import load_rival, run_rival
from benchmarks.guarantee.trial import measure, run_trial
from benchmarks.guarantee.worlds import World, make_label_world, make_span_world
from spacy_falconer.workflow.guarantee.promise import Promise

SETTINGS = [
    (1_000, 0.1, "weak"), (1_000, 0.3, "strong"), (20_000, 0.01, "strong"), (20_000, 0.1, "strong"),
    (20_000, 0.01, "weak"), (20_000, 0.3, "strong"), (1_000, 0.1, "strong"), (1_000, 0.3, "weak"),
    (20_000, 0.1, "weak"), (20_000, 0.3, "weak"), (1_000, 0.01, "strong"), (1_000, 0.01, "weak"),
]  # fmt: skip
DRIFTING = SETTINGS[3]
TARGET, DELTA, SHIFT = 0.9, 0.05, 1.0
BOTH = Promise(precision=TARGET, recall=TARGET, delta=DELTA)
KINDS: list[tuple[str, Promise, Callable[..., World]]] = [
    ("labels, both", BOTH, make_label_world), ("passages, both", BOTH, make_span_world),
    ("labels, recall", Promise(recall=TARGET, delta=DELTA), make_label_world),
    ("labels, precision", Promise(precision=TARGET, delta=DELTA), make_label_world),
    ("passages, recall", Promise(recall=TARGET, delta=DELTA), make_span_world),
    ("passages, precision", Promise(precision=TARGET, delta=DELTA), make_span_world),
]  # fmt: skip


def simulate(
    # fmt: off
    rival: Path | None = typer.Option(None, help="Folder that bargain 0.1.3 was installed to", exists=True),
    trials: int = typer.Option(300, help="Corpora of each kind"),
    settings: int = typer.Option(6, help="How many settings; 12 are all", min=1, max=len(SETTINGS)),
    only: str = typer.Option("", help="Only what is named so, such as 'passages' or 'drift'"),
    # fmt: on
) -> None:
    """Miss rates and shares of texts asked about, in corpora drawn by chance."""
    package = load_rival(rival)
    print(
        f"targets {TARGET}, delta {DELTA}, {trials} corpora each; BARGAIN {'beside it' if package else 'is not installed'}"
    )
    for name, promise, make in (kind for kind in KINDS if kind[0].startswith(only)):
        for setting in SETTINGS[:settings]:
            print(f"{name:20} {show_setting(*setting)}  {run_setting(promise, make, setting, trials)}", flush=True)
            if package and name == "labels, both":
                print(
                    f"{'BARGAIN':20} {show_setting(*setting)}  {run_rival_setting(package, setting, trials)}",
                    flush=True,
                )
    if not "drift".startswith(only):
        return
    print(f"{'drift, taken over':20} {show_setting(*DRIFTING)}  {run_drift(trials, taken_over=True)}")
    print(f"{'drift, run anew':20} {show_setting(*DRIFTING)}  {run_drift(trials, taken_over=False)}")


def make_worlds(make: Callable[..., World], setting: tuple[int, float, str], n: int, **more: Any) -> Iterator[World]:
    n_texts, share, strength = setting
    for seed in range(n):
        yield make(numpy.random.default_rng([seed, 0]), n_texts=n_texts, share=share, strength=strength, **more)


def run_setting(promise: Promise, make: Callable[..., World], setting: tuple[int, float, str], n: int) -> str:
    found = [run_trial(world, promise, seed=seed)[0] for seed, world in enumerate(make_worlds(make, setting, n))]
    return summarise([one.misses(promise) for one in found], [one.asked for one in found])


def run_rival_setting(package: Any, setting: tuple[int, float, str], n: int) -> str:
    found = [
        run_rival(package, world, target=TARGET, delta=DELTA, seed=seed)
        for seed, world in enumerate(make_worlds(make_label_world, setting, n))
    ]
    return summarise([min(p, r) < TARGET for _, p, r in found], [n_asked / setting[0] for n_asked, _, _ in found])


def run_drift(n: int, *, taken_over: bool) -> str:
    """Texts come later that the metamodel is worse at: trusted with as far as the earlier ones, or promised anew."""
    misses, asked = [], []
    earlier, later = (make_worlds(make_label_world, DRIFTING, n, shift=shift) for shift in (0.0, SHIFT))
    for seed, (before, after) in enumerate(zip(earlier, later, strict=True)):
        if not taken_over:
            trial, _ = run_trial(after, BOTH, seed=seed)
            rates, share = trial.rates, trial.asked
        else:
            _, cascade = run_trial(before, BOTH, seed=seed)
            trusted = find_trusted(before, after, cascade)
            rates, share = measure(after, trusted), float((~trusted).mean())
        misses.append(min(rates["precision"], rates["recall"]) < TARGET)
        asked.append(share)
    return summarise(misses, asked)


def find_trusted(before: World, after: World, cascade: Any) -> numpy.ndarray:
    """The later texts whose scores lie where the metamodel was trusted with the earlier ones."""
    yes, no = (before.scores[lane.order[: lane.end]] for lane in cascade.lanes[0])
    least, most = yes.min(initial=numpy.inf), no.max(initial=-numpy.inf)
    return (after.scores >= least) | (after.scores <= most)


def summarise(misses: list[bool], asked: list[float]) -> str:
    n, k = len(misses), sum(misses)
    low = beta.ppf(0.025, k, n - k + 1) if k else 0.0
    high = beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
    verdict = "holds" if low <= DELTA else "DOES NOT HOLD"
    return f"missed {k / n:.3f} [{low:.3f}, {high:.3f}] {verdict}, asked {numpy.mean(asked):.3f}"


def show_setting(n_texts: int, share: float, strength: str) -> str:
    return f"{n_texts:6} texts, {share:4.0%} true, {strength:6}"
