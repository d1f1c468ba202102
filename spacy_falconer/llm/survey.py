"""Find out what has to be asked about a text, and roughly how long the replies will be, before anything is sent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import cycle
from statistics import fmean

from spacy_falconer.llm.forms import Form, TextForm, prompt_version
from spacy_falconer.llm.passages import NUMBER, Passage, PassageForm, ask_each, find_passages, passage_steps
from spacy_falconer.llm.questions import asked_steps
from spacy_falconer.llm.redact import Redacted, Redactor
from spacy_falconer.llm.rows import Question, Value
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.llm.talk import count_form, make_passage_forms
from spacy_falconer.llm.tokens import count_tokens
from spacy_falconer.llm.window import cut_windows
from spacy_falconer.plan import Plan, Step
from spacy_falconer.types import Answer, CharSpan, Quote

N_REPLIES = 200  # Made up to measure their mean length.
USUAL: dict[str, list[Value]] = {"get_label": [True], "get_span": [(Quote("a few words"),), ()]}  # If none is known.


@dataclass
class Survey:
    """Lists the forms that a text needs. See `ask.ask_answers` for the settings."""

    plan: Plan
    model: str
    store: AnswerStore
    examples: tuple[Answer, ...]
    accept: str | None
    redact: Redactor | None
    _means: dict[tuple[str, ...], float] = field(default_factory=dict)

    def list_forms(self, text: str) -> tuple[list[Form], list[Form]]:
        """Return the forms that will be sent, and those that will be sent only if the text has passages to ask about."""
        sent = Redacted(text, ()) if self.redact is None else self.redact.apply(text)
        sure: list[Form] = list(self._list_text_forms(text, sent))
        possible: list[Form] = []
        if self._passage_steps:
            sources = {self.plan.steps_by_id[step.for_each].instruction for step in self._passage_steps}
            answer = self.store.read(text, spans=sources, model=self.accept, version=prompt_version())
            if answer is None:
                possible += self._imagine_passage_forms(sent)
            else:
                sure += self._list_passage_forms(answer, sent)
        return sure, possible

    def count(self, form: Form) -> Counter[str]:
        """Count one request, and its tokens by our own count."""
        return Counter({"requests": 1, "input": count_form(form), "output": self._count_reply(form)})

    @cached_property
    def chances(self) -> tuple[float, float, float]:
        """The lowest, likely and highest chance that a text has passages to ask about, if that is not known of it."""
        sources = {step.for_each for step in self._passage_steps}
        if any(self._known[source] is USUAL["get_span"] for source in sources):
            return 0.0, 0.5, 1.0
        none_found = 1.0
        for source in sources:
            none_found *= fmean(not value for value in self._known[source])
        return 1 - none_found, 1 - none_found, 1 - none_found

    def _list_text_forms(self, text: str, sent: Redacted) -> Iterator[Form]:
        questions = {Question(step.op, step.instruction): step for step in asked_steps(self.plan)}
        if steps := [questions[one] for one in self._find_open(text, questions)]:
            for window in cut_windows(sent.text):
                yield TextForm(sent.text[window.start : window.end], steps, self.examples)

    def _list_passage_forms(self, answer: Answer, sent: Redacted) -> Iterator[Form]:
        asked = ask_each(self._passage_steps, find_passages(self.plan, answer))
        if found := [asked[one] for one in self._find_open(answer.text, asked)]:
            steps, passages = (list(dict.fromkeys(said)) for said in zip(*found, strict=True))
            yield from (form for form, _ in make_passage_forms(sent, steps, passages))

    def _imagine_passage_forms(self, sent: Redacted) -> Iterator[Form]:
        """Yield forms with as many passages as a text with passages has on average, made of words of the text."""
        passages = []
        for source in dict.fromkeys(step.for_each for step in self._passage_steps):
            found = [value for value in self._known[source] if value] or USUAL["get_span"][:1]
            length = max(1, round(fmean(len(quote.quote) for quotes in found for quote in quotes)))
            number = round(fmean(len(quotes) for quotes in found))
            starts = range(0, min(number * length, len(sent.text)), length)
            places = [CharSpan(start, min(start + length, len(sent.text))) for start in starts]
            passages += [Passage(source, place, sent.text[place.start : place.end]) for place in places]
        forms = make_passage_forms(Redacted(sent.text, ()), self._passage_steps, passages)
        yield from (form for form, _ in forms)

    def _find_open(self, text: str, questions: Iterable[Question]) -> list[Question]:
        settings = {"model": self.model, "accept": self.accept, "version": prompt_version()}
        return self.store.open_questions(text, questions, **settings)

    @cached_property
    def _passage_steps(self) -> list[Step]:
        return passage_steps(self.plan)

    @cached_property
    def _known(self) -> dict[str, list[Value]]:
        """Answers to each step, by anyone about any text; if there are none, answers to any step of the same primitive."""
        steps = self.plan.steps
        own = {step.id: self.store.values(step.op, step.instruction) for step in steps}
        return {step.id: own[step.id] or self.store.values(step.op) or USUAL[step.op] for step in steps}

    def _count_reply(self, form: Form) -> float:
        """Return the tokens of a reply, assumed to be the same for a window as for a whole text."""
        if not isinstance(form, PassageForm):
            return self._mean_tokens(tuple(step.id for step in form.steps))
        n_tokens = 0.0
        for source, n_passages in Counter(passage.source for passage in form.passages).items():
            keys = (NUMBER, *(step.id for step in form.steps if step.for_each == source))
            n_tokens += count_tokens(f'{{"{source}": [], ') + n_passages * self._mean_tokens(keys)
        return n_tokens

    def _mean_tokens(self, keys: tuple[str, ...]) -> float:
        """Return the mean tokens of a JSON object with answers to steps, made up of known answers."""
        if keys not in self._means:
            known = {key: cycle([1] if key == NUMBER else self._known[key]) for key in keys}
            rows = [{key: _show(next(values)) for key, values in known.items()} for _ in range(N_REPLIES)]
            self._means[keys] = fmean(count_tokens(json.dumps(row, ensure_ascii=False)) for row in rows)
        return self._means[keys]


def _show(value: Value | int) -> bool | int | list[str]:
    return [quote.quote for quote in value] if isinstance(value, tuple) else value
