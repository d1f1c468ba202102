"""The prices of language models: the list prices that come with the package, or those in a user's own file."""

from __future__ import annotations

import json
import math
import os
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from spacy_falconer.errors import FalconerError

VARIABLE = "FALCONER_PRICES"  # The environment variable that names the user's own price file; --prices sets it.
EXAMPLE = '{"models": {"my-model": {"input": 0.40, "output": 1.60}}}'
REMEDY = f"Name a file that has it with --prices or {VARIABLE}, such as {EXAMPLE} (US dollars per million tokens)"
PER_TOKENS = 1_000_000
SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens."""

    input: float
    output: float

    def cost_usd(self, n_input_tokens: float, n_output_tokens: float) -> float:
        return (self.input * n_input_tokens + self.output * n_output_tokens) / PER_TOKENS


def find_price(model: str, prices: Mapping[str, Price] | None = None) -> Price | None:
    """Return the price of a model, or of the model that it is a dated snapshot of; None if it is unknown."""
    known = read_prices() if prices is None else prices
    return known.get(model) or known.get(SNAPSHOT.sub("", model))


def read_prices() -> dict[str, Price]:
    """Return prices by model name: only those of the file that FALCONER_PRICES names, or else the package's.

    RAISES (FalconerError): The file is not a price file.
    """
    return {model: Price(**price) for model, price in _read_file(prices_path())["models"].items()}


def prices_date() -> str:
    """Return the date that the price file names; empty if it names none."""
    return str(_read_file(prices_path()).get("date", ""))


def prices_origin() -> str:
    """Say where the prices come from, and of which date they are if the file names one."""
    date = prices_date()
    return f"of {date}, from {prices_path()}" if date else f"from {prices_path()}"


def prices_path() -> Path:
    own = os.environ.get(VARIABLE)
    return Path(own) if own else _find_packaged()


def default_model() -> str:
    """Return the language model to ask if none is named: the package's, whatever price file is named."""
    return _read_file(_find_packaged())["default_model"]


def _find_packaged() -> Path:
    return Path(str(files(__package__) / "prices.json"))


def _read_file(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise _make_error(path, f"it cannot be read ({error})") from error
    _check(data, path)
    return data


def _check(data: Any, path: Path) -> None:
    models = data.get("models") if isinstance(data, Mapping) else None
    if not isinstance(models, Mapping) or not models:
        raise _make_error(
            path, f'it has no models by name under "models", but {reprlib.repr(data if models is None else models)}'
        )
    for model, price in models.items():
        if not _is_price(price):
            raise _make_error(path, f"the model {reprlib.repr(model)} has {reprlib.repr(price)}")


def _is_price(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and value.keys() == {"input", "output"}
        and all(isinstance(one, int | float) and not isinstance(one, bool) for one in value.values())
        and all(0 <= one < math.inf for one in value.values())
    )


def _make_error(path: Path, flaw: str) -> FalconerError:
    return FalconerError(
        f"The price file {str(path)!r} cannot be used: {flaw}. Expected US dollars per million input and output tokens "
        f"for each model, such as {EXAMPLE}. Correct the file, or its name."
    )
