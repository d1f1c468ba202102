"""Count what was sent and what it cost, and enforce limits on both."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

from spacy_falconer.errors import BudgetError
from spacy_falconer.llm.prices import REMEDY, Price, find_price, read_prices

N_REPLY = 50  # Tokens of a reply, until there is one.
TOTAL = "in total"  # No step has this name.


@dataclass(frozen=True)
class LedgerRow:
    """What one step took, or its share if several were asked in one request.

    n_requests: All requests sent for it, including those that failed.
    cost_usd: None if a model's price is unknown.
    seconds: The sum over all its requests, even if they ran at the same time.
    is_estimated: The server did not count the tokens of some reply.
    """

    step: str
    n_requests: int = 0
    n_input_tokens: int = 0
    n_output_tokens: int = 0
    cost_usd: float | None = 0.0
    seconds: float = 0.0
    is_estimated: bool = False


@dataclass
class Traffic:
    """The requests to one model: how many are under way, how many are paid for, and what these cost.

    guess_usd (float): What one will cost, as long as none is paid for.
    """

    n_under_way: int = 0
    n_paid: int = 0
    cost_usd: float = 0.0
    guess_usd: float = 0.0

    def expect_usd(self, n_more: int = 0) -> float:
        """Return what the requests under way and so many more will cost if they are like those before."""
        return (self.n_under_way + n_more) * (self.cost_usd / self.n_paid if self.n_paid else self.guess_usd)

    def pay(self, cost_usd: float) -> None:
        self.n_paid += 1
        self.cost_usd += cost_usd


Steps = str | Sequence[str]


@dataclass
class Ledger:
    """Counts the requests of one event loop.

    If several steps are asked in one request, each of them counts it. They share the input tokens evenly, and the output
    tokens by the length of each one's answer. So the rows may have more requests than the total; all else adds up to it.

    max_cost (float): US dollars. What requests under way will probably cost counts, too; so it is exceeded only if they
        cost more than those before them or, before there is a reply to judge by, more than `N_REPLY` tokens beyond their own.
    max_requests (int): The most requests to send, including those that fail. It is never exceeded.
    prices: By model name; by default those that `read_prices` finds now.
    watch: Called with the step, or steps, and the model of a request that is about to be sent.
    RAISES (BudgetError): A limit is negative, or is NaN, which would never be reached.
    RAISES (FalconerError): The price file that is named is not one.
    """

    max_cost: float | None = None
    max_requests: int | None = None
    prices: Mapping[str, Price] = field(default_factory=read_prices, repr=False)
    watch: Callable[[Steps, str], Any] = field(default=lambda step, model: None, repr=False, compare=False)
    _traffic: defaultdict[str, Traffic] = field(default_factory=lambda: defaultdict(Traffic), repr=False)
    _rows: dict[str, LedgerRow] = field(default_factory=lambda: {TOTAL: LedgerRow(TOTAL)}, repr=False)

    def __post_init__(self) -> None:
        if self.max_cost is not None and not self.max_cost >= 0:
            raise BudgetError(f"--max-cost is {self.max_cost}; expected US dollars, such as 2.50. Correct it.")
        if self.max_requests is not None and self.max_requests < 0:
            raise BudgetError(f"--max-requests is {self.max_requests}; expected 0 or more. Correct it.")

    def rows(self) -> list[LedgerRow]:
        """Return one row per step, in the order in which the steps began."""
        return [row for row in self._rows.values() if row.step != TOTAL]

    @property
    def total(self) -> LedgerRow:
        return self._rows[TOTAL]

    def start(self, step: Steps, model: str) -> None:
        """Count a request that is about to be sent, whether it may or not."""
        for name in [TOTAL, *_list_steps(step)]:
            self._add(LedgerRow(name, n_requests=1))
        self.watch(step, model)

    @contextmanager
    def send(self, step: Steps, model: str, n_input_tokens: int = 0) -> Iterator[None]:
        """Count a request while it is under way, and the time that it took, whatever its outcome.

        n_input_tokens (int): How many it probably has.
        RAISES (BudgetError): It may not be sent.
        """
        if (price := self.price_of(model)) is not None:
            self._traffic[model].guess_usd = price.cost_usd(n_input_tokens, N_REPLY)
        self.check(model)
        self.start(step, model)
        sent_at = time.monotonic()
        self._traffic[model].n_under_way += 1
        try:
            yield
        finally:
            self._traffic[model].n_under_way -= 1
            self.wait(step, time.monotonic() - sent_at)

    def pay(
        self,
        step: Steps,
        model: str,
        n_input_tokens: int,
        n_output_tokens: int,
        *,
        is_estimated: bool,
        content: str = "",
        price_share: float = 1.0,
    ) -> None:
        """Count the tokens of a reply, shared by its steps according to `content`. `price_share`: of the usual price."""
        steps = _list_steps(step)
        n_inputs = _share(n_input_tokens, [1] * len(steps))
        n_outputs = _share(n_output_tokens, weigh_steps(content, steps))
        shares, price = zip(steps, n_inputs, n_outputs, strict=True), self.price_of(model)
        if price is not None:
            self._traffic[model].pay(price_share * price.cost_usd(n_input_tokens, n_output_tokens))
        for name, n_input, n_output in [(TOTAL, n_input_tokens, n_output_tokens), *shares]:
            cost_usd = price_share * price.cost_usd(n_input, n_output) if price else None
            self._add(LedgerRow(name, 0, n_input, n_output, cost_usd, 0.0, is_estimated))

    def wait(self, step: Steps, seconds: float) -> None:
        """Count the time that a request took, whatever its outcome."""
        steps = _list_steps(step)
        self._add(LedgerRow(TOTAL, seconds=seconds))
        for name in steps:
            self._add(LedgerRow(name, seconds=seconds / len(steps)))

    def check(self, model: str) -> None:
        """Raise an error if a limit is reached, or if costs are limited and the model's price is unknown."""
        total = self.total
        if self.max_requests is not None and total.n_requests >= self.max_requests:
            raise BudgetError(
                f"--max-requests is reached: {total.n_requests} of {self.max_requests} requests were sent. {_RESUME}"
            )
        if self.max_cost is None:
            return
        if self.price_of(model) is None:
            raise BudgetError(
                f"--max-cost {self.max_cost} cannot be kept: the price of the model {model!r} is unknown. {REMEDY}; or "
                "use --max-requests."
            )
        self._check_cost(total.cost_usd or 0, self._traffic[model])

    def _check_cost(self, spent: float, traffic: Traffic) -> None:
        if spent < self.max_cost and spent + traffic.expect_usd(1) <= self.max_cost:
            return
        rest = f" The {traffic.n_under_way} requests under way cost about ${traffic.expect_usd():.4f}."
        raise BudgetError(
            f"--max-cost is reached: ${spent:.4f} of ${self.max_cost:.4f} are spent, and another request would exceed it."
            f"{rest if traffic.n_under_way else ''} {_RESUME}"
        )

    def price_of(self, model: str) -> Price | None:
        return find_price(model, self.prices)

    def _add(self, row: LedgerRow) -> None:
        self._rows[row.step] = _add(self._rows.get(row.step, LedgerRow(row.step)), row)


