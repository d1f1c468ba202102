from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest
from faulty_server import FaultyServer

from spacy_falconer.llm import chat as chat_module
from spacy_falconer.llm.ask import ask_answers
from spacy_falconer.llm.chat import Chat
from spacy_falconer.plan import parse_plan


@pytest.fixture
def serve(monkeypatch):
    """Start a server (see faulty_server.py) that the environment names. Failed requests are repeated at once."""
    monkeypatch.setattr(chat_module, "BACKOFF_S", 0.01)
    with ExitStack() as stack:

        def start(**settings):
            server = stack.enter_context(FaultyServer(**settings))
            for name, value in server.environment.items():
                monkeypatch.setenv(name, value)
            return server

        yield start


@pytest.fixture
def server(serve):
    return serve()


@pytest.fixture(scope="session")
def plan():
    steps = [
        {"id": "positive", "op": "get_label", "instruction": "The reviewer is satisfied."},
        {"id": "price", "op": "get_span", "instruction": "Amounts of money."},
    ]
    return parse_plan({"instruction": "Prices", "steps": steps})


@pytest.fixture(scope="session")
def passage_plan(plan):
    each = [
        {"id": "cheap", "op": "get_label", "instruction": "{span} is cheap.", "for_each": "price"},
        {"id": "twin", "op": "get_span", "instruction": "Words like {span}.", "for_each": "price"},
    ]
    return parse_plan({"instruction": "Prices", "steps": [*plan.model_dump(mode="json")["steps"], *each]})


@pytest.fixture
def ask(store):
    """Ask for the answers to texts; give back the chat, whose ledger says what that took."""

    def run(texts, plan, *, model="gpt-4.1-mini", within=store, **settings):
        ours = {key: settings.pop(key) for key in ("tick", "examples", "accept", "redact") if key in settings}

        async def start():
            async with Chat(model, **settings) as chat:
                await ask_answers(texts, plan, chat, within, **ours)
            return chat

        return asyncio.run(start())

    return run
