"""Find where the metamodel is most certain that the other side is wrong: texts for people to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from typing import Any

from spacy_falconer.workflow.scoring.said import Place, Said

MOST, MAX_CHARACTERS, BEFORE = 20, 1500, 300
Json = dict[str, Any]


def list_disagreements(texts: Sequence[str], found: Sequence[Said], wanted: Sequence[Said]) -> list[Json]:
    """Return the 20 most confident disagreements, at most one per text and instruction.

    Instructions and kinds take turns, each with its most confident one first. Kinds are "more": only the metamodel says
    it; "less": only the other side does; "other": passages that overlap but are not the same.
    RETURNS: `{"key", "op", "kind", "confidence", "score", "text", "start", "found", "wanted"}`; passages are
        [start, end, score] in characters of the whole text, "text" is what follows from "start" on.
    """
    groups: dict[tuple[str, str], list[Json]] = {}
    for number, (text, one, other) in enumerate(zip(texts, found, wanted, strict=True)):
        for made in chain(compare_labels(one, other), compare_spans(one, other)):
            groups.setdefault((made["key"], made["kind"]), []).append({**made, "number": number, "text": text})
    for some in groups.values():
        some.sort(key=lambda one: (-one["confidence"], one["number"]))
    in_turn = [one for turn in zip_longest(*groups.values()) for one in turn if one is not None]
    return [cut(one) for one in in_turn[:MOST]]


def compare_labels(found: Said, wanted: Said) -> Iterator[Json]:
    for key, is_true in wanted.labels.items():
        if found.labels.get(key, is_true) != is_true:
            score = found.scores.get(key, float(found.labels[key]))
            kind, confidence = ("less", 1 - score) if is_true else ("more", score)
            yield {"key": key, "op": "get_label", "kind": kind, "confidence": confidence, "score": score}


def compare_spans(found: Said, wanted: Said) -> Iterator[Json]:
    """Yield at most one disagreement per instruction, the most confident one, with all passages of both sides."""
    for key in wanted.spans:
        if key in found.spans and (differing := list(find_differences(key, found, wanted))):
            confidence, kind = max(differing)
            scores = found.candidates.get(key, {})
            yield {
                "key": key, "op": "get_span", "kind": kind, "confidence": confidence,
                "found": [[*place, scores.get(place)] for place in sorted(found.spans[key])],
                "wanted": [list(place) for place in sorted(wanted.spans[key]) if place[0] >= 0],
            }  # fmt: skip


def find_differences(key: str, found: Said, wanted: Said) -> Iterator[tuple[float, str]]:
    """Yield how sure the metamodel is about each passage that only one side has, and the kind of disagreement."""
    scores = found.candidates.get(key, {})
    for place in found.spans[key] - wanted.spans[key]:
        touched = any(overlap(place, other) for other in wanted.spans[key])
        yield scores.get(place, 1.0), "other" if touched else "more"
    for place in wanted.spans[key] - found.spans[key]:
        if place[0] >= 0 and not any(overlap(place, other) for other in found.spans[key]):
            yield 1 - max((score for other, score in scores.items() if overlap(place, other)), default=0.0), "less"


def overlap(one: Place, other: Place) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def cut(made: Json) -> Json:
    """Return a disagreement with only a part of its text, which begins a little before the first passage."""
    marks: Iterable[Any] = [*made.get("found", ()), *made.get("wanted", ())]
    first, text = min((mark[0] for mark in marks), default=0), made["text"]
    start = max(0, min(first - BEFORE, len(text) - MAX_CHARACTERS))
    shown = {**made, "text": text[start : start + MAX_CHARACTERS], "start": start, "n_characters": len(text)}
    return {name: value for name, value in shown.items() if name != "number"}
