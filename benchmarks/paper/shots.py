"""Sets of sentences that people marked: their instructions, the few sentences to learn from, and those to test on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import spacy
from spacy.tokens import Doc

from spacy_falconer.corpus.docbin import make_docs
from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain.data import Row
from spacy_falconer.metamodel.pretrain.instructions import find_meaning, read_meanings
from spacy_falconer.plan import Plan, parse_plan
from spacy_falconer.types import Answer, Quote

PEOPLE = "people"


@dataclass(frozen=True)
class Marked:
    """A set. `instructions` is keyed by its own labels, the plan's steps by `make_id` of them."""

    name: str
    instructions: Mapping[str, str]
    train: Sequence[Row]
    test: Sequence[Row]

    @property
    def plan(self) -> Plan:
        steps = [
            {"id": make_id(label), "op": "get_span", "instruction": text} for label, text in self.instructions.items()
        ]
        return parse_plan({"instruction": f"Everything that people marked in {self.name}", "steps": steps})


def make_id(label: str) -> str:
    return re.sub(r"\W+", "_", label.lower())


def read_marked(data: Path, name: str, *, n_test: int) -> Marked:
    """A set with at most `n_test` of its test sentences, the same ones whatever is learned from."""
    train, test = (sets.read_rows(data, name, part) for part in ("train", "test"))
    meanings, labels = read_meanings(data), sorted({label for row in (*train, *test) for label in row.spans})
    sample = Random(name).sample(test, min(n_test, len(test)))
    return Marked(name, {label: find_meaning(meanings, name, label) for label in labels}, train, sample)


def draw_shots(rows: Sequence[Row], labels: Sequence[str], n_shots: int, *, seed: int) -> list[Row]:
    """For each label so many sentences that mention it, none for two; the rarest label's are drawn first.

    Of a label in fewer sentences, all that are left.
    """
    rng, chosen = Random(seed), set()
    places = {label: [place for place, row in enumerate(rows) if row.spans.get(label)] for label in labels}
    for _, found in sorted(places.items(), key=lambda item: (len(item[1]), item[0])):
        left = [place for place in found if place not in chosen]
        chosen.update(rng.sample(left, min(n_shots, len(left))))
    return [rows[place] for place in sorted(chosen)]


def mark(rows: Sequence[Row], instructions: Mapping[str, str], plan: Plan) -> tuple[list[Doc], int]:
    """Docs with people's answers to all instructions; and how many mentions end between spaCy's tokens: no pipeline finds these."""
    docs, report = make_docs((make_answer(row, instructions) for row in rows), plan, spacy.blank("en"))
    return docs, sum(one.n_misaligned for one in report.placements.values())


def make_answer(row: Row, instructions: Mapping[str, str]) -> Answer:
    spans = {
        text: tuple(Quote(row.text[start:end], start) for start, end in sorted(row.spans.get(label, ())))
        for label, text in instructions.items()
    }
    return Answer(row.text, PEOPLE, {}, spans)
