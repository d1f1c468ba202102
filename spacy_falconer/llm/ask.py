"""Ask a language model for a plan's answers. What is paid for is in the store before anything else happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy_falconer.errors import ReplyError, RequestError, ServerError
from spacy_falconer.llm.chat import Chat
from spacy_falconer.llm.questions import (
    Message,
    asked_steps,
    find_problems,
    make_answer,
    make_messages,
    parse_reply,
    place_quotes,
    repair_messages,
    reply_schema,
)
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.llm.window import cut_windows, merge_windows
from spacy_falconer.plan import Plan, Step
from spacy_falconer.types import Answer

N_ATTEMPTS = 3  # Replies without an answer, before a text has failed.
N_DOUBTS = 3  # Texts that fail one after another, without a reply to any, before the endpoint counts as down.


async def ask_answers(
    texts: Iterable[str],
    plan: Plan,
    chat: Chat,
    store: AnswerStore,
    *,
    tick: Callable[[int], Any] = lambda n_texts: None,
    examples: Sequence[Answer] = (),
    accept: str | None = None,
) -> None:
    """Ask for the answers that the store does not hold yet: one request a text, for all steps together.

    Steps with `for_each` are not asked. A reply that cannot be used is asked for again, with the reason; so are, once,
    quotes that have no place in the text. Those that have none then either are kept without a place, so that they are
    counted where the answers are read, and taken for nothing. A text that fails three times is kept as failed
    (`store.failures`), and not asked about again. Failed attempts to connect count as the endpoint's fault, not the
    text's, where they come before any reply.

    tick: Called with the number of texts settled since the last call.
    examples: Answers to show before each text, where they answer all that is asked.
    accept (str): Whose answers in the store do; by default anyone's.
    RAISES (BudgetError, ServerError): After the requests under way are done. What was answered is in the store.
    """
    run = _Run(asked_steps(plan), chat, store, tuple(examples), accept, tick)
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
    steps: list[Step]
    chat: Chat
    store: AnswerStore
    examples: tuple[Answer, ...]
    accept: str | None
    tick: Callable[[int], Any]
    doubts: list[tuple[str, list[Step], RequestError]] = field(default_factory=list)
    is_alive: bool = False
    stop: ServerError | None = None

    async def work(self, queue: Iterator[str]) -> None:
        """Settle text after text, until there are none or a reason to stop."""
        for text in queue:
            if self.stop is not None:
                return
            steps = self._find_open_steps(text)
            if steps:
                await self._settle(text, steps)
            self.tick(1)

    def finish(self) -> None:
        """Keep the failures that were the texts' fault; raise the one that was not."""
        if self.stop is None and self.doubts and not self.is_alive:
            self.stop = self.doubts[0][2]
        if self.stop is not None:
            raise self.stop

    async def _settle(self, text: str, steps: list[Step]) -> None:
        try:
            answer = await self._ask_windows(text, steps)
        except ReplyError as error:
            self._live()
            self._fail(text, steps, error)
        except RequestError as error:
            self._doubt(text, steps, error)
        except ServerError as error:
            self.stop = self.stop or error
        else:
            self.store.put(answer)
            self.store.drop_replies(text)
            self._live()

    def _find_open_steps(self, text: str) -> list[Step]:
        questions = {(step.op, step.instruction): step for step in self.steps}
        found = self.store.open_questions(text, questions, model=self.chat.model, accept=self.accept)
        return [questions[question] for question in found]

    def _live(self) -> None:
        """The endpoint replies: the texts that failed before did so by themselves."""
        self.is_alive = True
        while self.doubts:
            self._fail(*self.doubts.pop())

    def _doubt(self, text: str, steps: list[Step], error: RequestError) -> None:
        """Hold a failure back until it is known whose fault it is."""
        self.doubts.append((text, steps, error))
        if len(self.doubts) >= N_DOUBTS:
            self.stop = self.stop or error

    def _fail(self, text: str, steps: Iterable[Step], error: ServerError) -> None:
        questions = [(step.op, step.instruction) for step in steps]
        self.store.put_failure(text, questions, model=self.chat.model, reason=str(error))
        self.store.drop_replies(text)

    async def _ask_windows(self, text: str, steps: list[Step]) -> Answer:
        windows = cut_windows(text)
        if len(windows) == 1:
            return await self._ask_window(text, text, steps)
        answers = [await self._ask_window(text, text[one.start : one.end], steps) for one in windows]
        return merge_windows(text, windows, answers)

    async def _ask_window(self, text: str, window: str, steps: list[Step]) -> Answer:
        """The answer about a window, or the whole, of a text. Each reply that is none is followed by another request."""
        asked = messages = make_messages(window, steps, self.examples)
        for n_left in reversed(range(N_ATTEMPTS)):
            content = ""
            try:
                content = await self._ask(text, messages, steps, keep=len(window) < len(text))
                said = parse_reply(content, steps)
                break
            except ReplyError as error:
                if not n_left:
                    raise ReplyError(f"{error} It was the last of {N_ATTEMPTS} replies.") from None
                messages = [*asked, *repair_messages(content, [str(error)], steps)] if content else asked
                self._keep(text, content, messages)
        return await self._ground(text, window, steps, said, [*messages, _say(content)])
