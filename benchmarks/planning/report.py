"""The table, and what went wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.planning.ask import Recorder
from benchmarks.planning.run import Outcome
from benchmarks.planning.score import Meaning

SPLITS = ("earlier", "dev", "heldout")
PATTERNS = ("filter", "extract", "classify", "combine", "negation", "for_each", "one_of", "sentence", "unsupported")
# The names that the earlier sentences' patterns have.
EARLIER = {
    "single_label": "filter", "span_presence": "filter", "paraphrase": "filter", "single_span": "extract",
    "multi_span": "extract", "multi_label": "classify", "filter_then_extract": "combine", "conjunction": "combine",
    "disjunction": "combine", "nested": "combine", "conditional_extract": "combine", "underspecified_output": "combine",
}  # fmt: skip


def find_pattern(outcome: Outcome) -> str:
    return EARLIER.get(outcome.item["pattern"], outcome.item["pattern"])


def print_table(outcomes: Sequence[Outcome]) -> None:
    """A line per split and pattern. Exact: the plan's result is the gold plan's, cell by cell."""
    print("| sentences | pattern | n | valid | exact | mean F1 |\n|---|---|---|---|---|---|")
    scored = [outcome for outcome in outcomes if outcome.f1 is not None]
    for split in SPLITS:
        chosen = [outcome for outcome in scored if outcome.item["split"] == split]
        for pattern in PATTERNS:
            print_line(split, pattern, [outcome for outcome in chosen if find_pattern(outcome) == pattern])
        print_line(split, "all", chosen)


def print_line(split: str, pattern: str, outcomes: Sequence[Outcome]) -> None:
    if not outcomes:
        return
    n_valid, n_exact = sum(o.is_valid for o in outcomes), sum(o.f1 == 1 for o in outcomes)
    mean = sum(o.f1 or 0 for o in outcomes) / len(outcomes)
    print(f"| {split} | {pattern} | {len(outcomes)} | {n_valid} | {n_exact} | {mean:.3f} |")


def print_failures(outcomes: Sequence[Outcome], splits: Iterable[str]) -> None:
    """The sentences that missed the gold rows. Those of the other splits stay unseen."""
    for outcome in outcomes:
        if outcome.f1 is not None and outcome.f1 < 1 and outcome.item["split"] in splits:
            print(f"\n{outcome.item['id']} ({find_pattern(outcome)})  F1 {outcome.f1:.3f}  {outcome.note}")
            print(f"  {outcome.item['instruction']}")
            print_plan(outcome)


def print_plan(outcome: Outcome) -> None:
    fields = dump_plan(outcome)
    for step in fields.get("steps", ()):
        rest = ", ".join(f"{key} {step[key]}" for key in ("when", "one_of", "for_each") if key in step)
        meant = ("not " if step["negate"] else "") + step["primitive"]
        print(f"  - {step['id']} [{meant}] {step['instruction']} {rest}")
    if "steps" in fields:
        print(f"  keep {fields['keep']}; output {', '.join(fields['output']) or '-'}; unit {fields['unit']}")


def print_sources(outcomes: Sequence[Outcome], recorders: Iterable[Recorder]) -> None:
    for note in ("not planned yet", "not judged yet"):
        missing = [outcome.item["id"] for outcome in outcomes if outcome.f1 is None and outcome.note == note]
        if missing:
            print(f"\n{len(missing)} sentences are {note}, and are not in the table.")
    for recorder in recorders:
        sources = sorted({f"{row['model']}, {row['date']}" for row in recorder.rows})
        print(f"\n{recorder.path.name}: {len(recorder.rows)} by {'; '.join(sources)}")
        if recorder.n_stale:
            print(f"{recorder.n_stale} of them were given to an earlier prompt. Name a --model to ask again.")


def write_predictions(outcomes: Iterable[Outcome], path: Path) -> None:
    """The plans with the primitives that their steps mean, for another executor."""
    lines = [json.dumps({"id": outcome.item["id"], "plan": dump_plan(outcome)}) for outcome in outcomes]
    path.write_text("\n".join(lines) + "\n", encoding="utf8")


def dump_plan(outcome: Outcome) -> dict[str, Any]:
    if outcome.plan is None:
        return {"unsupported": True} if outcome.is_valid else {}
    fields = outcome.plan.model_dump(mode="json", exclude_none=True)
    for step in fields["steps"]:
        meaning = (outcome.meanings or {}).get(step["id"]) or Meaning("none")  # else its id would be taken for it
        step.update(primitive=meaning.primitive, negate=meaning.is_opposite)
    return fields
