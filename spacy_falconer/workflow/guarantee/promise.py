"""What is promised: the value of --guarantee."""

from __future__ import annotations

from dataclasses import dataclass, fields

from spacy_falconer.errors import FalconerError, PlanError
from spacy_falconer.plan import Plan

EXAMPLE = '"recall=0.95, delta=0.05"'
TARGETS = ("precision", "recall", "accuracy")


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What an output must reach, against what the language model would answer.

    precision, recall, accuracy (float): The targets, between 0 and 1; None if not set.
    delta (float): The highest acceptable probability of missing any target, for all instructions together.
    label_budget (int): The most texts that may be newly asked about; None for any number.
    on (tuple[str, ...]): The steps that the promise is for; by default all that ask about texts.
    """

    precision: float | None = None
    recall: float | None = None
    accuracy: float | None = None
    delta: float = 0.05
    label_budget: int | None = None
    on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.targets:
            raise FalconerError(f"The guarantee names no target. Expected {_either(TARGETS)}, such as {EXAMPLE}.")
        for name in (*self.targets, "delta"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise FalconerError(
                    f"The guarantee's {name} is {getattr(self, name)}; expected a number between 0 and 1, such as {EXAMPLE}."
                )
        if self.label_budget is not None and self.label_budget < 1:
            raise FalconerError(f"The guarantee's label_budget is {self.label_budget}; expected 1 or more.")

    @property
    def targets(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in TARGETS if getattr(self, name) is not None}

    def __str__(self) -> str:
        parts = [f"{name}={getattr(self, name)}" for name in (*self.targets, "delta")]
        parts += [f"label_budget={self.label_budget}"] if self.label_budget is not None else []
        return ", ".join([*parts, *([f"on={'+'.join(self.on)}"] if self.on else [])])


def parse_promise(words: str) -> Promise:
    """Read "recall=0.95, delta=0.05, label_budget=2000, on=price+positive".

    RAISES (FalconerError): A name is unknown or given twice, or its value is not valid.
    """
    known = [one.name for one in fields(Promise)]
    values: dict[str, object] = {}
    for part in filter(None, (part.strip() for part in words.split(","))):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign or name not in known:
            raise FalconerError(
                f"The guarantee has {part!r}; expected {_either(known)}, each with its value: {EXAMPLE}."
            )
        if name in values:
            raise FalconerError(f"The guarantee names {name!r} twice. Name it once.")
        values[name] = _parse_value(name, value)
    return Promise(**values)  # type: ignore[arg-type]


def find_steps(promise: Promise, plan: Plan) -> list[str]:
    """Return the steps that the promise is for, in the plan's order.

    RAISES (PlanError): A named step is unknown or asks about passages.
    """
    possible = [step.id for step in plan.text_steps()]
    for name in promise.on:
        if name not in possible:
            raise PlanError(
                f"The guarantee is wanted on {name!r}; it can be given on the steps that ask about texts: "
                f"{', '.join(possible)}. Name some of them, joined by +."
            )
    return [name for name in possible if not promise.on or name in promise.on]


def _parse_value(name: str, value: str) -> object:
    if name == "on":
        return tuple(filter(None, (part.strip() for part in value.split("+"))))
    kind, expected = (int, "a whole number") if name == "label_budget" else (float, "a number")
    try:
        return kind(value)
    except ValueError:
        raise FalconerError(f"The guarantee's {name} is {value!r}; expected {expected}: {EXAMPLE}.") from None


def _either(names: list[str] | tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def show_rate(rate: float) -> str:
    """Return a rate with three digits, rounded down, so that it is never more than is certain."""
    return f"{int(rate * 1000) / 1000:.3f}"
