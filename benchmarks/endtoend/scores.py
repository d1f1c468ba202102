"""Agreement with the language model: of the rows of each sentence, and of each instruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.endtoend.corpora import Corpus
from benchmarks.endtoend.systems import SEED
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.evaluate import texts_of
from spacy_falconer.workflow.scoring.agreement import agree
from spacy_falconer.workflow.scoring.said import Said

KINDS = {"labels": "get_label", "spans": "get_span"}
MACROS = {"labels": "all labels", "spans": "all spans"}
MIN_ANSWERS = 10  # Of the language model in its second reading, for its agreement with itself to say anything.
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Scored:
    """F1 of each system where it answers, with what `evaluate` says of it.

    what: The sentence and what is compared of its rows; or the instruction.
    itself: F1 of the language model with itself; None where nothing tells. n_itself: Of so many texts; 0: stated.
    """

    what: tuple[str, str]
    lines: Mapping[str, Line]
    itself: float | None
    n_itself: int = 0

    @property
    def ours(self) -> float:
        return self.lines["ours"]["f"]

    @property
    def share(self) -> float | None:
        """Of the language model's agreement with itself."""
        return self.ours / self.itself if self.itself else None


def score_rows(corpus: Corpus, said: Mapping[str, Sequence[Said]]) -> list[Scored]:
    """Of each sentence: which texts are in the result; which passages; and which rows are the same as a whole."""
    found = []
    for name, plan in corpus.plans.items():
        rows = {system: one.get("rows", {}) for system, one in agree_all(corpus, said, plan).items()}
        for measure in rows["ours"]:
            lines = {system: one[measure] for system, one in rows.items() if measure in one}
            again = lines.pop("LLM again", None)
            is_known = again is not None and again["n_wanted"] >= MIN_ANSWERS
            found.append(Scored((name, measure), lines, *((again["f"], again["n"]) if is_known else (None,))))
    return found


def pick_main(rows: Sequence[Scored]) -> list[Scored]:
    """Of each sentence one score: its passages; where it has no columns, which texts are kept."""
    return list({one.what[0]: one for one in rows if one.what[1] != "whole"}.values())


def score_instructions(corpus: Corpus, said: Mapping[str, Sequence[Said]]) -> list[Scored]:
    """Each instruction, and the means over those of a primitive."""
    scores, found = agree_all(corpus, said, None), []
    for kind, op in KINDS.items():
        keys = [step.id for step in corpus.whole.text_steps(op)]
        for key in keys:
            lines = {system: one[kind]["per_instruction"].get(key) for system, one in scores.items()}
            found.append(make_scored(corpus, op, key, key, lines))
        means = {system: make_mean(one[kind]) for system, one in scores.items()}
        found.append(make_scored(corpus, op, MACROS[kind], kind, means))
    return found


def make_scored(corpus: Corpus, op: str, name: str, key: str, lines: dict[str, Line | None]) -> Scored:
    """What is stated of the model's agreement with itself goes before what a second reading of fewer texts says."""
    known = {system: line for system, line in lines.items() if line is not None}
    again = known.pop("LLM again", None)
    if key in corpus.stated or again is None or again.get("n_wanted", MIN_ANSWERS) < MIN_ANSWERS:
        return Scored((op, name), known, corpus.stated.get(key))
    return Scored((op, name), known, again["f"], len(corpus.again))


def make_mean(scores: Line) -> Line | None:
    return None if scores["macro_f"] is None else {"f": scores["macro_f"], "f_ci": scores["macro_f_ci"]}


def agree_all(corpus: Corpus, said: Mapping[str, Sequence[Said]], plan: Plan | None) -> dict[str, Any]:
    """Every system against the language model's answers."""
    texts, wanted = texts_of(corpus.test), said["LLM"]
    others = {system: one for system, one in said.items() if system != "LLM"}
    return {system: agree(one, wanted, texts, plan=plan, seed=SEED) for system, one in others.items()}
