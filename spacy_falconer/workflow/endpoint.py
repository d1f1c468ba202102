"""Which language model is asked, how fast, and what it may cost."""

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
    """How a language model is asked. Where it is, and the key, say OPENAI_BASE_URL and OPENAI_API_KEY at each call.

    model (str): Its name. Where one is given, only its own answers in a store count; else anyone's do, and what is
        missing is asked of the default model.
    max_in_flight (int): Most requests at a time.
    requests_per_minute, tokens_per_minute (int): No faster than this.
    timeout_s (float): For one whole reply.
    is_batch (bool): By the provider's Batch API: at half the price, and within a day.
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
        """For one event loop. Nothing is sent yet."""
        return Chat(
            self.model_name,
            max_in_flight=self.max_in_flight,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            timeout_s=self.timeout_s,
            ledger=self.ledger,
        )


def run_to_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine, also where an event loop runs already, as in a notebook. Who interrupts it there stops it, too."""
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
        with suppress(RuntimeError):  # It has ended meanwhile.
            loop.call_soon_threadsafe(task.cancel)

    started.set_result(stop)
    return await coroutine


def _runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
