"""Turn a sentence into a plan by asking a language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from spacy_falconer.errors import PlanError, UnsupportedPlanError
from spacy_falconer.llm.formats import Message
from spacy_falconer.llm.prompt import choose_fence, render
from spacy_falconer.llm.reply import find_object
from spacy_falconer.plan import Plan, parse_plan, plan_json_schema
from spacy_falconer.plan.schema import Instruction
from spacy_falconer.plan.show import show

MAX_TEXTS = 5
MAX_CHARACTERS = 500  # of each text: enough to see what the texts are like

_SENTENCE = TypeAdapter(Instruction)
# Keywords that strict structured output refuses or does not need. The checks in `plan` apply anyway.
_LOOSE_KEYWORDS = {"default", "maxLength", "minItems", "pattern", "title"}


class HasContent(Protocol):
    @property
    def content(self) -> str: ...


class Asks(Protocol):
    """A language model: `llm.chat.Chat`, or a scripted one."""

    async def ask(
        self, messages: list[Message], *, schema: dict[str, Any] | None = None, step: str = ""
    ) -> HasContent: ...


async def make_plan(sentence: str, texts: Sequence[str], chat: Asks) -> Plan:
    """Ask for the plan of a sentence: one request, and one more if the checker refuses the reply.

    texts (Sequence[str]): Texts of the corpus. The beginnings of the first few are sent, as data.
    RETURNS (Plan): Its `instruction` is the sentence, whatever the reply says.
    RAISES (UnsupportedPlanError): The two primitives cannot answer the sentence. The message is the planner's reason.
    RAISES (PlanError): The sentence is blank or too long, or the second reply is refused, too.
    """
    _check_sentence(sentence)
    schema = reply_schema()
    messages = plan_messages(sentence, texts)
    reply = await chat.ask(messages, schema=schema, step="plan")
    try:
        return parse_reply(reply.content, sentence)
    except UnsupportedPlanError:
        raise
    except PlanError as error:
        messages = [*messages, *repair_messages(reply.content, str(error))]
    reply = await chat.ask(messages, schema=schema, step="plan")
    return _parse_last_reply(reply.content, sentence)


def plan_messages(sentence: str, texts: Sequence[str]) -> list[Message]:
    """Return the messages that ask for a plan. The same sentence and texts give the same messages."""
    shown = [_shorten(text) for text in texts[:MAX_TEXTS]]
    told = [sentence, *shown]
    values = {"sentence": sentence, "texts": shown, "fence": choose_fence(told, seed="\0".join(told))}
    return [{"role": role, "content": render("plan", role, **values)} for role in ("system", "user")]


def repair_messages(reply: str, message: str) -> list[Message]:
    """Return the messages that follow a refused reply: the reply itself, and what the checker says about it."""
    repair = render("plan_repair", "user", message=message)
    return [{"role": "assistant", "content": reply}, {"role": "user", "content": repair}]


def reply_schema() -> dict[str, Any]:
    """Return the JSON schema of a reply, for strict structured output: `{"plan": a plan or an unsupported reply}`.

    The plan's `instruction` is left out: it is the user's sentence, which the model need not copy.
    """
    schema = _make_strict(plan_json_schema())
    del schema["$defs"]["Plan"]["properties"]["instruction"]
    schema["$defs"]["Plan"]["required"].remove("instruction")
    return {
        "type": "object",
        "properties": {"plan": {"anyOf": schema["anyOf"]}},
        "required": ["plan"],
        "additionalProperties": False,
        "$defs": schema["$defs"],
    }


def parse_reply(content: str, sentence: str) -> Plan:
    """Return the plan in a reply, even if it is not under the key "plan" or has other words around it.

    RAISES (UnsupportedPlanError, PlanError): As for `parse_plan`.
    """
    data = find_object(content)
    plan = content if data is None else data.get("plan", data)
    return parse_plan({**plan, "instruction": sentence} if isinstance(plan, Mapping) else plan)


def _check_sentence(sentence: str) -> None:
    try:
        _SENTENCE.validate_python(sentence)
    except ValidationError:
        raise PlanError(
            f"The sentence {show(sentence)} cannot be planned. Expected what to find, in 4,000 characters at most. "
            "Write it in words."
        ) from None


def _shorten(text: str) -> str:
    """Return the beginning of a text, without the lone surrogates that no request can carry."""
    shown = text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + " ..."
    return shown.encode("utf8", "replace").decode("utf8")


def _make_strict(schema: Any) -> Any:
    """Return the schema with every property required, and without the keywords that some servers refuse."""
    if isinstance(schema, list):
        return [_make_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _make_strict(value) for key, value in schema.items() if key not in _LOOSE_KEYWORDS}
    if isinstance(strict.get("properties"), dict):
        strict["required"] = list(strict["properties"])
    return strict


def _parse_last_reply(content: str, sentence: str) -> Plan:
    try:
        return parse_reply(content, sentence)
    except UnsupportedPlanError:
        raise
    except PlanError as error:
        raise PlanError(
            f"The planner's second reply is refused too. {error} The sentence was {show(sentence)}. "
            "Put it in other words, name another planner model, or write the plan file yourself."
        ) from None
