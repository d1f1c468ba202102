"""Results that are kept a line each, and how they are put in tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any


def read_results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.open(encoding="utf8")] if path.exists() else []


def add_result(path: Path, line: dict[str, Any]) -> None:
    with path.open("a", encoding="utf8") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), file=sys.stderr, flush=True)


def spread(values: Sequence[float]) -> str:
    """Mean and, of several, standard deviation."""
    return "" if not values else f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")
