"""What a store holds, in numbers: who answered, what it took, how many texts failed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from spacy_falconer.llm.database import connect, plain_errors
from spacy_falconer.llm.rows import GOLD

# Recorded answers have no prompt's version: nobody was paid for them here.
ASKED = """
SELECT model, count(DISTINCT text) FROM (
    SELECT model, text FROM answers WHERE version IS NOT NULL UNION SELECT model, text FROM failures
) GROUP BY model
"""
ANSWERED = "SELECT model, count(DISTINCT text) FROM answers WHERE model != ? GROUP BY model"
FAILED = "SELECT reason, count(DISTINCT text) AS n FROM failures GROUP BY reason ORDER BY n DESC, reason"
USAGE = "SELECT model, kind, billed FROM usage WHERE billed > 0"


@dataclass(frozen=True)
class Tally:
    """Texts by the model that answered them, and by the one that was asked here (failures included).

    failed: Texts without an answer, by the reason, most frequent first.
    usage: By model, what it took: "requests", and "input" and "output" in tokens.
    """

    answered: Mapping[str, int] = field(default_factory=dict)
    asked: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    usage: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def read_tally(path: Path) -> Tally:
    """Count what a store holds.

    RAISES (AnswerError): The file is no store, or damaged.
    """
    with plain_errors(path), closing(connect(path)) as connection:
        usage: dict[str, dict[str, int]] = {}
        for model, kind, billed in connection.execute(USAGE):
            usage.setdefault(model, {})[kind] = billed
        answered = dict(connection.execute(ANSWERED, (GOLD,)))
        return Tally(answered, dict(connection.execute(ASKED)), dict(connection.execute(FAILED)), usage)
