"""Which texts to annotate."""

from __future__ import annotations

import random
from collections.abc import Iterable

from spacy_falconer.types import Record


def choose_random(records: Iterable[Record], n: int, *, seed: int) -> list[Record]:
    """A uniform sample of at most `n`, in one pass and in the order of the corpus. Source: Vitter 1985, algorithm R."""
    rng = random.Random(seed)
    kept: list[tuple[int, Record]] = []
    for i, record in enumerate(records):
        if len(kept) < n:
            kept.append((i, record))
        elif (place := rng.randint(0, i)) < n:
            kept[place] = (i, record)
    return [record for _, record in sorted(kept, key=lambda pair: pair[0])]
