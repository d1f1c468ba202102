from __future__ import annotations

import pytest

from spacy_falconer.errors import BudgetError
from spacy_falconer.llm.ledger import Ledger
from spacy_falconer.llm.prices import Price

PRICES = {"m": Price(input=1.0, output=10.0)}


def pay(ledger, step="s", model="m", n_input=1_000_000, n_output=100_000, content=""):
    ledger.start(step, model)
    ledger.pay(step, model, n_input, n_output, is_estimated=False, content=content)
    ledger.wait(step, 2.0)


def test_a_row_for_each_step_and_the_total():
    ledger = Ledger(prices=PRICES)
    pay(ledger, "plan")
    pay(ledger, "positive")
    pay(ledger, "positive")
    assert [(row.step, row.n_requests, row.cost_usd, row.seconds) for row in [*ledger.rows(), ledger.total]] == [
        ("plan", 1, 2.0, 2.0), ("positive", 2, 4.0, 4.0), ("in total", 3, 6.0, 6.0)
    ]  # fmt: skip


def test_steps_share_a_request_and_the_shares_add_up():
    ledger = Ledger(prices=PRICES)
    content = '{"positive": true, "price": ["twenty-five dollars", "a hundred dollars"], "gift": false}'
    pay(ledger, ["positive", "price", "gift"], n_input=100, n_output=31, content=content)
    rows, total = {row.step: row for row in ledger.rows()}, ledger.total
    assert {row.n_requests for row in rows.values()} == {1} == {total.n_requests}
    assert sum(row.n_input_tokens for row in rows.values()) == total.n_input_tokens == 100
    assert sum(row.n_output_tokens for row in rows.values()) == total.n_output_tokens == 31
    assert sum(row.cost_usd for row in rows.values()) == pytest.approx(total.cost_usd)
    assert rows["price"].n_output_tokens > 20 > 5 > rows["gift"].n_output_tokens > 0
    assert sum(row.seconds for row in rows.values()) == pytest.approx(2.0)


def test_a_share_is_found_wherever_the_step_is_named_in_a_reply():
    ledger = Ledger(prices=PRICES)
    content = '{"price": [{"N": 1, "cheap": true, "for": ["a very long quote of many words"]}]}'
    pay(ledger, ["cheap", "for"], n_output=100, content=content)
    cheap, other = ledger.rows()
    assert other.n_output_tokens > 5 * cheap.n_output_tokens


@pytest.mark.parametrize("content", ["", "no JSON", "[" * 100_000, "3"])
def test_a_reply_that_is_no_json_is_shared_evenly(content):
    ledger = Ledger(prices=PRICES)
    pay(ledger, ["a", "b"], n_output=100, content=content)
    assert [row.n_output_tokens for row in ledger.rows()] == [50, 50]


def test_an_unknown_price_is_said_to_be_unknown():
    ledger = Ledger(prices=PRICES)
    pay(ledger)
    pay(ledger, "other", model="my own")
    assert [row.cost_usd for row in ledger.rows()] == [2.0, None] and ledger.total.cost_usd is None
    assert ledger.total.n_input_tokens == 2_000_000


def test_dollars_run_out():
    ledger = Ledger(max_cost=3.0, prices=PRICES)
    pay(ledger)
    with pytest.raises(
        BudgetError, match=r"--max-cost is reached: \$2.0000 of \$3.0000.*would exceed it. Every.*Run again"
    ):
        ledger.check("m")
    ledger.max_cost = 4.0
    ledger.check("m")


def test_what_is_under_way_counts_with_what_requests_cost_so_far():
    ledger = Ledger(max_cost=7.0, prices=PRICES)
    with ledger.send("s", "m"), ledger.send("s", "m"):
        ledger.pay("s", "m", 1_000_000, 100_000, is_estimated=False)
    with ledger.send("s", "m"), ledger.send("s", "m"):
        with pytest.raises(BudgetError, match=r"2 requests under way cost about \$4.0000. Every"):
            ledger.check("m")
    with pytest.raises(BudgetError, match="price of the model 'other' is unknown"):
        ledger.check("other")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_cost": float("nan")}, "--max-cost is nan; expected US dollars"),
        ({"max_cost": -1.0}, "--max-cost is -1.0; expected US dollars"),
        ({"max_requests": -1}, "--max-requests is -1; expected 0 or more"),
    ],
)
def test_a_limit_that_limits_nothing_is_refused(limits, message):
    with pytest.raises(BudgetError, match=message):
        Ledger(**limits)
