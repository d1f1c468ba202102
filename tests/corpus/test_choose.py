from __future__ import annotations

from collections import Counter

import pytest

from spacy_falconer.corpus.choose import choose_random
from spacy_falconer.types import Record


def make_records(n):
    return (Record(str(i), f"text {i}") for i in range(n))


@pytest.mark.parametrize(("n_records", "n", "n_chosen"), [(100, 10, 10), (5, 10, 5), (5, 5, 5), (0, 3, 0), (5, 0, 0)])
def test_no_more_than_there_are(n_records, n, n_chosen):
    chosen = choose_random(make_records(n_records), n, seed=0)
    assert len({record.id for record in chosen}) == len(chosen) == n_chosen


def test_the_order_of_the_corpus_is_kept():
    ids = [int(record.id) for record in choose_random(make_records(1000), 50, seed=1)]
    assert ids == sorted(ids)


def test_the_seed_decides():
    first, same, other = (choose_random(make_records(1000), 50, seed=seed) for seed in (1, 1, 2))
    assert first == same != other


def test_every_record_is_as_likely():
    counts = Counter(record.id for seed in range(2000) for record in choose_random(make_records(10), 3, seed=seed))
    assert all(500 < counts[str(i)] < 700 for i in range(10))  # 600 expected, standard deviation 20
