"""Ask through the provider's Batch API: at half the price, and within a day. Stop at any time; run again to go on.

The questions, prompts and answers are those of `ask`; only the way to the language model and back differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from spacy_falconer.errors import ServerError
from spacy_falconer.llm.ask import ask_answers
from spacy_falconer.llm.batch_file import Request, to_object
from spacy_falconer.llm.batch_jobs import PRICE_SHARE, OpenBatch, show_batch
from spacy_falconer.llm.batch_queue import BatchQueue
from spacy_falconer.llm.batch_state import BatchState, Run, find_path
from spacy_falconer.llm.chat import Chat, Message, Reply, check_reply, read_reply
from spacy_falconer.llm.ledger import Ledger, Steps
from spacy_falconer.llm.prices import Price, read_prices
from spacy_falconer.llm.redact import Redactor, load_redactor
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import Plan
from spacy_falconer.types import Answer

__all__ = [
    "PRICE_SHARE", "OpenBatch", "ask_in_batch", "batch_prices", "cancel_batches", "find_open_batches",
    "find_texts_under_way",
]  # fmt: skip

POLL_S = 30.0
CLOSED_S = 0.1  # Between checks if nothing may be sent and no batch is under way.
Watch = Callable[[list[OpenBatch]], Any]


class BatchChat(Chat):
    """Asks as `Chat` does, but sends its requests in batches, as soon as no more requests are added.

    max_in_flight: Of texts. The requests about them go into one batch, or as few as the provider's limits allow.
    """

    def __init__(self, queue: BatchQueue, *, max_in_flight: int):
        super().__init__(queue.model, max_in_flight=max_in_flight, ledger=queue.ledger)
        self._queue = queue
        self._n_asked: Counter[str] = Counter()

    def expect(self, messages: list[Message], *, schema: dict[str, Any] | None = None, step: Steps = "") -> None:
        """Send a request with the next batch, because `ask` will be called for it."""
        self._queue.expect(Request(self.model, messages, schema, step))

    async def ask(self, messages: list[Message], *, schema: dict[str, Any] | None = None, step: Steps = "") -> Reply:
        first = Request(self.model, messages, schema, step)
        request = Request(self.model, messages, schema, step, self._n_asked[first.key])
        self._n_asked[first.key] += 1
        completion = to_object(await self._queue.ask(request))
        reply = read_reply(completion, messages, self.model, schema=schema)
        check_reply(completion, reply)
        return reply


async def ask_in_batch(
    texts: Iterable[str],
    plan: Plan,
    model: str,
    store: AnswerStore,
    *,
    ledger: Ledger,
    tick: Callable[[int], Any] = lambda n_texts: None,
    watch: Watch = lambda batches: None,
    poll_s: float = POLL_S,
    examples: Sequence[Answer] = (),
    accept: str | None = None,
    redact: Redactor | None = None,
) -> None:
    """Ask for the answers that the store does not hold yet, as `ask_answers` does, in batches.

    A first batch asks about all texts; later ones ask about the passages found, and for corrections. Batches under way
    are recorded in a file beside the store until all their answers are in the store. A call may be stopped or killed at
    any time. The same call goes on with the same examples, and pays for nothing twice. If an earlier call with the same
    plan still lacks answers, its texts are asked about, too.

    ledger: Counts at half the price. A batch that would probably exceed its limits is not sent.
    watch: Called with the batches under way after each check, every `poll_s` seconds.
    RAISES (ServerError, BudgetError): Once all that is under way is done. The answers so far are in the store.
    RAISES (RedactError): `redact` failed on a text, which was not sent.
    RAISES (AnswerError): Another process asks in batches with the same store.
    """
    with BatchState(store.path) as state:
        asked = list(dict.fromkeys(texts))
        run = state.begin(Run(plan, model, redact.name if redact else None, asked, examples))
        queue = BatchQueue(state, model, run=run.key, ledger=ledger, poll_s=poll_s, watch=watch)
        async with queue.driven():
            await _ask(run, queue, store, tick=_at_most(len(asked), tick), accept=accept, redact=redact)
            await queue.finish()
        state.end(run)


async def cancel_batches(
    store: AnswerStore,
    *,
    ledger: Ledger | None = None,
    watch: Watch = lambda batches: None,
    poll_s: float = POLL_S,
    redact: Redactor | None = None,
) -> None:
    """Cancel all batches under way, wait until they have ended, and keep what they had answered by then.

    redact: The function that changed the texts; by default it is loaded by its name.
    RAISES (ServerError): The endpoint failed.
    RAISES (AnswerError): Another process is waiting for the batches.
    """
    if not find_path(store.path).exists():
        return
    with BatchState(store.path) as state:
        runs = [(run, _find_redactor(run, redact)) for run in state.runs()]
        model = next((job.model for job in state.jobs()), "")
        state.cancel_jobs()
        queue = BatchQueue(state, model, run=None, ledger=ledger or Ledger(), poll_s=poll_s, watch=watch)
        async with queue.driven():
            await queue.finish()
        for run, redactor in runs:
            await _keep_answers(run, state, store, redact=redactor)


def find_open_batches(store: AnswerStore) -> list[OpenBatch]:
    """Return the batches that were under way at the last check. Nothing is sent.

    RAISES (AnswerError): Another process is waiting for the batches.
    """
    if not find_path(store.path).exists():
        return []
    with BatchState(store.path) as state:
        return [show_batch(job) for job in state.jobs()]


def find_texts_under_way(store: AnswerStore, *, model: str | None = None) -> set[str]:
    """Return the texts that batches under way ask a model (by default any model) about. Nothing is sent.

    RAISES (AnswerError): Another process is waiting for the batches.
    """
    if not find_path(store.path).exists():
        return set()
    with BatchState(store.path) as state:
        runs = [run for run in state.runs_under_way() if model in (None, run.model)]
    return {text for run in runs for text in run.texts}


def batch_prices(prices: Mapping[str, Price] | None = None) -> dict[str, Price]:
    """Return what models cost in batches, by name, for `estimate`. The usual prices are by default those of `read_prices`."""
    usual = read_prices() if prices is None else prices
    return {name: Price(PRICE_SHARE * one.input, PRICE_SHARE * one.output) for name, one in usual.items()}


async def _keep_answers(run: Run, state: BatchState, store: AnswerStore, *, redact: Redactor | None) -> None:
    """Store what can be answered without sending anything."""
    queue = BatchQueue(state, run.model, run=None, ledger=Ledger(), poll_s=CLOSED_S, watch=lambda batches: None)
    async with queue.driven():
        with suppress(ServerError):
            await _ask(run, queue, store, redact=redact)
    state.end(run)


def _find_redactor(run: Run, redact: Redactor | None) -> Redactor | None:
    if run.redactor is None or (redact is not None and redact.name == run.redactor):
        return redact if run.redactor else None
    return load_redactor(run.redactor)


def _at_most(n_texts: int, tick: Callable[[int], Any]) -> Callable[[int], None]:
    """Stop ticking after `n_texts`: texts of an earlier call are settled, too, but a progress bar counts only this call's."""
    left = n_texts

    def count(n_settled: int) -> None:
        nonlocal left
        n_settled, left = min(n_settled, left), left - min(n_settled, left)
        if n_settled:
            tick(n_settled)

    return count


async def _ask(run: Run, queue: BatchQueue, store: AnswerStore, **settings: Any) -> None:
    chat = BatchChat(queue, max_in_flight=max(1, len(run.texts)))
    await ask_answers(run.texts, run.plan, chat, store, examples=run.examples, **settings)
