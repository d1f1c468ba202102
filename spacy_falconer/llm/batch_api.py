"""Calls to the provider's Batch API, with retries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import IO, Any, TypeVar

from spacy_falconer.errors import RequestError, ServerError
from spacy_falconer.llm.batch_file import URL
from spacy_falconer.llm.failure import Failure, explain, make_client

WINDOW = "24h"  # The only window that providers offer: a batch ends after it, done or not.
TAG = "spacy-falconer"  # The metadata key for our own name of a batch.
TIMEOUT_S = 600.0  # Enough for a file of 200 MB.
N_TRIES = 6
BACKOFF_S, MAX_BACKOFF_S = 0.5, 30.0  # Doubled with every failure.

T = TypeVar("T")


class BatchApi:
    """Talks to the endpoint that the environment names at the first call.

    model: The model to name in error messages.
    RAISES (ServerError): From all methods, if the endpoint is not set or a call failed for good.
    """

    def __init__(self, model: str):
        self.model = model
        self._client: Any = None

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def upload(self, name: str, lines: IO[bytes]) -> str:
        """Upload a file of requests. RETURNS (str): The provider's id of the file."""

        async def send(client: Any) -> Any:
            lines.seek(0)
            return await client.files.create(file=(file_name(name), lines, "application/jsonl"), purpose="batch")

        return (await self._call(send)).id

    async def create(self, name: str, file_id: str) -> Any:
        """Create a batch from a file. After a call that may or may not have succeeded, look for its batch before retrying."""
        for n_failed in range(1, N_TRIES + 1):
            failure = await self._attempt(
                lambda client: client.batches.create(
                    input_file_id=file_id, endpoint=URL, completion_window=WINDOW, metadata={TAG: name}
                )
            )
            if not isinstance(failure, Failure):
                return failure
            if not failure.may_pass:
                break
            await _pause(failure, n_failed)
            if (batch := await self.find(name, file_id)) is not None:
                return batch
        raise _make_error(failure)

    async def find(self, name: str, file_id: str | None) -> Any:
        """Return the batch that was created under our name or from this file; None if there is none."""

        async def search(client: Any) -> Any:
            async for batch in client.batches.list(limit=100):
                is_ours = (batch.metadata or {}).get(TAG) == name or (file_id and batch.input_file_id == file_id)
                if is_ours and batch.status != "failed":
                    return batch
            return None

        return await self._call(search)

    async def retrieve(self, batch_id: str) -> Any:
        """Return the current state of a batch; None if the provider does not know the id."""
        from openai import NotFoundError

        async def send(client: Any) -> Any:
            try:
                return await client.batches.retrieve(batch_id)
            except NotFoundError:
                return None

        return await self._call(send)

    async def cancel(self, batch_id: str) -> None:
        """Ask the provider to end a batch. A batch that has already ended stays as it is."""
        with suppress(RequestError):
            await self._call(lambda client: client.batches.cancel(batch_id))

    async def read_lines(self, file_id: str | None) -> list[bytes]:
        if file_id is None:
            return []
        return (await self._call(lambda client: client.files.content(file_id))).content.splitlines()

    async def delete_files(self, *file_ids: str | None) -> None:
        """Delete files at the provider if possible, so that our texts do not stay there."""
        for file_id in filter(None, file_ids):
            await self._attempt(lambda client, file_id=file_id: client.files.delete(file_id))

    async def delete_upload(self, name: str) -> None:
        """Delete the file that was uploaded under our name, if there is one."""

        async def search(client: Any) -> list[str]:
            return [one.id async for one in client.files.list(purpose="batch") if one.filename == file_name(name)]

        found = await self._attempt(search)
        if not isinstance(found, Failure):
            await self.delete_files(*found)

    async def _call(self, send: Callable[[Any], Awaitable[T]]) -> T:
        for n_failed in range(1, N_TRIES + 1):
            failure = await self._attempt(send)
            if not isinstance(failure, Failure):
                return failure
            if not failure.may_pass:
                break
            await _pause(failure, n_failed)
        raise _make_error(failure)

    async def _attempt(self, send: Callable[[Any], Awaitable[T]]) -> T | Failure:
        if self._client is None:
            self._client = make_client(TIMEOUT_S)
        sent_at = time.monotonic()
        try:
            return await send(self._client)
        except Exception as error:
            return explain(error, sent_at=sent_at, timeout_s=TIMEOUT_S, model=self.model)


def file_name(name: str) -> str:
    return f"{TAG}-{name}.jsonl"


async def _pause(failure: Failure, n_failed: int) -> None:
    backoff_s = min(MAX_BACKOFF_S, BACKOFF_S * 2 ** (n_failed - 1))
    await asyncio.sleep(backoff_s if failure.wait_s is None else failure.wait_s)


def _make_error(failure: Failure) -> ServerError:
    remedy = " Batches under way are recorded beside the store, and nothing is lost: run again to go on."
    if failure.kind is ServerError:
        remedy += " An endpoint without a Batch API (/files, /batches) can only be asked without --batch."
    return failure.kind(failure.message + remedy)
