"""One request to a language model, sent with patience and counted. Any OpenAI-compatible endpoint will do."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spacy_falconer.errors import ReplyError, RequestError, ServerError
from spacy_falconer.llm.failure import Failure, explain, make_client
from spacy_falconer.llm.ledger import Ledger, Steps
from spacy_falconer.llm.limits import Limits
from spacy_falconer.llm.tokens import count_message_tokens, count_tokens

BACKOFF_S = 0.5  # Doubled with every failed attempt of a request.
MAX_BACKOFF_S = 30.0
Message = dict[str, str]
FORMATS = ("json_schema", "json_object", "text")  # What is tried first to last where a schema is wanted.


@dataclass(frozen=True)
class Reply:
    """What the language model replied. `is_estimated`: the server did not count the tokens."""

    content: str
    model: str
    n_input_tokens: int
    n_output_tokens: int
    is_estimated: bool


class Chat:
    """Asks one language model. Nothing is sent, and no key is read, before the first `ask`.

    max_in_flight: Most requests at a time. Fewer where the server refuses some, until it does not.
    timeout_s: For one whole reply.
    n_retries: How often a request is sent again after 429, 5xx, a timeout or a lost connection.
    ledger: Counts, and stops at a limit.
    """

    def __init__(
        self,
        model: str,
        *,
        max_in_flight: int = 16,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        timeout_s: float = 60.0,
        n_retries: int = 5,
        ledger: Ledger | None = None,
    ):
        self.model = model
        self.max_in_flight = max_in_flight
        self.timeout_s = timeout_s
        self.n_retries = n_retries
        self.ledger = Ledger() if ledger is None else ledger
        self._limits = Limits(max_in_flight, requests_per_minute, tokens_per_minute)
        self._counts_tokens = tokens_per_minute is not None
        self._format: str | None = None  # The one that the server is known to take.
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Chat:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    async def ask(self, messages: list[Message], *, schema: dict[str, Any] | None = None, step: Steps = "") -> Reply:
        """Send messages and wait for the reply.

        schema: Of the JSON object that is wanted. It goes to a server that can hold a model to it; another is asked
            for JSON, or for text. What a server can is found out once. The reply is not checked against it.
        step: Whom the ledger counts it to; several share it.
        RAISES (BudgetError): The ledger's limit is reached. Nothing was sent.
        RAISES (ReplyError): The reply is no answer: cut off, refused or empty. It was paid for.
        RAISES (RequestError): The request failed for good.
        RAISES (ServerError): The endpoint is not set, or cannot be used at all.
        """
        for form in self._list_formats(schema):
            try:
                completion = await self._send(make_body(self.model, messages, schema, form), step)
            except FormatError as error:
                refusal = error
                continue
            if schema is not None and self._format is None:
                self._format = form
            return self._read(completion, messages, step)
        raise RequestError(str(refusal))

    def _list_formats(self, schema: Mapping[str, Any] | None) -> tuple[str, ...]:
        if schema is None:
            return ("text",)
        return FORMATS if self._format is None else (self._format,)

    async def _send(self, body: dict[str, Any], step: Steps) -> Any:
        """Until there is a reply, or no hope of one."""
        n_tokens = count_message_tokens(body["messages"]) if self._counts_tokens else 0
        n_failed = 0
        while True:
            async with self._limits.slot(n_tokens):
                failure = await self._attempt(body, step)
            if not isinstance(failure, Failure):
                return failure
            n_failed += not failure.is_refusal or self._limits.refused(failure.sent_at, failure.wait_s)
            if not failure.may_pass or n_failed > self.n_retries:
                raise _make_error(failure, n_failed)
            await asyncio.sleep(_backoff_s(n_failed) if failure.wait_s is None else failure.wait_s)

    async def _attempt(self, body: dict[str, Any], step: Steps) -> Any:
        """The reply to one request, or the Failure that came of it."""
        client = self._find_client()
        self.ledger.start(step, self.model)
        sent_at = time.monotonic()
        try:
            completion = await asyncio.wait_for(client.chat.completions.create(**body), self.timeout_s)
        except Exception as error:
            return explain(error, sent_at=sent_at, timeout_s=self.timeout_s, model=self.model)
        finally:
            self.ledger.wait(step, time.monotonic() - sent_at)
        if isinstance(completion, str):
            raise ServerError(
                f"The endpoint replies with {completion[:60]!r}; expected an OpenAI-compatible chat completion. Check "
                "OPENAI_BASE_URL; it often ends in /v1."
            )
        self._limits.answered()
        return completion

    def _find_client(self) -> Any:
        """The client of this event loop; connections do not outlive their loop."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client, self._loop = make_client(self.timeout_s), loop
        return self._client

    def _read(self, completion: Any, messages: list[Message], step: Steps) -> Reply:
        reply = read_reply(completion, messages, self.model)
        n_input, n_output = reply.n_input_tokens, reply.n_output_tokens
        self.ledger.pay(step, self.model, n_input, n_output, is_estimated=reply.is_estimated, content=reply.content)
        if self._counts_tokens:
            self._limits.correct(n_input + n_output - count_message_tokens(messages))
        check_reply(completion, reply)
        return reply


