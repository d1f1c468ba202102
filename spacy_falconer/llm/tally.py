"""What a store holds, in numbers: who answered, what it took, how many texts failed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from spacy_falconer.llm.database import connect, plain_errors
from spacy_falconer.llm.forget import match_instruction
from spacy_falconer.llm.rows import GOLD
from spacy_falconer.plan import Plan

# Recorded answers have no prompt version: they were not paid for here. {own}: a condition for what is counted.
ASKED = """
SELECT model, count(DISTINCT CASE WHEN is_own THEN text END), min(is_own) FROM (
    SELECT model, text, {own} AS is_own FROM answers WHERE version IS NOT NULL
    UNION ALL SELECT model, text, {own} AS is_own FROM failures
) GROUP BY model
"""
ANSWERED = "SELECT model, count(DISTINCT text) FROM answers WHERE model != ? GROUP BY model"
FAILED = """
SELECT reason, count(DISTINCT text) AS n FROM failures WHERE {own} AND NOT EXISTS (
    SELECT 1 FROM answers AS one WHERE one.text = failures.text AND one.op = failures.op AND one.model != ?
    AND one.instruction = failures.instruction AND one.start IS failures.start AND one."end" IS failures."end"
) GROUP BY reason ORDER BY n DESC, reason
"""
USAGE = "SELECT model, kind, billed FROM usage WHERE billed > 0"


@dataclass(frozen=True)
class Tally:
    """How many texts each model answered, and how many it was asked about here (failures included).

    asked, failed: For the plan's instructions. `failed`: Texts without an answer, by reason, the most frequent first;
        texts that another model has answered are not among them.
    usage: By model, what all that it was asked took: "requests", and "input" and "output" in tokens.
    mixed: Models that were asked other instructions, too, so that their usage is not the plan's alone.
    """

    answered: Mapping[str, int] = field(default_factory=dict)
    asked: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    usage: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    mixed: frozenset[str] = frozenset()


def read_tally(path: Path, plan: Plan | None = None) -> Tally:
    """Count what a store holds.

    plan: Whose instructions are counted as asked; by default all are.
    RAISES (AnswerError): The file is not a store, or is damaged.
    """
    own, values = match_plan(plan)
    with plain_errors(path), closing(connect(path)) as connection:
        usage: dict[str, dict[str, int]] = {}
        for model, kind, billed in connection.execute(USAGE):
            usage.setdefault(model, {})[kind] = billed
        asked = connection.execute(ASKED.format(own=own), values * 2).fetchall()
        return Tally(
            dict(connection.execute(ANSWERED, (GOLD,))), {model: n for model, n, _ in asked if n},
            dict(connection.execute(FAILED.format(own=own), [*values, GOLD])), usage,
            frozenset(model for model, _, is_own in asked if not is_own),
        )  # fmt: skip


def match_plan(plan: Plan | None) -> tuple[str, list[str]]:
    """Return an SQL condition, and its values, for questions of the plan; without a plan, for all questions."""
    if plan is None:
        return "(1)", []
    matches = [(step.op, *match_instruction(step.instruction)) for step in plan.steps]
    condition = " OR ".join(f"(op = ? AND {one})" for _, one, _ in matches)
    return f"({condition})", [value for op, _, instruction in matches for value in (op, instruction)]