_RESUME = (
    "Every answer so far is kept in the store. Run again to go on, or with a higher limit to get further: a limit holds for "
    "one run, and only what is missing is asked."
)


def weigh_steps(content: str, steps: Sequence[str]) -> list[int]:
    """Return how long a reply is about each step: the length of all JSON under the step's name, at least 1."""
    if len(steps) == 1:
        return [1]
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return [1] * len(steps)
    return [1 + _measure(data, step) for step in steps]


def _measure(data: Any, name: str) -> int:
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    own = len(json.dumps(data[name])) if isinstance(data, dict) and name in data else 0
    return own + sum(_measure(one, name) for one in inner)


def _share(amount: int, weights: Sequence[int]) -> list[int]:
    """Split an amount by weight into whole numbers that add up to it."""
    edges = [round(amount * edge / sum(weights)) for edge in accumulate(weights, initial=0)]
    return [end - start for start, end in pairwise(edges)]


def _list_steps(step: Steps) -> list[str]:
    return [step] if isinstance(step, str) else list(step)


def _add(one: LedgerRow, other: LedgerRow) -> LedgerRow:
    is_known = one.cost_usd is not None and other.cost_usd is not None
    return LedgerRow(
        one.step,
        one.n_requests + other.n_requests,
        one.n_input_tokens + other.n_input_tokens,
        one.n_output_tokens + other.n_output_tokens,
        one.cost_usd + other.cost_usd if is_known else None,
        one.seconds + other.seconds,
        one.is_estimated or other.is_estimated,
    )
