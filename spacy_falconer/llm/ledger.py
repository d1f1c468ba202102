"""What was sent and what it cost, and the most that may be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

from spacy_falconer.errors import BudgetError

PER_TOKENS = 1_000_000
SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
TOTAL = "total"


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens."""

    input: float
    output: float

    def cost_usd(self, n_input_tokens: float, n_output_tokens: float) -> float:
        return (self.input * n_input_tokens + self.output * n_output_tokens) / PER_TOKENS


@dataclass(frozen=True)
class LedgerRow:
    """What one step took.

    n_requests: All that were sent, those that failed too.
    cost_usd: None where a model's price is unknown.
    seconds: Of all its requests together, also where they ran side by side.
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
class Ledger:
    """Counts the requests of one event loop.

    max_cost (float): US dollars. Requests under way when it is reached are still paid.
    max_requests (int): Of those sent, those that fail too. It is never exceeded.
    prices: By model name; by default those of prices.json.
    """

    max_cost: float | None = None
    max_requests: int | None = None
    prices: Mapping[str, Price] | None = None
    _rows: dict[str, LedgerRow] = field(default_factory=dict, repr=False)

    def rows(self) -> list[LedgerRow]:
        """A row a step, in the order in which they began."""
        return list(self._rows.values())

    @property
    def total(self) -> LedgerRow:
        total = LedgerRow(TOTAL)
        for row in self._rows.values():
            total = _add(total, row)
        return total

    def start(self, step: str, model: str) -> None:
        """Count a request that is about to be sent.

        RAISES (BudgetError): It may not be sent.
        """
        self.check(model)
        self._count(LedgerRow(step, n_requests=1))

    def pay(self, step: str, model: str, n_input_tokens: int, n_output_tokens: int, *, is_estimated: bool) -> None:
        """Count the tokens of a reply."""
        price = self.price_of(model)
        cost_usd = price.cost_usd(n_input_tokens, n_output_tokens) if price else None
        self._count(LedgerRow(step, 0, n_input_tokens, n_output_tokens, cost_usd, 0.0, is_estimated))

    def wait(self, step: str, seconds: float) -> None:
        """Count the time that a request took, whatever came of it."""
        self._count(LedgerRow(step, seconds=seconds))

    def check(self, model: str) -> None:
        """Refuse another request where the most is reached, or where nobody could tell."""
        total = self.total
        if self.max_requests is not None and total.n_requests >= self.max_requests:
            raise BudgetError(
                f"--max-requests is reached: {total.n_requests} of {self.max_requests} requests were sent. {_RESUME}"
            )
        if self.max_cost is None:
            return
        if self.price_of(model) is None:
            raise BudgetError(
                f"--max-cost {self.max_cost} cannot be kept: the price of the model {model!r} is unknown. Add it to "
                f"{prices_path()}, or use --max-requests."
            )
        if (total.cost_usd or 0) >= self.max_cost:
            raise BudgetError(
                f"--max-cost is reached: ${total.cost_usd:.4f} of ${self.max_cost:.4f} are spent. {_RESUME}"
            )

    def price_of(self, model: str) -> Price | None:
        return find_price(model, self.prices)

    def _count(self, row: LedgerRow) -> None:
        self._rows[row.step] = _add(self._rows.get(row.step, LedgerRow(row.step)), row)


_RESUME = "Every answer so far is kept in the store. Raise the limit and run again; only what is missing is asked."


def find_price(model: str, prices: Mapping[str, Price] | None = None) -> Price | None:
    """The price of a model, or of the one that it is a dated snapshot of; None where it is unknown."""
    known = read_prices() if prices is None else prices
    return known.get(model) or known.get(SNAPSHOT.sub("", model))


@cache
def read_prices() -> dict[str, Price]:
    """The prices in prices.json, by model name."""
    return {model: Price(**price) for model, price in _read_file()["models"].items()}


def prices_date() -> str:
    return _read_file()["date"]


def default_model() -> str:
    """The language model that is asked where none is named."""
    return _read_file()["default_model"]


def prices_path() -> str:
    return str(files(__package__) / "prices.json")


def _read_file() -> dict[str, Any]:
    return json.loads((files(__package__) / "prices.json").read_text(encoding="utf8"))


def _add(one: LedgerRow, other: LedgerRow) -> LedgerRow:
    is_known = one.cost_usd is not None and other.cost_usd is not None
    return replace(
        one,
        n_requests=one.n_requests + other.n_requests,
        n_input_tokens=one.n_input_tokens + other.n_input_tokens,
        n_output_tokens=one.n_output_tokens + other.n_output_tokens,
        cost_usd=one.cost_usd + other.cost_usd if is_known else None,
        seconds=one.seconds + other.seconds,
        is_estimated=one.is_estimated or other.is_estimated,
    )
