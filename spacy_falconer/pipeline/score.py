"""Scorers that count only what was asked, with each instruction's own threshold, under spaCy's usual keys.

If all texts have a weight (`doc.user_data["weight"]`), because likely ones were chosen more often, each counts as much as
its weight, so that the scores are those of the corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from spacy.scorer import PRFScore
from spacy.tokens import Doc, SpanGroup
from spacy.training import Example

from spacy_falconer.pipeline.instructed import threshold_of

Counts = Mapping[str, PRFScore]


def make_label_scorer() -> Callable:
    return score_labels


def make_span_scorer() -> Callable:
    return score_spans


def score_labels(examples: Iterable[Example], *, labels: Sequence[str], **cfg: Any) -> dict[str, Any]:
    """Return precision, recall and F of `doc.cats`. A key that is not in the reference's cats was not asked."""
    counts = {key: PRFScore() for key in labels}
    examples = list(examples)
    for eg, weight in zip(examples, weights_of([eg.reference for eg in examples]), strict=True):
        for key in [key for key in labels if key in eg.reference.cats]:
            found = eg.predicted.cats.get(key, 0.0) >= threshold_of(cfg, key)
            _count(counts[key], {key} if found else set(), {key} if eg.reference.cats[key] == 1.0 else set(), weight)
    return _report("cats", counts) | {"cats_f_per_type": {key: prf.to_dict() for key, prf in counts.items()}}


def score_spans(examples: Iterable[Example], *, labels: Sequence[str], spans_key: str, **cfg: Any) -> dict[str, Any]:
    """Return precision, recall and F of exact spans. An answer without a place, or not on token boundaries, is a miss."""
    counts = {key: PRFScore() for key in labels}
    examples = list(examples)
    for eg, weight in zip(examples, weights_of([eg.reference for eg in examples]), strict=True):
        gold = eg.reference.spans.get(spans_key)
        found = places(eg.predicted.spans.get(spans_key))
        wanted = places(gold)
        for key in [key for key in labels if is_asked(gold, key)]:
            _count(counts[key], found.get(key, set()), wanted.get(key, set()), weight)
            counts[key].fn += weight * n_missed(gold, key)
    per_type = {key: prf.to_dict() for key, prf in counts.items()}
    return _report(f"spans_{spans_key}", counts) | {f"spans_{spans_key}_per_type": per_type}


def weights_of(docs: Sequence[Doc]) -> list[float]:
    """Return how much each text counts: its weight if all have one, else 1."""
    weights = [doc.user_data.get("weight") for doc in docs]
    return [1.0] * len(docs) if None in weights else weights


def is_asked(group: SpanGroup | None, key: str) -> bool:
    """Return whether a text was asked. If nothing says what it was asked, it was everything, as in other span data."""
    return group is not None and ("asked" not in group.attrs or key in group.attrs["asked"])


def asked_keys(group: SpanGroup | None) -> set[str]:
    """Return what was asked of a text; if nothing says so, what was found in it."""
    if group is None:
        return set()
    return set(group.attrs["asked"]) if "asked" in group.attrs else {span.label_ for span in group}


def places(group: SpanGroup | None) -> dict[str, set[tuple[int, int]]]:
    """Return the start and end characters of a group's spans, by label."""
    found: dict[str, set[tuple[int, int]]] = {}
    for span in group or ():
        found.setdefault(span.label_, set()).add((span.start_char, span.end_char))
    return found


def n_missed(group: SpanGroup, key: str) -> int:
    """Return how many answers no prediction can match: not found in the text, or not on token boundaries."""
    return len(group.attrs.get("missed", {}).get(key, ())) + group.attrs.get("unplaced", {}).get(key, 0)


def _count(prf: PRFScore, found: set, wanted: set, weight: float) -> None:
    prf.tp += weight * len(found & wanted)
    prf.fp += weight * len(found - wanted)
    prf.fn += weight * len(wanted - found)


def _report(prefix: str, counts: Counts) -> dict[str, float | None]:
    """Return micro scores over all pairs, and macro F over instructions for which anything was wanted or found."""
    micro = sum(counts.values(), PRFScore())
    seen = [prf for prf in counts.values() if prf.tp + prf.fp + prf.fn]
    macro = sum(prf.fscore for prf in seen) / len(seen) if seen else None
    return {
        f"{prefix}_p": micro.precision if seen else None,
        f"{prefix}_r": micro.recall if seen else None,
        f"{prefix}_f": micro.fscore if seen else None,
        f"{prefix}_macro_f": macro,
    }
