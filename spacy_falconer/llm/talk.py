"""The requests about one text. Whatever is paid for is on disk before the next request is sent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from spacy_falconer.errors import ReplyError, RequestError
from spacy_falconer.llm.chat import Chat, Reply
from spacy_falconer.llm.forms import Form, TextForm
from spacy_falconer.llm.passages import Passage, PassageForm, join_answers
from spacy_falconer.llm.questions import Message
from spacy_falconer.llm.redact import Redacted
from spacy_falconer.llm.store import AnswerStore, Usage
from spacy_falconer.llm.tokens import count_message_tokens, count_schema_tokens, count_tokens
from spacy_falconer.llm.window import cut_windows, find_borders, merge_windows, shift
from spacy_falconer.plan import Step
from spacy_falconer.types import Answer, CharSpan

N_ATTEMPTS = 3  # A text has failed after this many unusable replies.
MAX_PASSAGES = 40  # The most in one request.


class Talk:
    """Asks about one text. A reply that is paid for but is not an answer yet is kept in the store, not asked for again."""

    def __init__(self, text: str, chat: Chat, store: AnswerStore):
        self.text = text
        self.chat = chat
        self.store = store
        self._counted: Counter[str] = Counter()
        self._billed: Counter[str] = Counter()
        self._last: tuple[str, str] | None = None  # A request and its reply, not on disk yet.

    def announce(self, forms: Sequence[Form]) -> None:
        """Tell the chat which forms are to be filled, so that it can send them together."""
        for form in forms if len(forms) > 1 else ():
            if self.store.find_reply(self._name(form.messages, 0)) is None:
                self.chat.expect(form.messages, schema=form.schema, step=_name_steps(form))

    async def fill(self, form: Form) -> Answer:
        """Return the model's answer to a form.

        A reply that cannot be used is asked for again, with the reason. Quotes without a place are asked for again once;
        those still without one stay in the answer, where they are counted.
        RAISES (ReplyError): None of N_ATTEMPTS replies can be used.
        RAISES (ServerError): There is no reply.
        """
        self._counted += Counter({"requests": 1, "input": count_form(form)})
        content, answer, problems = await self._ask_until_read(form, form.messages, N_ATTEMPTS)
        self._counted["output"] += count_tokens(content)
        return await self._correct(form, content, answer, problems) if problems else answer

    def usage(self) -> list[Usage]:
        """Return what the forms so far take at least by our own count, and what they took."""
        return [Usage(self.chat.model, kind, self._counted[kind], self._billed[kind]) for kind in self._billed]

    async def _ask_until_read(
        self, form: Form, messages: list[Message], n_attempts: int
    ) -> tuple[str, Answer, list[str]]:
        """Return the first reply that can be used, what it answers, and what is wrong with its quotes."""
        asked = messages
        for attempt in range(n_attempts):
            content = ""
            try:
                content = await self._ask(form, messages, attempt)
                return content, *form.read(content, self.chat.model)
            except ReplyError as error:
                reason = str(error)
            messages = [*asked, *form.repair(content, [reason])] if content else asked
        raise ReplyError(f"{reason} It was the last of {n_attempts} replies.")

    async def _correct(self, form: Form, content: str, answer: Answer, problems: Sequence[str]) -> Answer:
        """Ask once more. The first answer stands if the second is worse."""
        messages = [*form.messages, *form.repair(content, problems)]
        try:
            _, corrected, left = await self._ask_until_read(form, messages, 1)
        except RequestError:
            return answer
        return corrected if len(left) <= len(problems) else answer

    async def _ask(self, form: Form, messages: list[Message], attempt: int) -> str:
        """Return one reply, from an earlier run if it was paid for there. A reply without content is one, too."""
        request = self._name(messages, attempt)
        content = self.store.find_reply(request)
        if content is None:
            self._keep_last()
            content = await self._send(form, messages, request)
        if not content:
            raise ReplyError("An earlier reply to this request was cut off, refused or empty.")
        return content

    def _name(self, messages: list[Message], attempt: int) -> str:
        return json.dumps([self.chat.model, attempt, messages])

    async def _send(self, form: Form, messages: list[Message], request: str) -> str:
        try:
            reply = await self.chat.ask(messages, schema=form.schema, step=_name_steps(form))
        except ReplyError as error:
            self._pay(request, "", error)
            raise
        self._pay(request, reply.content, reply)
        return reply.content

    def _pay(self, request: str, content: str, counts: Reply | ReplyError) -> None:
        self._last = request, content
        self._billed += Counter({"requests": 1, "input": counts.n_input_tokens, "output": counts.n_output_tokens})

    def _keep_last(self) -> None:
        if self._last is not None:
            self.store.keep_reply(self.text, *self._last)
            self._last = None


async def ask_text(talk: Talk, sent: Redacted, *, steps: Sequence[Step], examples: Sequence[Answer] = ()) -> Answer:
    """Ask steps about a text, window by window."""
    windows = cut_windows(sent.text)
    forms = [TextForm(sent.text[one.start : one.end], steps, examples) for one in windows]
    talk.announce(forms)
    answers = [await talk.fill(form) for form in forms]
    return sent.restore(merge_windows(sent.text, windows, answers))


async def ask_passages(talk: Talk, sent: Redacted, *, steps: Sequence[Step], passages: Sequence[Passage]) -> Answer:
    """Ask steps about passages of a text. Passages of which nothing is sent are not asked about."""
    about: dict[CharSpan, Answer] = {}
    forms = list(make_passage_forms(sent, steps, passages))
    talk.announce([form for form, _ in forms])
    for form, offset in forms:
        answer = await talk.fill(form)
        for place, said in answer.about.items():
            about[place] = join_answers(about.get(place), sent.restore(shift(said, offset, sent.text)))
    return Answer(sent.original, talk.chat.model, about=about)


def make_passage_forms(
    sent: Redacted, steps: Sequence[Step], passages: Sequence[Passage]
) -> Iterator[tuple[PassageForm, int]]:
    """Yield forms for all passages, each with the offset of its window in the text."""
    places = {one: sent.to_redacted(one.place.start, one.place.end) for one in passages}
    windows = cut_windows(sent.text)
    for window, border in zip(windows, find_borders(windows), strict=True):
        words = sent.text[window.start : window.end]
        inside = [
            replace(one, sent=CharSpan(at.start - window.start, min(at.end, window.end) - window.start))
            for one, at in places.items() if at.start < at.end and border.start <= at.start < border.end
        ]  # fmt: skip
        for first in range(0, len(inside), MAX_PASSAGES):
            yield PassageForm(words, steps, inside[first : first + MAX_PASSAGES]), window.start


def _name_steps(form: Form) -> list[str]:
    return [step.id for step in form.steps]


def count_form(form: Form) -> int:
    """Return the tokens of a request, by our own count."""
    return count_message_tokens(form.messages) + count_schema_tokens(form.schema)
