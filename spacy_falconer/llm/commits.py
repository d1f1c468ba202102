"""Write answers that arrive at the same time to disk together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from spacy_falconer.llm.store import AnswerStore


class Commits:
    """Writes to a store. Each commit takes the disk time, so all writes of one turn of the event loop share one."""

    def __init__(self, store: AnswerStore):
        self.store = store
        self._waiting: list[tuple[Callable[[], None], asyncio.Future[None]]] = []

    async def add(self, write: Callable[[], None]) -> None:
        """Write, and wait until it is on disk.

        RAISES: What `write`, or another write in the same commit, raises.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._commit)
        done = loop.create_future()
        self._waiting.append((write, done))
        await done

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        error = None
        try:
            with self.store.together():
                for write, _ in waiting:
                    write()
        except Exception as raised:
            error = raised
        for _, done in waiting:
            if done.done():  # Its waiter was cancelled.
                continue
            done.set_result(None) if error is None else done.set_exception(error)
