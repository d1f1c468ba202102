"""What was promised about the rows, and what is certain about them, as `mine --guarantee` noted it beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spacy_falconer.errors import FalconerError
from spacy_falconer.workflow.guarantee.promise import TARGETS, Promise, parse_promise, show_rate
from spacy_falconer.workflow.page.coverage import Fact
from spacy_falconer.workflow.page.run import Run

MEANINGS = {
    "precision": "of what the answers say, at least this share is what the language model says",
    "recall": "of what the language model says, at least this share is in the answers",
    "accuracy": "at least this share of the texts is answered as the language model answers",
}
COUNTS = ("n_texts", "n_recorded", "n_asked", "n_failed")


@dataclass(frozen=True)
class Rate:
    """A target, and what is certain, both 0 to 1; `certain` is None if nothing is noted for this instruction."""

    wanted: float
    certain: float | None

    @property
    def is_met(self) -> bool:
        return self.certain is not None and self.certain >= self.wanted - 1e-12

    @property
    def words(self) -> str:
        return "–" if self.certain is None else f"≥ {show_rate(self.certain)}"


@dataclass(frozen=True)
class Kept:
    """A promise, and how far it was kept.

    meanings: What the targets' names mean, in words. lines: The rates of all targets, for each instruction.
    facts: Who answered how many texts. left_out: Steps of the plan about which nothing was promised.
    """

    promise: Promise
    meanings: dict[str, str]
    lines: dict[str, dict[str, Rate]]
    facts: list[Fact]
    left_out: list[str]

    @property
    def unmet(self) -> list[str]:
        """Instructions for which less is certain than was promised."""
        return [key for key, rates in self.lines.items() if not all(rate.is_met for rate in rates.values())]

    @property
    def chance(self) -> str:
        """The least probability that all of it holds."""
        return f"{100 * (1 - self.promise.delta):.6g}%"

    @property
    def words(self) -> str:
        return " and ".join(f"{name} {target:g}" for name, target in self.promise.targets.items())


def find_kept(run: Run) -> Kept | None:
    """Return what was promised; None if nothing was, or if the note cannot be read, which is then added to `run.missing`."""
    options = run.manifest.get("options") if run.manifest else None
    noted = options.get("guarantee") if isinstance(options, dict) else None
    if noted is None:
        return None
    try:
        return read_kept(noted, [step.id for step in run.plan.steps] if run.plan else [])
    except (AttributeError, KeyError, TypeError, ValueError):  # FalconerErrors are ValueErrors.
        run.missing.append("The manifest's guarantee is not as `mine --guarantee` writes it: it is not shown.")
        return None


def read_kept(noted: Mapping[str, Any], steps: list[str]) -> Kept:
    """RAISES (FalconerError, ValueError and others that unexpected data lead to): It is not as `mine` writes it."""
    promise, counts = parse_promise(noted["promise"]), {name: int(noted[name]) for name in COUNTS}
    lines = {
        key: {name: Rate(target, as_rate(rates.get(name))) for name, target in promise.targets.items()}
        for key, rates in noted["at_least"].items()
    }
    meanings = {name: MEANINGS[name] for name in TARGETS if name in promise.targets}
    return Kept(promise, meanings, lines, list_facts(counts, promise), [key for key in steps if key not in lines])


def as_rate(value: Any) -> float | None:
    """RAISES (FalconerError): It is not a share."""
    if value is None or 0 <= value <= 1:
        return value
    raise FalconerError(f"A rate is {value!r}; expected 0 to 1.")


def list_facts(counts: Mapping[str, int], promise: Promise) -> list[Fact]:
    n_read = counts["n_asked"] + counts["n_recorded"]
    budget = f"at most {promise.label_budget:,} were allowed" if promise.label_budget is not None else ""
    failed = "the language model gave none: they keep the metamodel's answers, which count as wrong"
    return [
        Fact("different texts", counts["n_texts"]),
        Fact("the language model was asked about", counts["n_asked"], budget),
        Fact("answered before", counts["n_recorded"], "by the same plan, and used"),
        Fact("left to the metamodel", max(0, counts["n_texts"] - n_read)),
        Fact("without an answer", counts["n_failed"], failed, is_bad=True),
    ]
