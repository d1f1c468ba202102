"""How much of the corpus, and of the answers, the result covers."""

from __future__ import annotations

from dataclasses import dataclass, field

from spacy_falconer.corpus.docbin import SPANS_KEY, GroundingReport
from spacy_falconer.workflow.page.run import Run


@dataclass(frozen=True)
class Fact:
    """A number and what it means. `is_bad`: It should be 0."""

    name: str
    n: int
    note: str = ""
    is_bad: bool = False


@dataclass(frozen=True)
class Coverage:
    """What was read and answered.

    shares: All of the corpus's rows, by what became of them. failed: Reasons, with the number of texts.
    """

    shares: list[Fact]
    corpus: list[Fact]
    answers: list[Fact]
    placements: list[tuple[str, int, int, int, int, int]]
    languages: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)


def find_coverage(run: Run) -> Coverage:
    totals = run.totals
    languages = totals.get("languages")
    return Coverage(
        list_shares(run), list_corpus(run), list_answers(run), count_placements(run),
        languages if isinstance(languages, dict) else {}, dict(run.tally.failed) if run.tally else {},
    )  # fmt: skip


def list_shares(run: Run) -> list[Fact]:
    totals = {name: n for name, n in run.totals.items() if isinstance(n, int)}
    if not totals.get("n_texts"):
        return []
    n_texts, n_rows = totals["n_texts"], totals.get("n_rows", 0)
    read = [Fact("in the result", n_rows), Fact("read, not in the result", n_texts - n_rows)]
    if run.plan is None or run.plan.unit == "sentence" or n_rows > n_texts:
        read = [Fact("read", n_texts)]
    others = [Fact("read by an earlier run", totals.get("n_skipped", 0)), Fact("rejected", totals.get("n_rejected", 0))]
    return [fact for fact in [*read, *others] if fact.n]


def list_corpus(run: Run) -> list[Fact]:
    totals = run.totals
    if not totals:
        return []
    languages = totals.get("languages")
    other = sum(languages.values()) if isinstance(languages, dict) else 0
    return [
        Fact("texts read", totals.get("n_texts", 0)),
        Fact("rows in the result", totals.get("n_rows", 0)),
        Fact("texts that repeat another", totals.get("n_duplicates", 0), "read once, and each has its rows"),
        Fact("read by an earlier run", totals.get("n_skipped", 0), "their rows are there"),
        Fact("rejected", totals.get("n_rejected", 0), "rows of the corpus that are not texts, or failed", is_bad=True),
        Fact("damaged files", totals.get("n_damaged", 0), "read up to the damage", is_bad=True),
        Fact("tokens the encoder cannot read", totals.get("n_unread_tokens", 0), is_bad=True),
        Fact("texts that look like another language", other, "read all the same", is_bad=True),
    ]


def list_answers(run: Run) -> list[Fact]:
    facts = []
    if run.train is not None:
        facts.append(Fact("answered texts that were learned from", len(run.train)))
    if run.test is not None:
        facts.append(Fact("answered texts that were held out", len(run.test), "the agreement is measured on them"))
    if run.tally is not None:
        facts.append(Fact("texts without an answer", sum(run.tally.failed.values()), "asked, and failed", is_bad=True))
    return facts


def count_placements(run: Run) -> list[tuple[str, int, int, int, int, int]]:
    """Count for each instruction the texts asked, and quotes: all, placed, not in the text, and not on token boundaries."""
    report = GroundingReport()
    for doc in run.answers:
        group = doc.spans.get(SPANS_KEY)
        if group is not None and {"asked", "missed", "unplaced"} <= set(group.attrs):
            report.count(group)
    return report.rows()
