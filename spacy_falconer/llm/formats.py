"""Tell a server that a reply must be JSON of a certain form, and find out which ways of telling it accepts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from spacy_falconer.errors import RequestError

FORMATS = ("json_schema", "json_object", "text")  # Tried in this order, best first, if a schema is wanted.

T = TypeVar("T")
Message = dict[str, str]


class FormatError(RequestError):
    """HTTP 400 or 422: the server may not know the wanted format of a reply, or refuses the request as such."""


class FormatFinder:
    """Finds out once which format a server accepts.

    All requests use the best one until a server refuses it. Then one request tries the others, while the rest wait for
    the result.
    """

    def __init__(self) -> None:
        self.found: str | None = None
        self._doubted: set[str] = set()
        self._lock: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    async def send(self, send: Callable[[str], Awaitable[T]]) -> T:
        """Send a request in the format that the server accepts.

        send: Sends the request in a given format, and calls `check` just before.
        RAISES (FormatError): The server accepts none: the request is at fault.
        """
        form = self.found or FORMATS[0]
        try:
            reply = await send(form)
        except FormatError:
            if self.found == form:
                raise
            self._doubted.add(form)
        else:
            self.found = self.found or form
            return reply
        async with self._get_lock():
            if self.found is None:
                return await self._try_others(send)
        return await send(self.found)

    def check(self, form: str) -> None:
        """Keep a request from being sent in a format that was refused while it waited.

        RAISES (FormatError): The format was refused.
        """
        if form in self._doubted and self.found != form:
            raise FormatError(f"The server refuses requests in the format {form!r}.")

    async def _try_others(self, send: Callable[[str], Awaitable[T]]) -> T:
        refusal = None
        for form in FORMATS[1:]:
            try:
                reply = await send(form)
            except FormatError as error:
                refusal = error
            else:
                self.found = form
                return reply
        self._doubted.clear()
        raise refusal or FormatError("The server accepts no format.")

    def _get_lock(self) -> asyncio.Lock:
        """Return the lock of this event loop."""
        loop = asyncio.get_running_loop()
        if self._lock is None or self._lock[0] is not loop:
            self._lock = loop, asyncio.Lock()
        return self._lock[1]


def make_body(model: str, messages: list[Message], schema: dict[str, Any] | None, form: str) -> dict[str, Any]:
    """Return the body of a request for a chat completion."""
    body: dict[str, Any] = {"model": model, "messages": messages}
    if form == "json_schema":
        named = {"name": "reply", "schema": schema, "strict": is_strict(schema)}
        return {**body, "response_format": {"type": form, "json_schema": named}}
    return body if form == "text" else {**body, "response_format": {"type": form}}


def is_strict(schema: Any) -> bool:
    """Return whether strict structured output accepts a schema: nothing optional, no additional properties."""
    if isinstance(schema, list):
        return all(is_strict(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object":
        names = set(schema.get("properties", {}))
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != names:
            return False
    return all(is_strict(value) for value in schema.values())
