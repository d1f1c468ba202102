"""A queue of requests that wait to be sent in batches, and then for their completions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from spacy_falconer.errors import BudgetError, RequestError, ServerError
from spacy_falconer.llm import batch_file
from spacy_falconer.llm.batch_file import Request, write_files
from spacy_falconer.llm.batch_jobs import CANCELLED, FAILED, BatchJobs, Ended, OpenBatch
from spacy_falconer.llm.batch_state import BatchState
from spacy_falconer.llm.failure import ENDPOINT_STATUSES, hide_key
from spacy_falconer.llm.formats import FORMATS
from spacy_falconer.llm.ledger import Ledger

N_LOST = 3  # How often a request may come back without a reply, through no fault of its own.
QUIET_S = 0.05  # After this long without a new request, the waiting ones are sent.
NO_ROOM = "token_limit_exceeded"  # The provider's error code for a full queue of this account.
_KEPT = "The answers so far are kept. Run again to ask for the rest."


@dataclass
class Waiting:
    """A request whose completion is awaited. `n_lost`: how often it came back without a reply."""

    request: Request
    future: asyncio.Future[dict[str, Any]]
    n_lost: int = 0


class BatchQueue:
    """Sends requests in batches, and returns their completions. Works only inside `driven`.

    run: The key of the run that asks; None if nothing more may be sent.
    watch: Called with the batches under way after each check.
    poll_s: Seconds between checks.
    """

    def __init__(
        self,
        state: BatchState,
        model: str,
        *,
        run: str | None,
        ledger: Ledger,
        poll_s: float,
        watch: Callable[[list[OpenBatch]], Any],
    ):
        self.state, self.model, self.run = state, model, run
        self.ledger, self.poll_s, self.watch = ledger, poll_s, watch
        self._jobs = BatchJobs(state, model, ledger)
        self._waiting: dict[str, Waiting] = {}
        self._n_added = 0
        self._form = 0  # An index of FORMATS.
        self._max_requests = batch_file.MAX_REQUESTS
        self._has_room = True  # Whether the provider has room for another batch beside those under way.
        self._is_tight = False  # Whether it once had none: batches are then sent one by one.
        self._error: BaseException | None = None

    @asynccontextmanager
    async def driven(self) -> AsyncIterator[None]:
        """Send and follow batches while the block runs, after recovering those that an earlier process left."""
        try:
            await self._jobs.recover(pause_s=self.poll_s)
            driver = asyncio.ensure_future(self._drive())
            try:
                yield
            finally:
                driver.cancel()
                await asyncio.gather(driver, return_exceptions=True)
        finally:
            await self._jobs.aclose()

    async def ask(self, request: Request) -> dict[str, Any]:
        """Return the completion of a request, from an earlier batch if there is one.

        RAISES (ServerError): There will be no completion.
        """
        if self._error is not None:
            raise self._error
        known = self.state.find_completion(request.key)
        return known if known is not None else await asyncio.shield(self._add(request).future)

    def expect(self, request: Request) -> None:
        """Queue a request that `ask` will be called for, unless it has a completion already."""
        if self._error is None and self.state.find_completion(request.key) is None:
            self._add(request)

    async def finish(self) -> None:
        """Wait until no batch of this run is under way or, if nothing may be sent, no batch of any run."""
        while self._error is None and any(self.run in (None, job.run) for job in self.state.jobs()):
            await asyncio.sleep(min(self.poll_s, QUIET_S))
        if self._error is not None:
            raise self._error

    def _add(self, request: Request) -> Waiting:
        if request.key not in self._waiting:
            future = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda done: done.cancelled() or done.exception())  # Possibly nobody awaits it.
            self._waiting[request.key] = Waiting(request, future)
            self._n_added += 1
        return self._waiting[request.key]

    async def _drive(self) -> None:
        try:
            while True:
                await self._wait_until_quiet()
                await self._send()
                under_way, ended = await self._jobs.look()
                for one in ended:
                    self._settle(one, is_alone=len(ended) + len(under_way) == 1)
                self.watch(under_way)
                if not ended:
                    await asyncio.sleep(self.poll_s)
        except Exception as error:
            self._error = error
            self._fail(list(self._waiting), error)

    async def _wait_until_quiet(self) -> None:
        n_added = -1
        while n_added != self._n_added:
            n_added = self._n_added
            await asyncio.sleep(QUIET_S)

    async def _send(self) -> None:
        """Send the requests that are not sent yet, if they may be sent and there is room for them."""
        sent = self.state.sent_keys()
        keys = [key for key in self._waiting if key not in sent]
        if not keys or not (self._has_room or not self.state.jobs()):
            return
        requests = [self._waiting[key].request for key in keys]
        try:
            self._check(requests)
        except ServerError as error:
            self._fail(keys, error)
            return
        limits = {"max_requests": self._max_requests, "max_bytes": batch_file.MAX_BYTES}
        for inside, lines in write_files(requests, FORMATS[self._form], **limits):
            await self._jobs.send(inside, lines, run=self.run or "", form=self._form)
            if self._is_tight:
                return

    def _check(self, requests: Sequence[Request]) -> None:
        """Raise an error if requests may not be sent, or would probably cost too much."""
        if self.run is None:
            raise ServerError(f"The batches were cancelled. {_KEPT}")
        self.ledger.check(self.model)
        most, spent = self.ledger, self.ledger.total
        if most.max_requests is not None and spent.n_requests + len(requests) > most.max_requests:
            raise BudgetError(
                f"--max-requests {most.max_requests} would be exceeded: {spent.n_requests} requests were sent, and a "
                f"batch has {len(requests)} more. It was not sent. Raise the limit or take fewer texts, and run again."
            )
        if most.max_cost is not None:
            cost_usd, under_way = self._jobs.estimate(requests), [job.cost_usd or 0 for job in self.state.jobs()]
            if (spent.cost_usd or 0) + sum(under_way) + (cost_usd or 0) > most.max_cost:
                raise BudgetError(
                    f"--max-cost ${most.max_cost:.4f} would be exceeded: ${spent.cost_usd:.4f} is spent, "
                    f"${sum(under_way):.4f} goes to batches under way, and a batch of {len(requests)} requests would cost "
                    f"about ${cost_usd:.4f}. It was not sent. Raise the limit or take fewer texts, and run again."
                )

    def _settle(self, ended: Ended, *, is_alone: bool) -> None:
        """Hand out the completions of a batch. Its other requests fail, or are sent again if that may help."""
        self._has_room = True
        for key, completion in ended.completions.items():
            waiting = self._waiting.pop(key, None)
            if waiting is not None and not waiting.future.done():
                waiting.future.set_result(completion)
        if ended.batch.status == FAILED:
            self._give_up(ended, is_alone=is_alone)
        elif _are_all_refused(ended) and ended.job.form < len(FORMATS) - 1:
            self._form = max(self._form, ended.job.form + 1)  # Perhaps the server does not know the format.
        else:
            self._see_to_rest(ended)

    def _give_up(self, ended: Ended, *, is_alone: bool) -> None:
        """Handle a batch that the provider rejected. If its queue was full, wait for other batches to end or halve the size."""
        errors = getattr(ended.batch.errors, "data", None) or []
        is_full = any(error.code == NO_ROOM for error in errors)
        self._is_tight |= is_full
        if is_full and not is_alone:
            self._has_room = False
        elif is_full and ended.job.n_requests > 1:
            self._max_requests = max(1, ended.job.n_requests // 2)
        else:
            said = hide_key("; ".join(str(error.message) for error in errors[:3]) or "no reason given")[:500]
            words = f"The provider rejected the batch {ended.batch.id} ({said!r}). {_KEPT}"
            self._fail(ended.rest, ServerError(words))

    def _see_to_rest(self, ended: Ended) -> None:
        for key, outcome in ended.rest.items():
            said = f"HTTP {outcome.status}: {outcome.reason!r}"
            if outcome.status in ENDPOINT_STATUSES:
                words = f"The endpoint serves no requests for the model {self.model!r} ({said}). Check --model. {_KEPT}"
                self._fail([key], ServerError(words))
            elif outcome.is_refused:
                words = f"The endpoint refuses the request ({said}). Check the model's context length, and --model."
                self._fail([key], RequestError(words))
            elif ended.batch.status == CANCELLED and not ended.job.is_cancelled:
                self._fail([key], ServerError(f"The batch {ended.batch.id} was cancelled at the provider. {_KEPT}"))
            else:
                self._count_loss(key, outcome.reason or f"the batch is {ended.batch.status}")

    def _count_loss(self, key: str, reason: str) -> None:
        if (waiting := self._waiting.get(key)) is not None:
            waiting.n_lost += 1
            if waiting.n_lost >= N_LOST:
                words = (
                    f"A request came back from {N_LOST} batches without a reply (the last time: {reason!r}). {_KEPT}"
                )
                self._fail([key], ServerError(words))

    def _fail(self, keys: Iterable[str], error: BaseException) -> None:
        for key in keys:
            waiting = self._waiting.pop(key, None)
            if waiting is not None and not waiting.future.done():
                waiting.future.set_exception(error)


def _are_all_refused(ended: Ended) -> bool:
    return bool(ended.rest) and not ended.completions and all(one.status in (400, 422) for one in ended.rest.values())