class FormatError(RequestError):
    """HTTP 400: the server may not know the wanted format of a reply, or refuses the request as such."""


def is_strict(schema: Any) -> bool:
    """Whether a schema is one that strict structured output takes: nothing optional, nothing added."""
    if isinstance(schema, list):
        return all(is_strict(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object":
        names = set(schema.get("properties", {}))
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != names:
            return False
    return all(is_strict(value) for value in schema.values())


def make_body(model: str, messages: list[Message], schema: dict[str, Any] | None, form: str) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "messages": messages}
    if form == "json_schema":
        named = {"name": "reply", "schema": schema, "strict": is_strict(schema)}
        return {**body, "response_format": {"type": form, "json_schema": named}}
    return body if form == "text" else {**body, "response_format": {"type": form}}


def read_reply(completion: Any, messages: Iterable[Message], model: str) -> Reply:
    """What a chat completion says, be it an answer or not."""
    content = getattr(_find_message(completion), "content", None)
    content = content.encode("utf8", "replace").decode("utf8") if isinstance(content, str) else ""
    usage = getattr(completion, "usage", None)
    counts = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    is_estimated = not all(isinstance(count, int) for count in counts)
    n_input, n_output = (count_message_tokens(messages), count_tokens(content)) if is_estimated else counts
    return Reply(content, getattr(completion, "model", None) or model, n_input, n_output, is_estimated)


def check_reply(completion: Any, reply: Reply) -> None:
    """RAISES (ReplyError): It is no answer: cut off, refused or empty."""
    reason = getattr(_find_choice(completion), "finish_reason", None)
    refusal = getattr(_find_message(completion), "refusal", None)
    if reason == "length":
        raise ReplyError(
            f"The reply was cut off after {reply.n_output_tokens} tokens (finish reason 'length'). Expected a whole one. "
            "Raise the server's limits of output and context, or shorten the text."
        )
    if refusal or reason == "content_filter":
        said = repr(str(refusal)[:200]) if refusal else "finish reason 'content_filter'"
        raise ReplyError(f"The language model refused to answer: {said}. Leave the text out, or name another model.")
    if not reply.content.strip():
        raise ReplyError("The reply is empty. Expected a JSON object. Run again, or name another model.")


def _find_choice(completion: Any) -> Any:
    return next(iter(getattr(completion, "choices", None) or ()), None)


def _find_message(completion: Any) -> Any:
    return getattr(_find_choice(completion), "message", None)


def _make_error(failure: Failure, n_failed: int) -> ServerError:
    if failure.is_bad_request:
        return FormatError(failure.message)
    return failure.kind(failure.message + (f" It was tried {n_failed} times." if failure.may_pass else ""))


def _backoff_s(n_failed: int) -> float:
    return min(MAX_BACKOFF_S, BACKOFF_S * 2 ** max(0, n_failed - 1)) * random.uniform(0.5, 1.0)
