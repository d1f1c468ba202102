"""Find instructions for which a pipeline is so far behind the language model that it should not replace it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from spacy_falconer.workflow.scoring.agreement import Texts
from spacy_falconer.workflow.scoring.said import Said

MIN_F1 = 0.5  # Below it, fewer than a third of the answers that either side gives are given by both.
MIN_KAPPA = 0.4  # Below it, agreement beyond chance is less than moderate. Source: Landis and Koch, 1977.
REMEDY = (
    "More answers may help (--sample, --choose balanced), or plainer words; else leave what is doubtful to the "
    "language model: mine --guarantee."
)


def note_weak(scores: Mapping[str, Any], wanted: Sequence[Said], texts: Texts, *, behind: str) -> list[str]:
    """Return one line that names the weak instructions, if there are any: those whose F1 is below `MIN_F1` with its whole
    interval, and labels whose F1 is not clearly above that of a yes to every text, with little agreement beyond chance.
    Statements that take counting, comparing or inference end up here, and very rare ones. `behind`: whose answers are wanted.
    """
    weak = []
    for kind in ("labels", "spans"):
        for key, line in scores[kind]["per_instruction"].items():
            low, high = line["f_ci"] or (1.0, 1.0)
            base = find_base_f1(key, wanted, texts) if kind == "labels" else None
            if high < MIN_F1 or (base is not None and low <= base and find_kappa(line) < MIN_KAPPA):
                beside = "" if base is None else f"; yes to every text {base:.2f}"
                weak.append(f"{key} (F1 {line['f']:.2f}, {low:.2f} to {high:.2f}{beside})")
    return [f"Too far behind {behind} to be relied on: {', '.join(weak)}. {REMEDY}"] if weak else []


def find_kappa(line: Mapping[str, Any]) -> float:
    """Return Cohen's kappa of a label, from its row of the table; 1 if both sides give all texts the same answer."""
    n, said, true = line["n"], line["n_found"], line["n_wanted"]
    both = line["r"] * true
    agreed, by_chance = 2 * both + n - said - true, (said * true + (n - said) * (n - true)) / n
    return 1.0 if by_chance == n else (agreed - by_chance) / (n - by_chance)


def find_base_f1(key: str, wanted: Sequence[Said], texts: Texts) -> float:
    """Return the F1 of saying yes to each text that was asked."""
    asked = numpy.array([key in one.labels for one in wanted])
    is_true = numpy.array([one.labels.get(key, False) for one in wanted])
    share = texts.weights[is_true].sum() / texts.weights[asked].sum()
    return float(2 * share / (1 + share))
