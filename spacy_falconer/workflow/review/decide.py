"""Turn people's work into answers: check it against what was asked, and settle it if several people looked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.store import HUMAN
from spacy_falconer.plan import Plan
from spacy_falconer.types import Answer, CharSpan, Quote
from spacy_falconer.workflow.files import digest
from spacy_falconer.workflow.review.files import Found, Reject
from spacy_falconer.workflow.review.places import place_mark
from spacy_falconer.workflow.review.work import Asked, Work, read_note

Vote = bool | frozenset[CharSpan]


@dataclass(frozen=True)
class Decision:
    """What one person said about a text, by primitive and instruction."""

    where: str
    text: str
    by: str
    when: float
    said: Mapping[tuple[str, str], Vote]


def decide(found: Found, plan: Plan, usual: Asked) -> Decision:
    """Turn one person's work into answers to instructions.

    usual: What was asked if a record does not say so itself.
    RAISES (AnswerError): The work does not fit its text, or what was asked.
    """
    work = found.work
    asked = find_asked(work, usual)
    check_keys(work, asked)
    labels = {(op, words): key in work.labels for key, (op, words) in asked.items() if op == "get_label"}
    check_groups([words for (_, words), is_true in labels.items() if is_true], plan)
    spans: dict[tuple[str, str], Vote] = {
        (op, words): frozenset(place_mark(work.text, mark) for mark in work.marks if mark.key == key)
        for key, (op, words) in asked.items() if op == "get_span"
    }  # fmt: skip
    return Decision(found.where, work.text, work.by, work.when, {**labels, **spans})


def find_asked(work: Work, usual: Asked) -> Asked:
    """Return what the person was asked, and what was spared but marked nevertheless, as a tool may offer it.

    RAISES (AnswerError): The text is not the one that was asked about.
    """
    if work.note is None:
        return {key: one for key, one in usual.items() if is_asked(key, one[0], work)}
    text, asked, spared = read_note(work.note)
    if text != digest(work.text):
        raise AnswerError(
            f"Its text has changed since it was exported: {work.text[:60]!r}. Export it again, and leave the text as it is."
        )
    marked = {*work.labels, *(mark.key for mark in work.marks)}
    return {**asked, **{key: one for key, one in spared.items() if key in marked}}


def is_asked(key: str, op: str, work: Work) -> bool:
    """Return whether a record without a note asks for a key that occurs in some record of its kind."""
    if work.asked:
        return key in work.asked
    return op in work.shown and (op == "get_span" or not work.offered or key in work.offered)


def find_usual(works: Iterable[Work], plan: Plan) -> Asked:
    """Return the plan's steps whose keys occur in records that do not say what they asked."""
    used: set[str] = set()
    for work in works:
        if work.note is None:
            used |= {*work.labels, *work.asked, *work.offered, *(mark.key for mark in work.marks)}
    return {step.id: (step.op, step.instruction) for step in plan.text_steps() if step.id in used}


def check_keys(work: Work, asked: Asked) -> None:
    named = [(key, "get_label") for key in work.labels] + [(mark.key, "get_span") for mark in work.marks]
    for key, op in named:
        if asked.get(key, ("", ""))[0] != op:
            known = ", ".join(one for one, (kind, _) in asked.items() if kind == op) or "none"
            what = "label" if op == "get_label" else "passage"
            raise AnswerError(f"It has a {what} {key!r}, which was not asked; expected one of: {known}. Rename it.")


def check_groups(true: Sequence[str], plan: Plan) -> None:
    """RAISES (AnswerError): More than one label of a group is true."""
    first: dict[str, str] = {}
    for step in plan.text_steps("get_label"):
        if step.one_of is None or step.instruction not in true:
            continue
        if step.one_of in first:
            both = f"{first[step.one_of]!r} and {step.id!r}"
            raise AnswerError(f"It chooses {both}, of which at most one is true (one_of: {step.one_of}). Choose one.")
        first[step.one_of] = step.id


def keep_last(decisions: Iterable[Decision]) -> tuple[list[Decision], int]:
    """Return each person's last answer to each question about each text, and how many answers were replaced by later ones."""
    last: dict[tuple[str, str], Decision] = {}
    n_superseded = 0
    for decision in sorted(decisions, key=lambda one: one.when):  # Stable: of equal times, the last in the files.
        earlier = last.get((decision.text, decision.by))
        before = earlier.said if earlier else {}
        n_superseded += len(before.keys() & decision.said.keys())
        last[decision.text, decision.by] = replace(decision, said={**before, **decision.said})
    return list(last.values()), n_superseded


def settle(decisions: Sequence[Decision]) -> tuple[list[Answer], list[Reject]]:
    """Return one answer per text, by majority, and the questions that remain undecided.

    A passage is accepted if more than half of those who were asked marked exactly the same characters.
    """
    by_text: dict[str, list[Decision]] = {}
    for decision in decisions:
        by_text.setdefault(decision.text, []).append(decision)
    answers, open_ones = [], []
    for text, several in by_text.items():
        labels, spans = {}, {}
        for question in dict.fromkeys(question for one in several for question in one.said):
            votes = {one.by: one.said[question] for one in several if question in one.said}
            winner = find_majority(list(votes.values()))
            if winner is None:
                open_ones.append(make_reject(several, question, votes))
            elif isinstance(winner, bool):
                labels[question[1]] = winner
            else:
                places = sorted(winner)
                spans[question[1]] = tuple(Quote(text[place.start : place.end], place.start) for place in places)
        answers.append(Answer(text, HUMAN, labels, spans))
    return [one for one in answers if one.labels or one.spans], open_ones


def find_majority(votes: Sequence[Vote]) -> Vote | None:
    """Return what more than half say; None if exactly half say something."""
    if all(isinstance(vote, bool) for vote in votes):
        n_yes = sum(bool(vote) for vote in votes)
        return None if 2 * n_yes == len(votes) else 2 * n_yes > len(votes)
    marked: dict[CharSpan, int] = {}
    for vote in votes:
        for place in vote:
            marked[place] = marked.get(place, 0) + 1
    if any(2 * n == len(votes) for n in marked.values()):
        return None
    return frozenset(place for place, n in marked.items() if 2 * n > len(votes))


def make_reject(several: Sequence[Decision], question: tuple[str, str], votes: Mapping[str, Vote]) -> Reject:
    text = several[0].text
    said = {
        by: vote if isinstance(vote, bool) else [text[place.start : place.end] for place in sorted(vote)]
        for by, vote in votes.items()
    }
    reason = f"{len(votes)} people disagree, half against half, on {question[1]!r}. Ask one more person, or settle it."
    return Reject("; ".join(one.where for one in several), reason, {"text": text, "said": said})
