"""What more answers would bring: the agreement on the same test answers after learning from ever more training answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.corpus.docbin import split_docs
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.base import Base, Encoded, ask_heads, train_heads
from spacy_falconer.workflow.files import digest
from spacy_falconer.workflow.scoring.agreement import TAIL, Texts, agree, answers_of, count, count_all, prf, resample
from spacy_falconer.workflow.scoring.said import Said, ask_pipeline, decide, read_answers
from spacy_falconer.workflow.train import DEV_SHARE, MIN_ANSWERS, train

SHARES = (0.25, 0.5, 1.0)
GRID = numpy.round(numpy.arange(0.05, 1.0, 0.05), 2)
MIN_WANTED, DEFAULT, CLOSE = 5, 0.5, 0.01
Json = dict[str, Any]
Teach = Callable[
    [list[int]], list[Said]
]  # Takes the places of answers to learn from, returns what is then said of the tests.


def draw_curve(
    docs: Sequence[Doc], wanted: Sequence[Said], texts: Texts, teach: Teach, *, kind: str, seed: int
) -> Json | None:
    """Return the agreement after learning from growing parts, each of which holds the one before.

    kind (str): What was trained: "full", or "heads".
    RETURNS: `{"kind", "points": [{"n_texts", "labels", "spans"}], "gain"}`; "gain" is what the last step brought, with
        its interval. None if there are too few answers for two parts.
    """
    order = rank(docs, seed=seed)
    sizes = [n for n in (round(share * len(docs)) for share in SHARES) if n >= MIN_ANSWERS]
    if len(sizes) < 2:
        return None
    said = [teach(order[:n]) for n in sizes]
    points = [
        {"n_texts": n, **shorten(agree(one, wanted, texts, plan=None, seed=seed))}
        for n, one in zip(sizes, said, strict=True)
    ]
    gain = {"from": sizes[-2], "to": sizes[-1], **measure_gain(said[-2], said[-1], wanted, texts, seed=seed)}
    return {"kind": kind, "points": points, "gain": gain}


def rank(docs: Sequence[Doc], *, seed: int) -> list[int]:
    """Return the answers' places in a random order that depends on their texts and the seed alone."""
    return sorted(range(len(docs)), key=lambda place: digest(str(seed), docs[place].text))


def shorten(scores: Json) -> Json:
    """Return an agreement's macro F1 with its interval, and each instruction's F1."""
    return {
        kind: {
            **{name: scores[kind][name] for name in ("macro_f", "macro_f_ci")},
            "per_instruction": {key: line["f"] for key, line in scores[kind]["per_instruction"].items()},
        }
        for kind in ("labels", "spans")
    }


def measure_gain(
    before: Sequence[Said], after: Sequence[Said], wanted: Sequence[Said], texts: Texts, *, seed: int
) -> Json:
    """Return how much the macro F1 rose, with its 95% interval: both are scored on the same resampled texts."""
    found: Json = {}
    for kind in ("labels", "spans"):
        (old, old_again), (new, new_again) = (
            sample_macro(said, wanted, texts, kind, seed=seed) for said in (before, after)
        )
        if len(new_again):
            bounds = numpy.quantile(new_again - old_again, [TAIL, 1 - TAIL])
            found[kind] = {"f": new - old, "f_ci": bounds.tolist()}
    return found


def sample_macro(
    said: Sequence[Said], wanted: Sequence[Said], texts: Texts, kind: str, *, seed: int
) -> tuple[float, NDArray]:
    """Return the mean F1 over all instructions that have something to find, and the mean F1 on each resample."""
    counts = {key: one for key, one in count_all(said, wanted, kind).items() if one.rows[:, 2].any()}
    if not counts:
        return 0.0, numpy.zeros(0)
    whole = [prf((one.rows * texts.weights[:, None]).sum(axis=0))[2] for one in counts.values()]
    again = [prf(rows)[:, 2] for rows in resample(counts, texts, seed=seed).values()]
    return float(numpy.mean(whole)), numpy.mean(again, axis=0)


def teach_heads(base: Base, encoded: Encoded, tests: Encoded, docs: Sequence[Doc], *, seed: int) -> Teach:
    """Train only the heads, on the pre-trained encoder: this gives the curve's shape in seconds, but lower than `teach_all`.

    docs: The answers about the texts of `encoded`. A fifth of each part is held out for the thresholds.
    """

    def teach(rows: list[int]) -> list[Said]:
        held_out = {doc.text for doc in split_docs([docs[row] for row in rows], dev_share=DEV_SHARE, seed=seed)[1]}
        learn, check = ([row for row in rows if (docs[row].text in held_out) is side] for side in (False, True))
        train_heads(base, [encoded.docs[row] for row in learn], [docs[row] for row in learn], seed=seed)
        checked = ask_heads(base, [encoded.docs[row] for row in check])
        thresholds = choose_thresholds(checked, [read_answers(docs[row]) for row in check])
        return [decide(said, thresholds) for said in ask_heads(base, tests.docs)]

    return teach


def choose_thresholds(found: Sequence[Said], wanted: Sequence[Said]) -> dict[str, float]:
    """Return thresholds by key: those near the best F1, or the default if an instruction has too little to find."""
    keys = dict.fromkeys(key for said in found for key in (*said.scores, *said.candidates))
    return {key: best_threshold(key, found, wanted) for key in keys}


def best_threshold(key: str, found: Sequence[Said], wanted: Sequence[Said]) -> float:
    kind = "labels" if key in found[0].scores else "spans"
    n_wanted = sum(len(one) for one in answers_of(wanted, kind, key) if one is not None)
    if n_wanted < MIN_WANTED:
        return DEFAULT

    def f_score(threshold: float) -> float:
        decided = [decide(said, dict.fromkeys((*said.scores, *said.candidates), threshold)) for said in found]
        counts = count(answers_of(decided, kind, key), answers_of(wanted, kind, key))
        return float(prf(counts.rows.sum(axis=0))[2])

    scores = {float(threshold): f_score(float(threshold)) for threshold in GRID}
    good = [one for one, f in scores.items() if f >= max(scores.values()) - max(CLOSE, 1 / n_wanted)]
    return min(good, key=lambda one: abs(one - DEFAULT))


def teach_all(plan: Plan, docs: Sequence[Doc], tests: Sequence[Doc], nlp: Language, **settings: Any) -> Teach:
    """Train as `train` does. `nlp` has learned from all the answers already, and is used for these.

    settings: Those of `train`: source, config and seed.
    """
    texts = [doc.text for doc in tests]

    def teach(rows: list[int]) -> list[Said]:
        part = [docs[row] for row in rows]
        taught = nlp if len(part) == len(docs) else train(plan, part, quiet=True, **settings)[0]
        return ask_pipeline(taught, texts)

    return teach
