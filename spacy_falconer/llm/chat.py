"""Send requests to a language model, with retries, and count them. Any OpenAI-compatible endpoint will do."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from spacy_falconer.errors import BudgetError, ServerError
from spacy_falconer.llm.failure import Failure, explain, hide_key, make_client
from spacy_falconer.llm.formats import FORMATS, FormatError, FormatFinder, Message, is_strict, make_body
from spacy_falconer.llm.ledger import Ledger, Steps
from spacy_falconer.llm.limits import Limits
from spacy_falconer.llm.reply import Reply, check_reply, read_reply
from spacy_falconer.llm.tokens import count_message_tokens, count_schema_tokens

__all__ = ["FORMATS", "Chat", "FormatError", "Message", "Reply", "check_reply", "is_strict", "make_body", "read_reply"]

BACKOFF_S = 0.5  # Doubled with every failed attempt of a request.
MAX_BACKOFF_S = 30.0


class Chat:
    """Asks one language model. Nothing is sent, and no key is read, before the first `ask`.

    max_in_flight: The most requests at a time. Fewer are sent while the server refuses some.
    timeout_s: Seconds to wait for one whole reply.
    n_retries: How often a request is sent again after 429, 5xx, a timeout or a lost connection.
    ledger: Counts requests and costs, and stops at a limit.
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
        self._counts_tokens = tokens_per_minute is not None or self.ledger.max_cost is not None
        self._formats = FormatFinder()
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

    def expect(self, messages: list[Message], *, schema: dict[str, Any] | None = None, step: Steps = "") -> None:
        """Announce a request that `ask` will be called for. Used only where several are sent together (see `batch`)."""

    async def ask(self, messages: list[Message], *, schema: dict[str, Any] | None = None, step: Steps = "") -> Reply:
        """Send messages and wait for the reply.

        schema: Of the JSON object that is wanted. It is sent to servers that can enforce it; others are asked for JSON,
            or for text. What a server supports is found out once. The reply is not checked against the schema.
        step: The step that the ledger counts the request for; several steps share it.
        RAISES (BudgetError): A limit of the ledger is reached. Nothing was sent.
        RAISES (ReplyError): The reply is not an answer: cut off, refused or empty. It was paid for.
        RAISES (RequestError): The request failed for good.
        RAISES (ServerError): The endpoint is not set, or cannot be used at all.
        """

        async def send(form: str) -> Any:
            return await self._send(form, make_body(self.model, messages, schema, form), n_tokens, step)

        n_tokens = self._count_request(messages, schema)
        completion = await (send("text") if schema is None else self._formats.send(send))
        reply = read_reply(completion, messages, self.model, schema=schema)
        n_input, n_output = reply.n_input_tokens, reply.n_output_tokens
        self.ledger.pay(step, self.model, n_input, n_output, is_estimated=reply.is_estimated, content=reply.content)
        self._limits.correct(n_input + n_output - n_tokens)
        check_reply(completion, reply)
        return reply

    def _count_request(self, messages: list[Message], schema: dict[str, Any] | None) -> int:
        """Return the tokens of a request, or 0 if neither tokens per minute nor costs are limited."""
        if not self._counts_tokens:
            return 0
        return count_message_tokens(messages) + (count_schema_tokens(schema) if schema is not None else 0)

    async def _send(self, form: str, body: dict[str, Any], n_tokens: int, step: Steps) -> Any:
        """Send a request, and again until there is a completion or no retry is left."""
        n_failed, failure = 0, None
        while True:
            async with self._limits.slot(n_tokens):
                self._formats.check(form)
                try:
                    outcome = await self._attempt(body, n_tokens, step)
                except BudgetError as error:
                    if failure is None:
                        raise
                    raise BudgetError(f"{error} The attempt before failed: {failure.message}") from None
            if not isinstance(outcome, Failure):
                return outcome
            failure = outcome
            # A server that refuses many requests at once counts as one failure, of the first request.
            is_news = not failure.is_refusal or self._limits.refused(failure.sent_at, failure.wait_s)
            n_failed += is_news
            if not failure.may_pass or n_failed > self.n_retries:
                raise _make_error(failure, n_failed)
            await asyncio.sleep(_backoff_s(n_failed) if failure.wait_s is None else failure.wait_s)

    async def _attempt(self, body: dict[str, Any], n_tokens: int, step: Steps) -> Any:
        """Send a request once. RETURNS: The completion, or a Failure."""
        client = self._find_client()
        with self.ledger.send(step, self.model, n_tokens):
            sent_at = time.monotonic()
            try:
                completion = await asyncio.wait_for(client.chat.completions.create(**body), self.timeout_s)
            except Exception as error:
                return explain(error, sent_at=sent_at, timeout_s=self.timeout_s, model=self.model)
        if isinstance(completion, str):
            raise ServerError(
                f"The endpoint replies with {hide_key(completion)[:60]!r}; expected an OpenAI-compatible chat completion. Check "
                "OPENAI_BASE_URL; it often ends in /v1."
            )
        self._limits.answered()
        return completion

    def _find_client(self) -> Any:
        """Return the client of this event loop; connections do not outlive their loop."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client, self._loop = make_client(self.timeout_s), loop
        return self._client


def _make_error(failure: Failure, n_failed: int) -> ServerError:
    if failure.is_bad_request:
        return FormatError(failure.message)
    return failure.kind(failure.message + (f" It was tried {n_failed} times." if failure.may_pass else ""))


def _backoff_s(n_failed: int) -> float:
    return min(MAX_BACKOFF_S, BACKOFF_S * 2 ** max(0, n_failed - 1)) * random.uniform(0.5, 1.0)
