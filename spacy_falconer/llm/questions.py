"""Ask questions about a text, and read the reply."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spacy_falconer.errors import ReplyError
from spacy_falconer.grounding import find_quotes
from spacy_falconer.llm.formats import Message
from spacy_falconer.llm.prompt import choose_fence, clean, render
from spacy_falconer.llm.reply import find_object
from spacy_falconer.plan import Plan, Step
from spacy_falconer.plan.show import show
from spacy_falconer.types import FIELDS, Answer, CharSpan, Quote

Said = dict[str, bool | list[str]]  # By step id.
SCHEMAS = {"get_label": {"type": "boolean"}, "get_span": {"type": "array", "items": {"type": "string"}}}
VALUES = {"get_label": "true or false", "get_span": "[quotes]"}  # How the prompt shows which value is expected.


def asked_steps(plan: Plan) -> list[Step]:
    """Return the steps that ask about a text itself, each question once."""
    steps = plan.text_steps()
    return list({(step.op, step.instruction): step for step in reversed(steps)}.values())[::-1]


def make_messages(text: str, steps: Sequence[Step], examples: Sequence[Answer] = ()) -> list[Message]:
    """Return the messages that ask about a text. Those `examples` that answer all of the steps are shown before it."""
    shown = [example for example in examples if example.text != text and _answers_all(example, steps)]
    fence = choose_fence([clean(text), *(clean(example.text) for example in shown)])
    by_op = {name: [step for step in steps if step.op == op] for op, name in FIELDS.items()}
    system = render("annotate", "system", fence=fence, form=_show_form(steps), **by_op)
    messages = [_message("system", system)]
    for example in shown:
        reply = json.dumps({step.id: _find_said(example, step) for step in steps}, ensure_ascii=False)
        messages += [_show_text(example.text, fence), _message("assistant", reply)]
    return [*messages, _show_text(text, fence)]


def repair_messages(content: str, problems: Sequence[str], steps: Sequence[Step]) -> list[Message]:
    """Return the messages that follow a reply that cannot be used: the reply, and what is wrong with it."""
    repair = render("annotate_repair", "user", problems=problems, form=_show_form(steps))
    return [_message("assistant", content), _message("user", repair)]


def reply_schema(steps: Iterable[Step]) -> dict[str, Any]:
    """Return the JSON schema of a reply, for strict structured output."""
    return make_object({step.id: SCHEMAS[step.op] for step in steps})


def make_object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False
    }  # fmt: skip


def parse_reply(content: str, steps: Sequence[Step]) -> Said:
    """Return what a reply says, by step id, even if there are other words around the JSON.

    RAISES (ReplyError): The reply is not a JSON object, or not of the form that was asked for.
    """
    data = parse_object(content)
    return {step.id: check_value(data.get(step.id), step) for step in steps}


def parse_object(content: str) -> dict[str, Any]:
    """Return the JSON object in a reply.

    RAISES (ReplyError): There is none.
    """
    found = find_object(content)
    if found is None:
        raise ReplyError(f"The reply is no JSON object: {show(content)}. Expected one, whole and alone.")
    return found


def check_value(value: Any, step: Step) -> bool | list[str]:
    """Return a step's answer in a reply.

    RAISES (ReplyError): It is not of the form that was asked for.
    """
    if step.op == "get_label":
        if isinstance(value, bool):
            return value
        raise ReplyError(f"{step.id!r} is {show(value)} in the reply. Expected true or false.")
    if isinstance(value, list) and all(isinstance(quote, str) for quote in value):
        return [clean(quote) for quote in value if quote.strip()]
    raise ReplyError(f"{step.id!r} is {show(value)} in the reply. Expected a list of quotes, [] for none.")


def place_quotes(text: str, said: Said, steps: Iterable[Step]) -> dict[str, tuple[Quote, ...]]:
    """Return the quotes of the span steps, each with its place and the text's own words, or as it is if it has no place."""
    return {step.id: place_words(text, said[step.id]) for step in steps if step.op == "get_span"}


def place_words(text: str, words: Sequence[str]) -> tuple[Quote, ...]:
    quotes = [Quote(one) for one in words]
    places = find_quotes(clean(text), quotes)
    return tuple(_place(text, one, at) for one, at in zip(quotes, places, strict=True))


def find_problems(placed: Mapping[str, Sequence[Quote]]) -> list[str]:
    """Say which quotes have no place, in words for the model."""
    return [
        f'"{step_id}": {json.dumps(quote.quote, ensure_ascii=False)} has no place in the text, or not in this order. '
        "Copy the passage exactly, in the order of appearance, or leave it out."
        for step_id, quotes in placed.items() for quote in quotes if quote.start is None
    ]  # fmt: skip


def make_answer(
    text: str, model: str, steps: Iterable[Step], said: Said, placed: Mapping[str, tuple[Quote, ...]]
) -> Answer:
    labels = {step.instruction: bool(said[step.id]) for step in steps if step.op == "get_label"}
    spans = {step.instruction: placed[step.id] for step in steps if step.op == "get_span"}
    return Answer(text, model, labels, spans)


def _place(text: str, quote: Quote, place: CharSpan | None) -> Quote:
    return quote if place is None else Quote(clean(text[place.start : place.end]), place.start)


def _answers_all(example: Answer, steps: Iterable[Step]) -> bool:
    return all(step.instruction in example.said(step.op) for step in steps)


def _find_said(example: Answer, step: Step) -> bool | list[str]:
    if step.op == "get_label":
        return example.labels[step.instruction]
    return [clean(quote.quote) for quote in example.spans[step.instruction]]


def _show_form(steps: Iterable[Step]) -> str:
    return "{" + ", ".join(f'"{step.id}": {VALUES[step.op]}' for step in steps) + "}"


def _show_text(text: str, fence: str) -> Message:
    return _message("user", render("annotate", "user", text=clean(text), fence=fence))


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}
