"""The server in a process of its own, the demo's plan and texts, and one run of asking."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import srsly

from spacy_falconer.llm.ask import ask_answers
from spacy_falconer.llm.chat import Chat
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import Plan, read_plan

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "tests" / "faulty_server.py"
MODEL = "gpt-4.1-mini"


@contextmanager
def serve(**settings: Any) -> Iterator[str]:
    """Start a server (see tests/faulty_server.py) that the environment names."""
    process = subprocess.Popen([sys.executable, SERVER, json.dumps(settings)], stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        os.environ.update(OPENAI_BASE_URL=url, OPENAI_API_KEY="needs none")
        yield url
    finally:
        process.kill()
        process.wait()


def read_counts(url: str) -> dict[str, Any]:
    """What the server counted so far."""
    with urllib.request.urlopen(url) as response:
        return json.load(response)


@contextmanager
def open_store() -> Iterator[AnswerStore]:
    with tempfile.TemporaryDirectory() as folder, AnswerStore(Path(folder) / "answers.db") as store:
        yield store


def demo_plan() -> Plan:
    return read_plan(ROOT / "assets" / "plan-reviews.json")


def demo_texts(n: int) -> list[str]:
    rows = srsly.read_jsonl(ROOT / "assets" / "reviews.jsonl")
    return list(dict.fromkeys(row["text"] for row in rows))[:n]


async def annotate(
    texts: Sequence[str], plan: Plan, store: AnswerStore, *, tick=lambda n: None, **settings: Any
) -> Chat:
    """Ask for the answers to texts. RETURNS: The chat; its ledger says what that took."""
    async with Chat(MODEL, **settings) as chat:
        await ask_answers(texts, plan, chat, store, tick=tick)
    return chat
