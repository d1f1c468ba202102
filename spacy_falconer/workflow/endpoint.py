"""Which language model is asked, how fast, and at what cost at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from spacy_falconer.llm.chat import Chat
from spacy_falconer.llm.ledger import Ledger
from spacy_falconer.llm.prices import default_model

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """How a language model is asked. OPENAI_BASE_URL and OPENAI_API_KEY, read at each call, give its address and the key.

    model (str): Its name. If given, only this model's answers in a store count; else anyone's do, and the default model is
        asked for what is missing.
    max_in_flight (int): The most requests at a time.
    requests_per_minute, tokens_per_minute (int): The highest rates.
    timeout_s (float): The time limit for one whole reply.
    is_batch (bool): Use the provider's Batch API: half the price, and replies within a day.
    ledger (Ledger): Counts what is sent, and stops at its limits.
    """

    model: str | None = None
    max_in_flight: int = 16
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    timeout_s: float = 60.0
    is_batch: bool = False
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def model_name(self) -> str:
        return self.model or default_model()

    def open_chat(self) -> Chat:
        """Open a chat for one event loop. Nothing is sent yet."""
        return Chat(
            self.model_name,
            max_in_flight=self.max_in_flight,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            timeout_s=self.timeout_s,
            ledger=self.ledger,
        )


def run_to_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine, even if an event loop is running already, as in a notebook. Interrupting this stops the coroutine."""
    if not _runs():
        return asyncio.run(coroutine)
    started: Future[Callable[[], Any]] = Future()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(asyncio.run, _run_stoppable(coroutine, started))
        try:
            return done.result()
        except BaseException:
            if not done.done():
                started.result()()
            raise


async def _run_stoppable(coroutine: Coroutine[Any, Any, T], started: Future[Callable[[], Any]]) -> T:
    """Run a coroutine, after telling another thread how to stop it."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop() -> None:
        with suppress(RuntimeError):  # It has ended in the meantime.
            loop.call_soon_threadsafe(task.cancel)

    started.set_result(stop)
    return await coroutine


def _runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
