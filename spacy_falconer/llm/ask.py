"""Ask a language model for a plan's answers. Whatever is paid for is stored before anything else happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from spacy_falconer.errors import ReplyError, RequestError, ServerError
from spacy_falconer.llm.chat import Chat
from spacy_falconer.llm.commits import Commits
from spacy_falconer.llm.forms import prompt_version
from spacy_falconer.llm.passages import ask_each, find_passages, passage_steps
from spacy_falconer.llm.questions import asked_steps
from spacy_falconer.llm.redact import Redacted, Redactor, hide_answers
from spacy_falconer.llm.rows import Question
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.llm.talk import Talk, ask_passages, ask_text
from spacy_falconer.llm.verdict import Failed, Verdict
from spacy_falconer.plan import Plan
from spacy_falconer.types import Answer

N_HOPELESS = 20  # Give up on a model that has answered nothing at all after this many texts without a usable reply.


async def ask_answers(
    texts: Iterable[str],
    plan: Plan,
    chat: Chat,
    store: AnswerStore,
    *,
    tick: Callable[[int], Any] = lambda n_texts: None,
    examples: Sequence[Answer] = (),
    accept: str | None = None,
    redact: Redactor | None = None,
) -> None:
    """Ask for the answers that the store does not hold yet.

    Each text takes one request for all steps together, and a second one for the steps with `for_each`, about the passages
    found. A text's answers are in the store before another text takes its place. A text that fails is stored as failed
    (`store.failures`), with the reason, and the same prompts do not ask about it again.

    tick: Called with the number of texts settled since the last call.
    examples: Answers to show before each text. Only those that answer everything that is asked are shown.
    accept (str): Whose answers in the store are accepted; by default anyone's.
    redact: Changes texts and examples before they are sent.
    RAISES (ServerError, BudgetError): Once the requests under way are done. The answers so far are in the store.
    RAISES (RedactError): `redact` failed on a text, which was not sent.
    """
    shown = tuple(examples) if redact is None else tuple(hide_answers(examples, redact))
    run = _Run(plan, chat, store, tick, shown, accept, redact)
    queue = iter(dict.fromkeys(texts))
    workers = [asyncio.ensure_future(run.work(queue)) for _ in range(chat.max_in_flight)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
    run.finish()


@dataclass
class _Run:
    plan: Plan
    chat: Chat
    store: AnswerStore
    tick: Callable[[int], Any]
    examples: tuple[Answer, ...]
    accept: str | None
    redact: Redactor | None
    verdict: Verdict = field(default_factory=Verdict)
    stop: Exception | None = None
    n_rejected: int = 0

    def __post_init__(self) -> None:
        self.commits = Commits(self.store)
        self.version = prompt_version()
        self.steps = asked_steps(self.plan)
        self.passage_steps = passage_steps(self.plan)

    async def work(self, queue: Iterator[str]) -> None:
        """Settle one text after another until none is left or one worker fails. The others then finish their texts."""
        for text in queue:
            if self.stop is not None:
                return
            try:
                await self._settle(text)
            except Exception as error:
                self.stop = self.stop or error
                return
            self.tick(1)

    def finish(self) -> None:
        """Store the failures that were the texts' fault; raise the error that was not."""
        if self.stop is not None:
            raise self.stop
        for failed in self.verdict.close():
            self._fail(failed)

    async def _settle(self, text: str) -> None:
        """Ask the open questions about a text, and then those about the passages found in it."""
        questions = {Question(step.op, step.instruction): step for step in self.steps}
        if found := self._find_open(text, questions):
            steps = [questions[question] for question in found]
            if not await self._try(text, found, partial(ask_text, steps=steps, examples=self.examples)):
                return
        if self.passage_steps:
            await self._settle_passages(text)

    async def _settle_passages(self, text: str) -> None:
        sources = dict.fromkeys(self.plan.steps_by_id[step.for_each].instruction for step in self.passage_steps)
        answer = self.store.read(text, spans=sources, model=self.accept, version=self.version)
        asked = ask_each(self.passage_steps, find_passages(self.plan, answer)) if answer else {}
        if found := self._find_open(text, asked):
            steps, passages = (list(dict.fromkeys(said)) for said in zip(*(asked[one] for one in found), strict=True))
            await self._try(text, found, partial(ask_passages, steps=steps, passages=passages))

    def _find_open(self, text: str, questions: Iterable[Question]) -> list[Question]:
        settings = {"model": self.chat.model, "accept": self.accept, "version": self.version}
        return self.store.open_questions(text, questions, **settings)

    async def _try(self, text: str, questions: list[Question], ask: Callable[..., Awaitable[Answer]]) -> bool:
        """Ask, and keep the answer or the failure. RETURNS: Whether there was an answer."""
        sent = Redacted(text, ()) if self.redact is None else self.redact.apply(text)
        talk, began = Talk(text, self.chat, self.store), self.verdict.begin()
        try:
            answer = await ask(talk, sent)
        except ReplyError as error:
            self._replied()
            self._reject(Failed(text, questions, error, talk.usage()))
        except RequestError as error:
            if self.verdict.doubt(Failed(text, questions, error, talk.usage()), began):
                raise
        else:
            await self.commits.add(partial(self.store.put, answer, version=self.version, usage=talk.usage()))
            self._replied()
            return True
        return False

    def _reject(self, failed: Failed) -> None:
        """Store that no reply about a text is an answer. If the model has never given one, do not pay for more replies."""
        self._fail(failed)
        self.n_rejected += 1
        if self.n_rejected % N_HOPELESS == 0 and self.chat.model not in self.store.models():
            raise ServerError(
                f"The model {self.chat.model!r} has no answer to any of {self.n_rejected} texts, so no more were asked "
                f"about. The last reason: {failed.error} Name another model; or fix this one, and have the texts asked "
                "about again with `answers delete --failures`."
            )

    def _replied(self) -> None:
        for failed in self.verdict.replied():
            self._fail(failed)

    def _fail(self, failed: Failed) -> None:
        settings = {"model": self.chat.model, "version": self.version, "usage": failed.usage}
        self.store.put_failure(failed.text, failed.questions, reason=str(failed.error), **settings)
