"""A form is the questions of one request: what is sent, and how the reply is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from typing import Any, Protocol

from spacy_falconer.llm.passages import Passage, PassageForm
from spacy_falconer.llm.questions import (
    Message,
    find_problems,
    make_answer,
    make_messages,
    parse_reply,
    place_quotes,
    repair_messages,
    reply_schema,
)
from spacy_falconer.plan import Step
from spacy_falconer.prompts import read_prompt
from spacy_falconer.types import Answer, CharSpan

PROMPTS = ("annotate", "annotate_passages", "annotate_repair")


class Form(Protocol):
    """The questions about a window of a text."""

    @property
    def steps(self) -> Sequence[Step]: ...

    @property
    def messages(self) -> list[Message]: ...

    @property
    def schema(self) -> dict[str, Any]: ...

    def read(self, content: str, model: str) -> tuple[Answer, list[str]]:
        """Return what a reply answers about the window, and which of its quotes have no place there, in words for the model.

        RAISES (ReplyError): The reply cannot be used.
        """
        ...

    def repair(self, content: str, problems: Sequence[str]) -> list[Message]:
        """Return the messages that ask for a correction of a reply."""
        ...


@dataclass(frozen=True)
class TextForm:
    """Asks all steps about a text or a window of it.

    examples: Answers to show before it. Only those that answer all of the steps are shown.
    """

    window: str
    steps: Sequence[Step]
    examples: Sequence[Answer] = ()

    @cached_property
    def messages(self) -> list[Message]:
        return make_messages(self.window, self.steps, self.examples)

    @cached_property
    def schema(self) -> dict[str, Any]:
        return reply_schema(self.steps)

    def read(self, content: str, model: str) -> tuple[Answer, list[str]]:
        said = parse_reply(content, self.steps)
        placed = place_quotes(self.window, said, self.steps)
        return make_answer(self.window, model, self.steps, said, placed), find_problems(placed)

    def repair(self, content: str, problems: Sequence[str]) -> list[Message]:
        return repair_messages(content, problems, self.steps)


@cache
def prompt_version() -> str:
    """Return a hash of what answers depend on besides the question and the model: the prompts, and the form of replies."""
    steps = [Step(id="label", op="get_label", instruction="A."), Step(id="span", op="get_span", instruction="B.")]
    each = [step.model_copy(update={"for_each": "span", "instruction": "C {span}."}) for step in steps]
    forms: list[Form] = [TextForm("text", steps), PassageForm("text", each, [Passage("span", CharSpan(0, 4), "text")])]
    shown = [str([form.messages, form.schema, form.repair("{}", ["problem"])]) for form in forms]
    sources = [read_prompt(name) for name in PROMPTS]
    return sha256("\0".join([*sources, *shown]).encode("utf8")).hexdigest()[:16]
