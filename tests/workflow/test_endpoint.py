"""The language model is asked from wherever a user sits, and stops being asked when they say so."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from spacy_falconer.workflow.endpoint import run_to_end


async def add(one, other):
    await asyncio.sleep(0)
    return one + other


async def fail():
    raise ValueError("no")


async def in_a_notebook(coroutine):
    """A cell is run by a loop that runs already, and an interrupt raises KeyboardInterrupt wherever it stands."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return run_to_end(coroutine)


@pytest.mark.parametrize("run", [run_to_end, lambda coroutine: asyncio.run(in_a_notebook(coroutine))])
def test_results_and_errors_come_back(run):
    assert run(add(1, 2)) == 3
    with pytest.raises(ValueError, match="no"):
        run(fail())


@pytest.mark.skipif(os.name != "posix", reason="an interrupt of one's own process")
def test_an_interrupt_in_a_notebook_stops_what_is_asked():
    paid, ended = [], []

    async def work():
        try:
            await asyncio.sleep(0.5)  # Who interrupts waits for the thread already, and does not start it still.
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(5)
            paid.append("a request")
        finally:
            ended.append("well")

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(in_a_notebook(work()))
    assert not paid and ended == ["well"]
