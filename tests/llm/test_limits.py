from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from spacy_falconer.llm import limits as limits_module
from spacy_falconer.llm.chat import Chat
from spacy_falconer.llm.limits import Limits, Pace
from spacy_falconer.llm.questions import make_messages


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets, and on which sleeping takes no time of ours."""
    now = SimpleNamespace(now=100.0, slept=[])

    async def sleep(seconds):
        now.slept.append(seconds)
        now.now += seconds

    monkeypatch.setattr(limits_module, "time", SimpleNamespace(monotonic=lambda: now.now))
    monkeypatch.setattr(limits_module, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
    return now


def test_a_pace_lets_through_so_much_a_minute(clock):
    pace = Pace(120)
    assert [pace.take(1) for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]
    clock.now += 60
    assert pace.take(1) == 0.0  # What was not used is not saved up.


def test_a_pace_without_a_limit(clock):
    pace = Pace(None)
    assert [pace.take(1000) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_what_was_more_or_less_than_expected_is_settled_afterwards(clock):
    pace = Pace(60)
    assert [pace.take(10), pace.take(5), pace.take(-8), pace.take(1)] == [0.0, 10.0, 15.0, 7.0]


def test_room_halves_at_a_refusal_and_grows_back_by_one_a_round(clock):
    limits = Limits(16, None, None)
    assert limits.refused(clock.now, None) and limits.n_allowed == 8
    for _ in range(8):
        limits.answered()
    assert 8.9 < limits.n_allowed < 9.1
    for _ in range(200):
        limits.answered()
    assert limits.n_allowed == 16


def test_refusals_of_one_burst_count_once(clock):
    limits = Limits(16, None, None)
    sent_at = clock.now
    clock.now += 1
    assert [limits.refused(sent_at, None) for _ in range(5)] == [True, False, False, False, False]
    assert limits.n_allowed == 8
    assert limits.refused(clock.now, None) and limits.n_allowed == 4


def test_there_is_always_room_for_one(clock):
    limits = Limits(4, None, None)
    for _ in range(9):
        limits.refused(clock.now, None)
    assert limits.n_allowed == 1


def enter(limits, n_tokens=0):
    async def start():
        async with limits.slot(n_tokens):
            pass

    asyncio.run(start())


def test_a_pause_that_the_server_asks_for_is_waited_for(clock):
    limits = Limits(4, None, None)
    limits.refused(clock.now, 30.0)
    enter(limits)
    assert clock.slept == [30.0]


def test_requests_and_tokens_each_have_their_pace(clock):
    limits = Limits(4, 60, 6000)
    for n_tokens in (10, 1000, 10):
        enter(limits, n_tokens)
    assert clock.slept == [pytest.approx(1.0), pytest.approx(9.1)]  # For the requests' pace, for the tokens'.


def test_slots_are_never_more_than_allowed_and_none_is_forgotten():
    limits, open_now, most = Limits(3, None, None), [], []

    async def use():
        async with limits.slot(0):
            open_now.append(1)
            most.append(len(open_now))
            await asyncio.sleep(0)
            open_now.pop()

    async def start():
        tasks = [asyncio.ensure_future(use()) for _ in range(20)]
        await asyncio.sleep(0)
        tasks[5].cancel()
        tasks[9].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(start())
    assert max(most) == 3 and len(most) == 18 and limits.n_in_flight == 0


@pytest.mark.parametrize("settings", [{"requests_per_minute": 60_000}, {"tokens_per_minute": 60_000_000}])
def test_a_chat_keeps_the_pace_that_it_is_given(server, plan, monkeypatch, settings):
    waits = []
    take = Pace.take

    def note(self, amount):
        waits.append(take(self, amount))
        return waits[-1]

    monkeypatch.setattr(Pace, "take", note)

    async def start():
        async with Chat("m", **settings) as chat:
            await asyncio.gather(*[chat.ask(make_messages("love", plan.steps)) for _ in range(5)])

    asyncio.run(start())
    assert any(wait > 0 for wait in waits)
