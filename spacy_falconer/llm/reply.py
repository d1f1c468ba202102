"""Read what a chat completion says, and what it took."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spacy_falconer.errors import ReplyError
from spacy_falconer.llm.failure import hide_key
from spacy_falconer.llm.tokens import count_message_tokens, count_schema_tokens, count_tokens


@dataclass(frozen=True)
class Reply:
    """What the language model replied. `is_estimated`: the server did not count the tokens."""

    content: str
    model: str
    n_input_tokens: int
    n_output_tokens: int
    is_estimated: bool


def read_reply(
    completion: Any, messages: Iterable[Mapping[str, str]], model: str, *, schema: Mapping[str, Any] | None
) -> Reply:
    """Return what a chat completion says, whether it is an answer or not.

    schema: The schema that was sent with the messages, if any.
    """
    content = getattr(_find_message(completion), "content", None)
    content = content.encode("utf8", "replace").decode("utf8") if isinstance(content, str) else ""
    usage = getattr(completion, "usage", None)
    counts = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    is_estimated = not all(isinstance(count, int) for count in counts)
    if is_estimated:
        n_schema = count_schema_tokens(schema) if schema is not None else 0
        counts = [count_message_tokens(messages) + n_schema, count_tokens(content)]
    return Reply(content, getattr(completion, "model", None) or model, *counts, is_estimated)


def check_reply(completion: Any, reply: Reply) -> None:
    """RAISES (ReplyError): The reply is not an answer: cut off, refused or empty."""
    if reason := _find_reason(completion, reply):
        raise ReplyError(reason, n_input_tokens=reply.n_input_tokens, n_output_tokens=reply.n_output_tokens)


def find_object(content: str) -> dict[str, Any] | None:
    """Return the JSON object in what a model said, even if there are other words around it; None if there is none."""
    after = content.rpartition("</think>")[2]  # Some servers leave the model's reasoning in.
    for said in (after, content if content.lstrip().startswith("{") else ""):  # Or the tag is part of a quote.
        start, end = said.find("{"), said.rfind("}") + 1
        try:
            return json.loads(said[start:end])
        except (ValueError, RecursionError):
            continue
    return None


def _find_reason(completion: Any, reply: Reply) -> str | None:
    """Return why a reply is not an answer; None if it is one."""
    ended = getattr(_find_choice(completion), "finish_reason", None)
    refusal = getattr(_find_message(completion), "refusal", None)
    if ended == "length":
        return (
            f"The reply was cut off after {reply.n_output_tokens} tokens (finish reason 'length'). Expected a whole one. "
            "Raise the server's limits on output and context, or shorten the text."
        )
    if refusal or ended == "content_filter":
        said = repr(str(refusal)[:200]) if refusal else "finish reason 'content_filter'"
        return f"The language model refused to answer: {said}. Leave the text out, or name another model."
    if reply.content.strip():
        return None
    if error := getattr(completion, "error", None):  # Some proxies reply like this, with HTTP 200.
        return f"The reply is an error: {hide_key(str(error))[:200]!r}. Run again, or name another model."
    return "The reply is empty. Expected a JSON object. Name another model."


def _find_choice(completion: Any) -> Any:
    return next(iter(getattr(completion, "choices", None) or ()), None)


def _find_message(completion: Any) -> Any:
    return getattr(_find_choice(completion), "message", None)
