"""Limit how many requests are under way, and how fast they follow each other."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Limits:
    """Room for requests. It halves when the server refuses one, and grows back by one with every round of answers.

    It is not bound to an event loop: one may end and another begin between requests.
    """

    def __init__(self, max_in_flight: int, requests_per_minute: int | None, tokens_per_minute: int | None):
        self.max_in_flight = max_in_flight
        self.n_allowed = float(max_in_flight)
        self.n_in_flight = 0
        self._paces = Pace(requests_per_minute), Pace(tokens_per_minute)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._shrunk_at = self._paused_until = 0.0

    @asynccontextmanager
    async def slot(self, n_tokens: int) -> AsyncIterator[None]:
        """Wait for room, for the pace, and for the end of a pause that the server asked for."""
        await self._enter()
        try:
            await self._keep_pace(n_tokens)
            yield
        finally:
            self.n_in_flight -= 1
            self._wake()

    def answered(self) -> None:
        self.n_allowed = min(self.max_in_flight, self.n_allowed + 1 / self.n_allowed)
        self._wake()

    def refused(self, sent_at: float, wait_s: float | None) -> bool:
        """Make room for fewer requests, and pause all of them if the server says for how long.

        sent_at (float): When the refused request was sent, in `time.monotonic()`.
        RETURNS (bool): Whether this is news. It is not if the request was sent before room was last reduced.
        """
        now = time.monotonic()
        self._paused_until = max(self._paused_until, now + (wait_s or 0))
        if sent_at < self._shrunk_at:
            return False
        self.n_allowed, self._shrunk_at = max(1.0, self.n_allowed / 2), now
        return True

    def correct(self, n_tokens: int) -> None:
        """Count the tokens that a request took beyond those that were expected."""
        self._paces[1].take(n_tokens)

    async def _enter(self) -> None:
        while self.n_in_flight >= int(self.n_allowed):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake()  # The turn may have been given to this one.
                raise
        self.n_in_flight += 1

    async def _keep_pace(self, n_tokens: int) -> None:
        n_taken = 1, n_tokens
        delay = max(pace.take(n) for pace, n in zip(self._paces, n_taken, strict=True))
        if delay > 0:
            await asyncio.sleep(delay)
        while (delay := self._paused_until - time.monotonic()) > 0:
            await asyncio.sleep(delay)

    def _wake(self) -> None:
        n_free = int(self.n_allowed) - self.n_in_flight
        while n_free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done() and not turn.get_loop().is_closed():
                turn.set_result(None)
                n_free -= 1


class Pace:
    """Spreads amounts evenly over time: each taker waits until the time for what was taken before it has passed."""

    def __init__(self, per_minute: int | None):
        self._unit_s = 60 / per_minute if per_minute else 0.0
        self._free_at = 0.0

    def take(self, amount: int) -> float:
        """Take an amount, or give back a negative one, and return how many seconds to wait for it."""
        now = time.monotonic()
        start = max(now, self._free_at)
        self._free_at = start + amount * self._unit_s
        return start - now
