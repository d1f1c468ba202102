"""Ask the steps with `for_each` about each passage of a text, in one request for all passages."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import Any

from spacy_falconer.errors import ReplyError
from spacy_falconer.grounding import find_occurrences, find_quotes
from spacy_falconer.llm.prompt import choose_fence, clean, render
from spacy_falconer.llm.questions import (
    SCHEMAS,
    VALUES,
    Message,
    check_value,
    find_problems,
    make_object,
    parse_object,
    place_words,
)
from spacy_falconer.llm.rows import Question
from spacy_falconer.plan import Plan, Step
from spacy_falconer.plan.show import show
from spacy_falconer.types import Answer, CharSpan, Quote

NUMBER = "N"  # The key of a passage's number in a reply; no step can have this id.
N_AROUND = 40  # Characters shown around a passage whose words occur several times in the text.


@dataclass(frozen=True)
class Passage:
    """What a step found: `words` at `place` of a text. `source` is the step's id.

    sent: Its place in the window as it is sent, if that is not the text itself.
    """

    source: str
    place: CharSpan
    words: str
    sent: CharSpan | None = None

    @property
    def shown(self) -> CharSpan:
        return self.sent or self.place

    def ask(self, step: Step) -> Question:
        return Question(step.op, step.fill(self.words), self.place)


def passage_steps(plan: Plan) -> list[Step]:
    """Return the steps that ask about passages, each question once."""
    steps = [step for step in plan.steps if step.for_each is not None]
    return list({(step.op, step.instruction, step.for_each): step for step in reversed(steps)}.values())[::-1]


def find_passages(plan: Plan, answer: Answer) -> list[Passage]:
    """Return the passages in an answer about which a plan asks: for each source step, each place once, in order."""
    sources = dict.fromkeys(step.for_each for step in passage_steps(plan))
    instructions = {source: plan.steps_by_id[source].instruction for source in sources if source}
    passages = []
    for source, instruction in instructions.items():
        places = {place for place in find_quotes(answer.text, answer.spans.get(instruction, ())) if place}
        for place in sorted(places):
            words = clean(answer.text[place.start : place.end])
            passages.append(Passage(source, place, words))
    return passages


def ask_each(steps: Iterable[Step], passages: Iterable[Passage]) -> dict[Question, tuple[Step, Passage]]:
    """Return the questions of some steps about passages, each with its step and passage."""
    passages = list(passages)
    return {one.ask(step): (step, one) for step in steps for one in passages if one.source == step.for_each}


def join_answers(one: Answer | None, other: Answer) -> Answer:
    """Join two answers about the same passage, which two steps may have found."""
    if one is None:
        return other
    return replace(one, labels={**one.labels, **other.labels}, spans={**one.spans, **other.spans})


@dataclass(frozen=True)
class PassageForm:
    """Asks steps about each passage of a text or of a window of it."""

    window: str
    steps: Sequence[Step]
    passages: Sequence[Passage]

    @cached_property
    def messages(self) -> list[Message]:
        lines = [f"{one.source} {number}: {self._show(one)}" for number, one in self._numbered]
        text = clean(self.window)
        fence = choose_fence([text, *lines])
        system = render(
            "annotate_passages",
            "system",
            fence=fence,
            groups=self._groups,
            has_labels=any(step.op == "get_label" for step in self.steps),
            has_spans=any(step.op == "get_span" for step in self.steps),
            form=self._form,
        )
        user = render("annotate_passages", "user", fence=fence, text=text, passages=lines)
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    @cached_property
    def schema(self) -> dict[str, Any]:
        lists = {}
        for source, steps in self._groups.items():
            one = make_object({NUMBER: {"type": "integer"}, **{step.id: SCHEMAS[step.op] for step in steps}})
            lists[source] = {"type": "array", "items": one}
        return make_object(lists)

    def read(self, content: str, model: str) -> tuple[Answer, list[str]]:
        data = parse_object(content)
        rows = {source: _find_rows(data, source, self._count(source)) for source in self._groups}
        about: dict[CharSpan, Answer] = {}
        problems: list[str] = []
        for number, passage in self._numbered:
            answer, unplaced = self._read_passage(passage, rows[passage.source][number], model)
            about[passage.place] = join_answers(about.get(passage.place), answer)
            problems += [f'Passage {number} of "{passage.source}", {problem}' for problem in unplaced]
        return Answer(self.window, model, about=about), problems

    def repair(self, content: str, problems: Sequence[str]) -> list[Message]:
        repair = render("annotate_repair", "user", problems=problems, form=self._form)
        return [{"role": "assistant", "content": content}, {"role": "user", "content": repair}]

    @cached_property
    def _groups(self) -> dict[str, list[Step]]:
        """The steps of each source that found passages, by the source's id."""
        sources = dict.fromkeys(passage.source for passage in self.passages)
        return {source: [step for step in self.steps if step.for_each == source] for source in sources}

    @cached_property
    def _numbered(self) -> list[tuple[int, Passage]]:
        """The passages with their numbers, which begin at 1 for each source."""
        numbers: defaultdict[str, count[int]] = defaultdict(lambda: count(1))
        return [(next(numbers[passage.source]), passage) for passage in self.passages]

    @cached_property
    def _form(self) -> str:
        return "{" + ", ".join(f'"{source}": [{_show_row(steps)}, ...]' for source, steps in self._groups.items()) + "}"

    def _count(self, source: str) -> int:
        return sum(passage.source == source for passage in self.passages)

    def _show(self, passage: Passage) -> str:
        """Return the passage's words, and what is around them if the window has them several times."""
        start, end = passage.shown.start, passage.shown.end
        words = _flatten(clean(self.window[start:end]))
        if len(find_occurrences(self.window, self.window[start:end])) < 2:
            return words
        before, after = self.window[max(0, start - N_AROUND) : start], self.window[end : end + N_AROUND]
        return f"{words} (in: ...{_flatten(clean(before))}[{words}]{_flatten(clean(after))}...)"

    def _read_passage(self, passage: Passage, row: Mapping[str, Any], model: str) -> tuple[Answer, list[str]]:
        labels: dict[str, bool] = {}
        spans: dict[str, tuple[Quote, ...]] = {}
        placed: dict[str, tuple[Quote, ...]] = {}
        for step in self._groups[passage.source]:
            value, filled = check_value(row.get(step.id), step), step.fill(passage.words)
            if isinstance(value, bool):
                labels[filled] = value
            else:
                spans[filled] = placed[step.id] = place_words(self.window, value)
        return Answer(self.window, model, labels, spans), find_problems(placed)


def _find_rows(data: Mapping[str, Any], source: str, n_passages: int) -> dict[int, Mapping[str, Any]]:
    """Return the rows of a reply about the passages of one source, by their numbers."""
    rows = data.get(source)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ReplyError(f"{source!r} is {show(rows)} in the reply. Expected a list with one object for every passage.")
    by_number = {str(row.get(NUMBER)): row for row in rows}
    if len(rows) != n_passages or by_number.keys() != {str(number) for number in range(1, n_passages + 1)}:
        raise ReplyError(
            f"{source!r} has the passages {show([row.get(NUMBER) for row in rows])} in the reply. Expected each of 1 to "
            f"{n_passages} once."
        )
    return {int(number): row for number, row in by_number.items()}


def _show_row(steps: Iterable[Step]) -> str:
    return "{" + ", ".join([f'"{NUMBER}": 1', *(f'"{step.id}": {VALUES[step.op]}' for step in steps)]) + "}"


def _flatten(words: str) -> str:
    return re.sub(r"\s+", " ", words)
