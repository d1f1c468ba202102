"""Agreement per instruction, and how far the numbers can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from spacy.tokens import Doc

from spacy_falconer.corpus.docbin import GOLD, SPANS_KEY
from spacy_falconer.metamodel import reliability
from spacy_falconer.types import FIELDS
from spacy_falconer.workflow.page.run import Run
from spacy_falconer.workflow.report import PEOPLE, find_line, list_lines, name_baseline, name_side


@dataclass(frozen=True)
class Share:
    """A number from 0 to 1 with its 95% interval; `low` and `high` are None if the counts are not known."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Threshold:
    """The least score that counts. `target`: What it was chosen for, in words. `is_doubtful`: It rests on too few answers."""

    value: float
    target: str
    is_doubtful: bool


@dataclass(frozen=True)
class Line:
    """The agreement of an instruction, or of the plan's rows.

    n_texts (int): Texts that were asked. n_answers (int): How many answers were positive; None if that is not known.
    others: The F1 of what it is compared with, in the block's order. threshold: None if there is none, or it is not known.
    """

    key: str
    op: str
    instruction: str
    precision: Share
    recall: Share
    f1: Share
    n_texts: int
    n_answers: int | None
    others: list[Share] = field(default_factory=list)
    threshold: Threshold | None = None


@dataclass(frozen=True)
class Block:
    """Agreement with somebody on held-out texts.

    macro: F1 by primitive. others: The names of what it is compared with. is_resampled: Whether intervals are from resampling.
    """

    name: str
    n_texts: int
    lines: list[Line]
    macro: dict[str, float]
    others: list[str] = field(default_factory=list)
    is_resampled: bool = False

    @property
    def has_thresholds(self) -> bool:
        return any(line.threshold for line in self.lines)


def make_blocks(run: Run) -> list[Block]:
    """Return a block for the language model, and one for people if they answered too; only theirs if all answers are theirs."""
    if run.scores is None:
        return []
    instructions = {step.id: step.instruction for step in run.plan.steps} if run.plan else {}
    thresholds = {key: make_threshold(one) for key, one in (run.scores.get("thresholds") or {}).items()}
    make = partial(make_block, instructions=instructions, thresholds=thresholds)
    blocks = [make(name_side(run.scores), run.scores, n_answers=count_answers(run.test))]
    if isinstance(run.scores.get("people"), dict):
        people = [doc for doc in run.test or () if GOLD in doc.spans]
        blocks.append(make(PEOPLE, run.scores["people"], n_answers=count_gold(people)))
    return blocks


def make_block(
    name: str,
    scores: Mapping[str, Any],
    *,
    instructions: Mapping[str, str],
    thresholds: Mapping[str, Threshold | None],
    n_answers: Mapping[tuple[str, str], int],
) -> Block:
    others = scores.get("baselines") or {}
    lines = [
        replace(
            make_line(
                key, op, row, instructions.get(key, ""), n_answers.get((op, key)), find_others(others, kind, key)
            ),
            threshold=thresholds.get(key) if kind != "rows" else None,
        )
        for kind, op, key, row in list_lines(scores)
    ]
    macro = {op: as_share(scores[kind].get("macro_f")) for op, kind in FIELDS.items()}
    return Block(
        name, as_count(scores.get("n_texts")), lines, {op: f for op, f in macro.items() if f is not None},
        [name_baseline(one) for one in others], any("f_ci" in row for _, _, _, row in list_lines(scores)),
    )  # fmt: skip


def make_line(
    key: str, op: str, row: Mapping[str, Any], instruction: str, n_answers: int | None, others: list[Share]
) -> Line:
    if "f_ci" in row:
        shares = tuple(as_interval(row, name) for name in ("p", "r", "f"))
        n_answers = row.get("n_wanted", n_answers)
    else:
        shares = find_shares(*(as_share(row.get(name)) for name in ("p", "r", "f")), n_answers)
    return Line(key, op, instruction, *shares, as_count(row.get("n")), n_answers, others)


def make_threshold(noted: Mapping[str, Any]) -> Threshold | None:
    value = as_share(noted.get("threshold"))
    measure, _, least = str(noted.get("target") or "").partition("=")
    words = {"": "", "f1": "for best F1"}.get(measure, f"for {measure} {least}")
    return None if value is None else Threshold(value, words, bool(noted.get("doubt")))


def find_others(others: Mapping[str, Any], kind: str, key: str) -> list[Share]:
    return [as_interval(find_line(one, kind, key), "f") for one in others.values()]


def as_interval(row: Mapping[str, Any], name: str) -> Share:
    """Return a share with the interval that is noted beside it."""
    low, high = (as_share(bound) for bound in row.get(f"{name}_ci") or (None, None))
    return Share(as_share(row.get(name)), low, high)


def find_shares(p: float | None, r: float | None, f: float | None, n_answers: int | None) -> tuple[Share, Share, Share]:
    """Return precision, recall and F1 with intervals, from the counts behind them.

    Recall is a share of `n_answers`, which gives the hits, and they give the number that precision is a share of. F1 is
    2j / (1 + j), where j is the share of hits in all that either side says; its interval is that of j, transformed.
    """
    n_hits = count_of(r, n_answers)
    if n_hits is None or not n_answers:
        return Share(p), Share(r), Share(f)
    recall = Share(r, *wilson(n_hits, n_answers))
    n_found = round(n_hits / p) if p else 0
    if not n_found or abs(n_hits / n_found - p) > 1e-3:
        return Share(p), recall, Share(f)
    low, high = (2 * j / (1 + j) for j in wilson(n_hits, n_found + n_answers - n_hits))
    return Share(p, *wilson(n_hits, n_found)), recall, Share(f, low, high)


def count_of(share: float | None, n: int | None) -> int | None:
    """Return the whole number that is this share of `n`; None if there is none."""
    if share is None or not n:
        return None
    count = round(share * n)
    return count if abs(count / n - share) < 1e-3 else None


def wilson(n_hits: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share."""
    return reliability.wilson(n_hits / n, n)


def count_answers(docs: Iterable[Doc] | None) -> Counter[tuple[str, str]]:
    """Count how often each instruction was answered by yes, or by a passage. Quotes without a place count, too."""
    return count_positives((doc.cats, doc.spans.get(SPANS_KEY)) for doc in docs or ())


def count_gold(docs: Sequence[Doc]) -> Counter[tuple[str, str]]:
    return count_positives((doc.user_data.get("gold_cats", {}), doc.spans[GOLD]) for doc in docs)


def count_positives(answers: Iterable[tuple[Mapping[str, float], Any]]) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for cats, group in answers:
        counts.update(("get_label", key) for key, value in cats.items() if value > 0.5)
        for span in group or ():
            counts["get_span", span.label_] += 1
        attrs = group.attrs if group is not None else {}
        for key, places in attrs.get("missed", {}).items():
            counts["get_span", key] += len(places)
        counts.update({("get_span", key): n for key, n in attrs.get("unplaced", {}).items()})
    return counts


def as_share(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= 1 else None


def as_count(value: Any) -> int:
    return value if isinstance(value, int) else 0
