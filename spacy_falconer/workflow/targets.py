"""What thresholds are chosen for: `f1`, `precision=0.95`, `recall=0.9`; for one instruction, `price:precision=0.95`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spacy_falconer.errors import PlanError
from spacy_falconer.metamodel.threshold import Target
from spacy_falconer.plan import Plan

LEAST, MOST = 0.01, 0.99


@dataclass(frozen=True)
class Targets:
    """The target for all instructions, and targets for single ones by their keys."""

    of_all: Target = Target()
    own: Mapping[str, Target] = field(default_factory=dict)

    def of(self, key: str) -> Target:
        return self.own.get(key, self.of_all)


BEST_F1 = Targets()


def parse_targets(texts: Sequence[str], *, plan: Plan) -> Targets:
    """Parse targets as they are written on the command line, separated by commas.

    plan: They may be for its instructions about texts; those about passages (`for_each`) have no thresholds of their own.
    RAISES (PlanError): A target cannot be read, is for another instruction, or for one that has a target already.
    """
    found: dict[str, Target] = {}
    keys = [step.id for step in plan.text_steps()]
    for text in filter(None, (one.strip() for one in ",".join(texts).split(","))):
        key, colon, target = text.rpartition(":")
        if colon and key not in keys:
            raise PlanError(
                f"The target {text!r} is for {key!r}. Expected a step that asks about texts: {', '.join(keys)}. Correct it."
            )
        if key in found:
            raise PlanError(
                f"There are two targets for {key or 'all'}: {found[key]} and {target}. Expected one. Leave one out."
            )
        found[key] = parse_target(target)
    return Targets(found.pop("", BEST_F1.of_all), found)


def parse_target(text: str) -> Target:
    """RAISES (PlanError): It is not a target."""
    measure, _, least = text.strip().partition("=")
    try:
        target = Target(measure.strip(), float(least) if least else None)
    except ValueError:
        target = Target("")
    if target == Target("f1"):
        return target
    if target.measure in ("precision", "recall") and target.least is not None and LEAST <= target.least <= MOST:
        return target
    raise PlanError(
        f"The target {text!r} cannot be read. Expected f1, precision=0.95 or recall=0.9, from {LEAST} to {MOST}; "
        "for one instruction, KEY:precision=0.95."
    )
