"""What asking will take, before anything is sent. It learns from what earlier answers took."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import cycle
from statistics import fmean

from spacy_falconer.llm.forms import Form, TextForm, prompt_version
from spacy_falconer.llm.ledger import Price, find_price
from spacy_falconer.llm.passages import NUMBER, Passage, PassageForm, ask_each, find_passages, passage_steps
from spacy_falconer.llm.questions import asked_steps
from spacy_falconer.llm.redact import Redacted, Redactor, hide_answers
from spacy_falconer.llm.rows import Question, Value
from spacy_falconer.llm.store import AnswerStore, Usage
from spacy_falconer.llm.talk import count_form, make_passage_forms
from spacy_falconer.llm.tokens import count_tokens
from spacy_falconer.llm.window import cut_windows
from spacy_falconer.plan import Plan, Step
from spacy_falconer.types import Answer, CharSpan, Quote

MAX_TEXTS = 500  # That are looked at; more are drawn from, and scaled up.
N_DOUBTED = 2  # Requests' worth of doubt whether what earlier answers took holds for these.
N_KNOWN = 20  # Requests after which it does.
N_REPLIES = 200  # That are made up to know how long they are.
_USUAL_QUOTES = (Quote("a few words"),)  # Of a text, where the store has no answers to go by.
# The least and most, as parts of what is expected, before and after N_KNOWN requests.
SPREADS = {
    "requests": ((1.0, 1.3), (1.0, 1.05)), "input": ((0.8, 1.4), (0.95, 1.05)), "output": ((0.5, 2.0), (0.85, 1.15)),
}  # fmt: skip


@dataclass(frozen=True)
class Range:
    low: float
    expected: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """What it will take to ask about texts.

    n_texts: Those that the store does not answer yet.
    cost_usd: None where the model's price is unknown.
    is_learned: Earlier answers of the model, in the store, say how it counts.
    example_prompt: A request, as text. Empty where there is nothing to ask.
    """

    model: str
    n_texts: int
    n_requests: Range
    n_input_tokens: Range
    n_output_tokens: Range
    cost_usd: Range | None
    is_learned: bool
    example_prompt: str


def estimate(
    texts: Iterable[str],
    plan: Plan,
    *,
    model: str,
    store: AnswerStore,
    seed: int = 0,
    examples: Sequence[Answer] = (),
    accept: str | None = None,
    redact: Redactor | None = None,
    prices: Mapping[str, Price] | None = None,
) -> Estimate:
    """What `ask_answers` with the same arguments will take. Nothing is sent.

    seed (int): Of the choice of the texts that are looked at, where there are very many.
    """
    shown = tuple(examples) if redact is None else tuple(hide_answers(examples, redact))
    survey = _Survey(plan, model, store, shown, accept, redact)
    texts = list(dict.fromkeys(texts))
    drawn = random.Random(seed).sample(texts, MAX_TEXTS) if len(texts) > MAX_TEXTS else texts
    guesses = [guess for guess in map(survey.guess, drawn) if guess.n_requests]
    scale = len(texts) / max(1, len(drawn))
    sums = {"requests": sum(one.n_requests for one in guesses), "input": sum(one.n_input for one in guesses)}
    sums["output"] = sum(one.n_output for one in guesses)
    usage = store.usage(model)
    ranges = {kind: _range(kind, scale * amount, usage) for kind, amount in sums.items()}
    price = find_price(model, prices)
    return Estimate(
        model,
        round(scale * len(guesses)),
        *ranges.values(),
        _price(price, ranges["input"], ranges["output"]) if price else None,
        _count_known(usage) >= N_KNOWN,
        next((show_messages(guess.form) for guess in guesses if guess.form), ""),
    )


def show_messages(form: Form) -> str:
    """A request as text, as it will be sent."""
    return "\n".join(f"--- {message['role']} ---\n{message['content']}" for message in form.messages)


@dataclass(frozen=True)
class _Guess:
    """What one text takes, in tokens as we count them, without corrections; and its first request."""

    n_requests: float
    n_input: float
    n_output: float
    form: Form | None


@dataclass
class _Survey:
    plan: Plan
    model: str
    store: AnswerStore
    examples: tuple[Answer, ...]
    accept: str | None
    redact: Redactor | None
    _means: dict[tuple[str, ...], float] = field(default_factory=dict)

    def guess(self, text: str) -> _Guess:
        sent = Redacted(text, ()) if self.redact is None else self.redact.apply(text)
        passage_forms, share = self._list_passage_forms(text, sent)
        weighted = [(form, 1.0) for form in self._list_text_forms(text, sent)]
        weighted += [(form, share) for form in passage_forms]
        return _Guess(
            sum(weight for _, weight in weighted),
            sum(weight * count_form(form) for form, weight in weighted),
            sum(weight * self._count_reply(form) for form, weight in weighted),
            weighted[0][0] if weighted else None,
        )

    def _list_text_forms(self, text: str, sent: Redacted) -> Iterator[Form]:
        questions = {Question(step.op, step.instruction): step for step in asked_steps(self.plan)}
        if steps := [questions[one] for one in self._find_open(text, questions)]:
            for window in cut_windows(sent.text):
                yield TextForm(sent.text[window.start : window.end], steps, self.examples)

    def _list_passage_forms(self, text: str, sent: Redacted) -> tuple[list[PassageForm], float]:
        """The forms about passages, and how likely they are needed: it is certain where the passages are known."""
        if not self._passage_steps:
            return [], 0.0
        sources = {self.plan.steps_by_id[step.for_each].instruction for step in self._passage_steps}
        answer = self.store.read(text, spans=sources, model=self.accept, version=prompt_version())
        if answer is None:
            passages = self._imagine_passages(sent)
            forms = make_passage_forms(Redacted(sent.text, ()), self._passage_steps, passages)
            return [form for form, _ in forms], self._chance_of_passages
        asked = ask_each(self._passage_steps, find_passages(self.plan, answer))
        found = [asked[one] for one in self._find_open(text, asked)]
        steps, passages = ([*dict.fromkeys(said)] for said in (zip(*found, strict=True) if found else ((), ())))
        return [form for form, _ in make_passage_forms(sent, steps, passages)], 1.0

    def _find_open(self, text: str, questions: Iterable[Question]) -> list[Question]:
        settings = {"model": self.model, "accept": self.accept, "version": prompt_version()}
        return self.store.open_questions(text, questions, **settings)

    @cached_property
    def _passage_steps(self) -> list[Step]:
        return passage_steps(self.plan)

    @cached_property
    def _known(self) -> dict[str, list[Value]]:
        """Answers to each step, by anyone about any text; those to like steps where there are none."""
        steps = self.plan.steps
        own = {step.id: self.store.values(step.op, step.instruction) for step in steps}
        return {step.id: own[step.id] or self.store.values(step.op) or [_usual(step)] for step in steps}

    def _count_reply(self, form: Form) -> float:
        """The tokens of a reply, the same for a window as for a whole text."""
        if not isinstance(form, PassageForm):
            return self._mean_tokens(tuple(step.id for step in form.steps))
        sources = Counter(passage.source for passage in form.passages)
        own = {one: [NUMBER, *(step.id for step in form.steps if step.for_each == one)] for one in sources}
        return sum(
            count_tokens(f'{{"{one}": [], ') + n * self._mean_tokens(tuple(own[one])) for one, n in sources.items()
        )

    def _mean_tokens(self, keys: tuple[str, ...]) -> float:
        """How long an object with answers to steps is in JSON, made up of answers that there are."""
        if keys not in self._means:
            known = {key: cycle([1] if key == NUMBER else self._known[key]) for key in keys}
            rows = [{key: _show(next(values)) for key, values in known.items()} for _ in range(N_REPLIES)]
            self._means[keys] = fmean(count_tokens(json.dumps(row, ensure_ascii=False)) for row in rows)
        return self._means[keys]

    @cached_property
    def _chance_of_passages(self) -> float:
        """That a text has a passage to ask about."""
        none_found = 1.0
        for source in {step.for_each for step in self._passage_steps}:
            none_found *= fmean(not value for value in self._known[source])
        return 1 - none_found

    def _imagine_passages(self, sent: Redacted) -> list[Passage]:
        """As many passages as such texts have, made of words of the text."""
        passages = []
        for source in dict.fromkeys(step.for_each for step in self._passage_steps):
            found = [value for value in self._known[source] if value] or [_USUAL_QUOTES]
            length = max(1, round(fmean(len(quote.quote) for quotes in found for quote in quotes)))
            number = round(fmean(len(quotes) for quotes in found))
            starts = range(0, min(number * length, len(sent.text)), length)
            places = [CharSpan(start, min(start + length, len(sent.text))) for start in starts]
            passages += [Passage(source, place, sent.text[place.start : place.end]) for place in places]
        return passages


def _show(value: Value | int) -> bool | int | list[str]:
    return [quote.quote for quote in value] if isinstance(value, tuple) else value


def _usual(step: Step) -> Value:
    return True if step.op == "get_label" else _USUAL_QUOTES


def _range(kind: str, amount: float, usage: Mapping[str, Usage]) -> Range:
    """What earlier answers took, beside what they were counted to take, says how far to trust the count."""
    counted, billed = (usage[kind].n_counted, usage[kind].n_billed) if kind in usage else (0, 0)
    n_known = _count_known(usage)
    doubt = N_DOUBTED * counted / n_known if n_known else 1
    expected = amount * (billed + doubt) / (counted + doubt)
    low, high = SPREADS[kind][n_known >= N_KNOWN]
    return Range(expected * low, expected, expected * high)


def _count_known(usage: Mapping[str, Usage]) -> int:
    return usage["requests"].n_counted if "requests" in usage else 0


def _price(price: Price, n_input: Range, n_output: Range) -> Range:
    return Range(
        price.cost_usd(n_input.low, n_output.low),
        price.cost_usd(n_input.expected, n_output.expected),
        price.cost_usd(n_input.high, n_output.high),
    )
