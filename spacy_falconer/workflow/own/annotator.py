"""Let any callable answer in the language model's place: a rule, a model, a person at a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy

from spacy_falconer.errors import AnswerError
from spacy_falconer.grounding import find_quotes
from spacy_falconer.llm.passages import ask_each, find_passages, passage_steps
from spacy_falconer.llm.questions import asked_steps
from spacy_falconer.llm.redact import Redactor
from spacy_falconer.llm.store import AnswerStore, Question, Value
from spacy_falconer.plan import Plan
from spacy_falconer.plan.show import show, show_ids
from spacy_falconer.types import Answer, CharSpan, Quote
from spacy_falconer.workflow.endpoint import Endpoint

UNANSWERED = "The annotator gave no answer."
FORMS = {"get_label": "True or False", "get_span": "a list of quotes, or of characters (start, end)"}


@dataclass(frozen=True)
class AskedStep:
    """One question about a text.

    instruction: With the passage's words filled in, if it is about one.
    passage: The characters of the passage that it is about, in a step with `for_each`.
    """

    id: str
    op: str
    instruction: str
    passage: CharSpan | None = None


Answering = Callable[[str, Sequence[AskedStep]], "Mapping[str, Any] | None"]
Values = dict[str, "Value | None"]


@dataclass(frozen=True)
class Annotator:
    """A callable that answers steps, and the name under which its answers are kept.

    function: Takes a text and the steps to answer. Returns a value for each step's id: True or False for a `get_label`
        step; for `get_span`, a list of passages, word for word in order of appearance, or as (start, end) characters; None
        if it does not know. Returns None instead of a dict if it does not know any.
    name: Answers are kept under this name. Choose a new one when the function changes.
    """

    function: Answering
    name: str

    def ask(self, text: str, steps: Sequence[AskedStep]) -> Values:
        """Return its answers by step id. A quote that is not in the text is kept without a place, to be counted later.

        RAISES (AnswerError): The function fails, or returns something else.
        """
        try:
            reply = self.function(text, list(steps))  # Its own list, which it may use up.
        except (Exception, SystemExit) as error:
            raise AnswerError(
                f"The annotator {self.name!r} failed on {show(text)}: {type(error).__name__}: {error}. What it answered "
                "before is kept. Correct it, and run again."
            ) from error
        ids = [step.id for step in steps]
        if reply is None:
            return dict.fromkeys(ids)
        if not isinstance(reply, Mapping) or set(reply) != set(ids):
            raise AnswerError(
                f"The annotator {self.name!r} returns {show(reply)} about {show(text)}. Expected a dict with a value for "
                f"each of: {show_ids(ids)}. What it answered before is kept. Correct it, and run again."
            )
        return {step.id: self._check(reply[step.id], step, text) for step in steps}

    def _check(self, value: Any, step: AskedStep, text: str) -> Value | None:
        if value is None:
            return None
        if step.op == "get_label" and isinstance(value, (bool, numpy.bool_)):
            return bool(value)
        if step.op == "get_span" and isinstance(value, (list, tuple)) and all(is_passage(one, text) for one in value):
            return place_passages(text, value)
        raise AnswerError(
            f"The annotator {self.name!r} returns {show(value)} for {step.id!r} about {show(text)}. Expected "
            f"{FORMS[step.op]}; None if it does not know. What it answered before is kept. Correct it, and run again."
        )


def make_annotator(given: Answering | Annotator) -> Annotator:
    """Make an annotator of a callable, under the callable's own name.

    RAISES (AnswerError): It is not callable, or has no name.
    """
    if isinstance(given, Annotator):
        return given
    name = getattr(given, "name", None) or getattr(given, "__name__", None)
    if not callable(given) or not isinstance(name, str) or name == "<lambda>":
        raise AnswerError(
            f"The annotator is {show(given)}. Expected a callable with a name, under which its answers are kept. Give it "
            "one: Annotator(function, 'my rules')."
        )
    return Annotator(given, name)


def take_place(
    given: Answering | Annotator | None, endpoint: Endpoint, *, redact: Redactor | None, n_shots: int
) -> Annotator | None:
    """Return the annotator, if there is one. It cannot be combined with options for a language model.

    RAISES (AnswerError): It is not callable, or has no name, or there are options for a language model, too.
    """
    if given is None:
        return None
    others = {"--model": endpoint.model, "--batch": endpoint.is_batch, "--redact": redact, "--few-shot": n_shots}
    if said := [name for name, value in others.items() if value]:
        raise AnswerError(
            f"With an annotator of your own, there is {', '.join(said)}, which is for a language model, but none is asked "
            "about texts. Leave one of them out. The model that plans is named by --planner-model."
        )
    return make_annotator(given)


def is_passage(value: Any, text: str) -> bool:
    """Return whether a value is words, or the start and end characters of words in the text."""
    if isinstance(value, str):
        return bool(value.strip())
    if not isinstance(value, (tuple, list)) or [type(one) for one in value] != [int, int]:
        return False
    start, end = value
    return 0 <= start < end <= len(text) and bool(text[start:end].strip())


def place_passages(text: str, said: Sequence[Any]) -> tuple[Quote, ...]:
    quotes = [Quote(one) if isinstance(one, str) else Quote(text[one[0] : one[1]], one[0]) for one in said]
    places = find_quotes(text, quotes)
    return tuple(
        quote if place is None else Quote(text[place.start : place.end], place.start)
        for quote, place in zip(quotes, places, strict=True)
    )


def ask_annotator(
    texts: Iterable[str], plan: Plan, annotator: Annotator, store: AnswerStore, *, tick: Callable[[int], Any]
) -> None:
    """Ask for the answers that the store does not hold yet, text by text; then about the passages that were found.

    Answers are stored before the next text is asked about. What the annotator does not know is kept as failed.
    tick: Called with the number of texts that were settled since the last call.
    RAISES (AnswerError): The annotator fails, or returns something other than answers.
    """
    steps, each = asked_steps(plan), passage_steps(plan)
    questions = {Question(step.op, step.instruction): AskedStep(step.id, step.op, step.instruction) for step in steps}
    sources = [plan.steps_by_id[step.for_each].instruction for step in each]
    for text in dict.fromkeys(texts):
        settle(text, None, questions, annotator, store)
        answer = store.read(text, spans=sources) if sources else None
        about = ask_each(each, find_passages(plan, answer)) if answer is not None else {}
        for place, group in groupby(sorted(about, key=attrgetter("place")), key=attrgetter("place")):
            asked = {one: AskedStep(about[one][0].id, one.op, one.instruction, place) for one in group}
            settle(text, place, asked, annotator, store)
        tick(1)


def settle(
    text: str, place: CharSpan | None, questions: Mapping[Question, AskedStep], annotator: Annotator, store: AnswerStore
) -> None:
    """Ask those questions about a text, or a passage of it, that are still open, and keep the answers."""
    asked = store.open_questions(text, questions, model=annotator.name)
    said = annotator.ask(text, [questions[one] for one in asked]) if asked else {}
    values = {Question(*one): said[questions[one].id] for one in asked}
    known = {one: value for one, value in values.items() if value is not None}
    if unknown := [one for one in values if one not in known]:
        store.put_failure(text, unknown, model=annotator.name, reason=UNANSWERED)
    if known:
        maps = [{one.instruction: known[one] for one in known if one.op == op} for op in ("get_label", "get_span")]
        answer = Answer(text, annotator.name, *maps)
        store.put(answer if place is None else Answer(text, annotator.name, about={place: answer}))
