"""Pools of groups to train on, made into batches of similar length, by worker processes if wanted."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset

from spacy_falconer.metamodel.pretrain.collate import Batch, batch_groups, collate
from spacy_falconer.metamodel.pretrain.draw import draw_groups
from spacy_falconer.metamodel.pretrain.mix import Mix
from spacy_falconer.metamodel.pretrain.read import TextReader
from spacy_falconer.metamodel.pretrain.settings import PretrainSettings


@dataclass(frozen=True)
class Pools(Dataset):
    """Every pool by its number, independent of those before it."""

    mix: Mix
    reader: TextReader
    settings: PretrainSettings

    def __getitem__(self, number: int) -> list[Batch]:
        """A pool's batches, in an order that its number decides."""
        settings = self.settings
        groups = draw_groups(self.mix, seed=settings.seed, start=number * settings.pool, count=settings.pool)
        sizes = {"max_texts": settings.max_texts, "max_pieces": settings.max_pieces}
        batches = list(batch_groups(groups, self.reader, **sizes))
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + number)
        return [collate(batches[i], self.reader) for i in torch.randperm(len(batches), generator=generator).tolist()]


def iterate_pools(pools: Pools, start: int) -> Iterator[list[Batch]]:
    """Yield the pools from number `start` on, without end."""
    n_workers = pools.settings.n_workers
    if not n_workers:
        yield from (pools[number] for number in range(start, sys.maxsize))
        return
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # Its threads do not survive a fork.
    packed = DataLoader(  # As bytes: thousands of small tensors take far longer from one process to another.
        pools, batch_size=None, collate_fn=pickle.dumps, sampler=range(start, sys.maxsize), num_workers=n_workers,
        prefetch_factor=4, multiprocessing_context="fork", generator=torch.Generator(),
    )  # fmt: skip
    yield from map(pickle.loads, packed)
