"""Which texts to annotate."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def choose_random(items: Iterable[T], n: int, *, seed: int) -> list[T]:
    """A uniform sample of at most `n`, in one pass and in the order of the corpus. Source: Vitter 1985, algorithm R."""
    rng = random.Random(seed)
    kept: list[tuple[int, T]] = []
    for i, item in enumerate(items):
        if len(kept) < n:
            kept.append((i, item))
        elif (place := rng.randint(0, i)) < n:
            kept[place] = (i, item)
    return [item for _, item in sorted(kept, key=lambda pair: pair[0])]
