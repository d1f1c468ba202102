"""A language model whose every reply is kept: asked once, read from the file from then on."""

from __future__ import annotations

import asyncio
import json
import os
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

from spacy_falconer.errors import ServerError

TIMEOUT_S = 3_600
MAX_RETRIES = 8  # all questions are sent at once, and a small server may refuse some of the connections


@dataclass(frozen=True)
class Reply:
    content: str
    model: str


class MissingReply(ServerError):
    """There is no recorded reply, and no model to ask."""


class Endpoint:
    """The model behind `base_url`, or OPENAI_BASE_URL. The key is read when the first question is asked."""

    def __init__(self, model: str, base_url: str | None = None) -> None:
        self.model = model
        self.base_url = base_url

    async def ask(self, messages: list[dict], *, schema: dict | None = None, step: str = "") -> Reply:
        from openai import AsyncOpenAI

        json_schema = {"name": step or "reply", "schema": schema, "strict": True}
        key = os.environ.get("OPENAI_API_KEY") or (
            "unused" if self.base_url else None
        )  # a server of one's own needs none
        settings = {"base_url": self.base_url, "api_key": key, "timeout": TIMEOUT_S, "max_retries": MAX_RETRIES}
        async with AsyncOpenAI(**settings) as client:
            completion = await client.chat.completions.create(
                model=self.model,
                messages=messages,
                response_format={"type": "json_schema", "json_schema": json_schema},
            )
        return Reply(completion.choices[0].message.content or "", completion.model)


@dataclass
class Recorder:
    """The replies in a file, and a model for those that it lacks. Without a model, what is not there is refused."""

    path: Path
    chat: Endpoint | None
    rows: list[dict[str, Any]] = field(default_factory=list)
    n_stale: int = 0
    locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    def __post_init__(self) -> None:
        if self.path.exists():
            self.rows = [json.loads(line) for line in self.path.read_text(encoding="utf8").splitlines()]

    def about(self, key: str) -> Conversation:
        return Conversation(self, key)

    async def ask(self, key: str, turn: int, messages: list[dict], schema: dict | None, step: str) -> Reply:
        """The reply that was recorded for these messages; else one of the model; else one to an earlier prompt."""
        async with self.locks[key]:  # a question that is asked twice at the same time is sent once
            return await self._ask(key, turn, messages, schema, step)

    async def _ask(self, key: str, turn: int, messages: list[dict], schema: dict | None, step: str) -> Reply:
        request = sha256(json.dumps(messages).encode()).hexdigest()[:16]
        known = [row for row in self.rows if (row["id"], row["turn"]) == (key, turn)]
        row = next((row for row in known if row["request"] == request), None)
        if row is None and self.chat is not None:
            reply = await self.chat.ask(messages, schema=schema, step=step)
            row = {"id": key, "turn": turn, "request": request, "reply": reply.content, "model": reply.model}
            self._write({**row, "date": date.today().isoformat()})
        elif row is None:
            row = self._find_stale(key, known)
        return Reply(row["reply"], row["model"])

    def _write(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        with self.path.open("a", encoding="utf8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _find_stale(self, key: str, known: list[dict[str, Any]]) -> dict[str, Any]:
        if not known:
            raise MissingReply(
                f"{self.path} holds no reply about {key!r}. Ask for it: name a --model and its --base-url."
            )
        self.n_stale += 1
        return known[-1]


@dataclass
class Conversation:
    """The turns about one item: what `make_plan` takes for a chat."""

    recorder: Recorder
    key: str
    turn: int = 0

    async def ask(self, messages: list[dict], *, schema: dict | None = None, step: str = "") -> Reply:
        self.turn += 1
        return await self.recorder.ask(self.key, self.turn, messages, schema, step)
