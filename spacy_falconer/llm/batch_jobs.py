"""Send batches and follow them to their end. Whatever is about to happen to a batch is recorded first."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from spacy_falconer.errors import ServerError
from spacy_falconer.llm.batch_api import BatchApi
from spacy_falconer.llm.batch_file import Outcome, Request, read_outcomes, to_object
from spacy_falconer.llm.batch_state import COLLECTED, CREATING, OPEN, UPLOADING, BatchState, Job, Sent
from spacy_falconer.llm.chat import read_reply
from spacy_falconer.llm.ledger import Ledger

PRICE_SHARE = 0.5  # Of what the same requests cost one by one.
FAILED, CANCELLED = "failed", "cancelled"
ENDED = ("completed", "expired", FAILED, CANCELLED)


@dataclass(frozen=True)
class OpenBatch:
    """A batch under way, as shown to users.

    batch_id: The provider's id; None if the batch is not created yet.
    status: The provider's status if it is known, such as "validating", "in_progress" or "finalizing".
    n_done: The number of requests done, according to the provider.
    sent_at: Seconds since 1970.
    cost_usd: An estimate; None if the model's price is unknown.
    """

    batch_id: str | None
    model: str
    status: str
    n_requests: int
    n_done: int
    sent_at: float
    cost_usd: float | None


@dataclass(frozen=True)
class Ended:
    """A batch that has ended: its completions, and the outcomes of its other requests (`rest`), by the requests' keys.

    batch: The provider's object.
    """

    job: Job
    batch: Any
    completions: Mapping[str, dict[str, Any]]
    rest: Mapping[str, Outcome]


class BatchJobs:
    """Sends batches and looks after them.

    RAISES (ServerError): From all methods that call the provider.
    """

    def __init__(self, state: BatchState, model: str, ledger: Ledger):
        self.state, self.model, self.ledger = state, model, ledger
        self._api = BatchApi(model)

    async def aclose(self) -> None:
        await self._api.aclose()

    async def recover(self, *, pause_s: float) -> None:
        """Find out how the calls ended that an earlier process left unfinished.

        pause_s: How long the provider may take to list a batch that it has just created.
        """
        for job in self.state.jobs():
            if job.state == UPLOADING:
                await self._api.delete_upload(job.id)
                self.state.drop(job)
            elif job.state == CREATING:
                await self._find_batch(job, pause_s)
            elif job.state == COLLECTED:
                batch = await self._retrieve(job)
                await self._clean_up(job, batch.output_file_id, batch.error_file_id)

    async def send(self, requests: Sequence[Request], lines: IO[bytes], *, run: str, form: int) -> None:
        """Create a batch of requests, given with their file."""
        job = Job(
            id=uuid.uuid4().hex, run=run, state=UPLOADING, model=self.model, form=form, n_requests=len(requests),
            cost_usd=self.estimate(requests), sent_at=time.time(),
        )  # fmt: skip
        self.state.add_job(job, {request.key: Sent(request.step, request.n_tokens[0]) for request in requests})
        job = self.state.mark(job, file_id=await self._api.upload(job.id, lines), state=CREATING)
        for request in requests:
            self.ledger.start(request.step, self.model)
        batch = await self._api.create(job.id, job.file_id or "")
        self.state.mark(job, batch_id=batch.id, state=OPEN)

    async def look(self) -> tuple[list[OpenBatch], list[Ended]]:
        """Return the batches that are under way, and those that have ended since the last look."""
        under_way, ended = [], []
        for job in self.state.jobs():
            batch = await self._retrieve(job)
            if batch.status in ENDED:
                ended.append(await self._collect(job, batch))
                continue
            if job.is_cancelled and batch.status != "cancelling":
                await self._api.cancel(batch.id)
            under_way.append(show_batch(job, batch))
        return under_way, ended

    def estimate(self, requests: Sequence[Request]) -> float | None:
        """Return what requests will cost in a batch, in US dollars; None if the model's price is unknown."""
        price = self.ledger.price_of(self.model)
        if price is None:
            return None
        return PRICE_SHARE * sum(price.cost_usd(*request.n_tokens) for request in requests)

    async def _retrieve(self, job: Job) -> Any:
        batch = await self._api.retrieve(job.batch_id or job.id)
        if batch is None:
            raise ServerError(
                f"The endpoint does not know the batch {job.batch_id!r}, which is recorded as sent in "
                f"{str(self.state.path)!r}. Set OPENAI_BASE_URL and OPENAI_API_KEY to what they were then. If the batch "
                "is lost for good, delete that file; the answers in the store stay."
            )
        return batch

    async def _find_batch(self, job: Job, pause_s: float) -> None:
        batch = await self._api.find(job.id, job.file_id)
        if batch is None:
            await asyncio.sleep(pause_s)
            batch = await self._api.find(job.id, job.file_id)
        if batch is None:
            await self._clean_up(job)
        else:
            self.state.mark(job, state=OPEN, batch_id=batch.id)

    async def _collect(self, job: Job, batch: Any) -> Ended:
        """Keep the replies of a batch. A batch that failed was never started, and costs nothing."""
        sent = self.state.find_sent(job)
        outcomes: dict[str, Outcome] = {}
        for file_id in (batch.output_file_id, batch.error_file_id):
            lines = await self._api.read_lines(file_id)
            outcomes |= {key: one for key, one in read_outcomes(lines) if key in sent and key not in outcomes}
        completions = {key: one.completion for key, one in outcomes.items() if one.completion is not None}
        self._pay(job, completions, sent)
        self.state.collect(job, completions)
        await self._clean_up(job, batch.output_file_id, batch.error_file_id)
        return Ended(job, batch, completions, {key: outcomes.get(key, Outcome()) for key in sent.keys() - completions})

    def _pay(self, job: Job, completions: Mapping[str, dict[str, Any]], sent: Mapping[str, Sent]) -> None:
        names: dict[str, None] = {}
        for key, completion in completions.items():
            reply, (step, n_expected) = read_reply(to_object(completion), (), job.model, schema=None), sent[key]
            n_input = n_expected if reply.is_estimated else reply.n_input_tokens
            counts = {"is_estimated": reply.is_estimated, "content": reply.content, "price_share": PRICE_SHARE}
            self.ledger.pay(step, job.model, n_input, reply.n_output_tokens, **counts)
            names |= dict.fromkeys([step] if isinstance(step, str) else step)
        if names:
            self.ledger.wait(list(names), max(0.0, time.time() - job.sent_at))

    async def _clean_up(self, job: Job, *file_ids: str | None) -> None:
        await self._api.delete_files(job.file_id, *file_ids)
        self.state.drop(job)


def show_batch(job: Job, batch: Any = None) -> OpenBatch:
    counts = getattr(batch, "request_counts", None)
    n_done = counts.completed + counts.failed if counts else 0
    status = batch.status if batch is not None else job.state
    return OpenBatch(job.batch_id, job.model, status, job.n_requests, n_done, job.sent_at, job.cost_usd)
