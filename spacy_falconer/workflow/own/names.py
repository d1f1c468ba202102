"""Map the names in a user's file to steps of a plan."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from spacy_falconer.errors import AnswerError
from spacy_falconer.plan import Plan
from spacy_falconer.plan.show import show_ids

Renames = Mapping[str, tuple[str, ...]]


@dataclass
class Names:
    """Which steps a file's labels stand for, and how often each name occurs.

    renames: Step ids by the file's name, as the user gave them. Any other name stands for the step whose id it is, except
        for case and signs: "PRICE" is the step "price".
    used: Names that stand for a step, with how often they occur.
    foreign: Names of no step, with how often they occur.
    """

    plan: Plan
    renames: Renames = field(default_factory=dict)
    used: Counter[str] = field(default_factory=Counter)
    foreign: Counter[str] = field(default_factory=Counter)

    def find(self, name: str, op: str) -> tuple[str, ...]:
        """Return the steps of one primitive that a name stands for."""
        ids = self.renames.get(name, (make_id(name),))
        return tuple(step.id for step in self.plan.text_steps(op) if step.id in ids)

    def take(self, name: str, op: str) -> tuple[str, ...]:
        """Return the steps of one primitive that a name stands for, and count the name."""
        found = self.find(name, op)
        (self.used if found else self.foreign)[name] += 1
        return found

    def find_all(self, names: Iterable[str], op: str) -> tuple[str, ...]:
        """Return the steps that some names stand for, each once."""
        return tuple(dict.fromkeys(key for name in names for key in self.find(name, op)))

    @property
    def missing(self) -> list[str]:
        """Names that the user gave and the file does not have."""
        return [name for name in self.renames if not self.used[name]]

    @property
    def usual(self) -> dict[str, tuple[str, str]]:
        """The steps that the user named: by id the primitive and the instruction."""
        named = {key for ids in self.renames.values() for key in ids}
        return {step.id: (step.op, step.instruction) for step in self.plan.steps if step.id in named}


def make_id(name: str) -> str:
    """Return a name in the form of a step's id."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def parse_renames(given: Iterable[str], plan: Plan) -> Renames:
    """Parse what the user gave as LABEL=STEP. A label may stand for several steps, and a step may have several labels.

    RAISES (AnswerError): It does not have this form, or names no step that asks about texts.
    """
    known = [step.id for step in plan.text_steps()]
    found: dict[str, tuple[str, ...]] = {}
    for one in given:
        name, _, key = (part.strip() for part in one.rpartition("="))
        if not name or key not in known:
            raise AnswerError(
                f"--map {one!r} names no step of the plan. Expected LABEL=STEP, the name in the file and one of the steps "
                f"that ask about texts: {show_ids(known)}. Correct it."
            )
        found[name] = (*found.get(name, ()), key)
    return found
