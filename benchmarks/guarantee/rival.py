"""BARGAIN 0.1.3 (PyPI, MIT), its precision-and-recall mode, on the same corpora."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from benchmarks.guarantee.worlds import World

VERSION = "0.1.3"


def load_rival(folder: Path | None) -> Any | None:
    """The package's module, from the environment or from a folder that it was installed to; None where it is not there.

    Only its own clients need `openai` and `pandas`: where these are missing, they are taken to be empty.
    """
    if folder is not None:
        sys.path.append(str(folder))
    for name in ("pandas", "openai"):
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = types.ModuleType(name)
    try:
        found = importlib.import_module("BARGAIN")
    except ImportError:
        return None
    if found.__version__ != VERSION:
        raise SystemExit(f"BARGAIN is {found.__version__!r}; the comparison is with {VERSION!r}. Install that.")
    return found


def run_rival(rival: Any, world: World, *, target: float, delta: float, seed: int) -> tuple[int, float, float]:
    """How many texts it has the language model read, and the precision and recall of what it says is true."""
    is_true = (world.question.n_said - world.truth.false[0] + world.truth.missed[0]) > 0
    proxy, oracle = make_models(rival, world.scores, is_true)
    process = rival.BARGAIN_PR(proxy, oracle, delta=delta, target=target, verbose=False, seed=seed)
    said = numpy.zeros(len(is_true), dtype=bool)
    said[numpy.array(process.process([str(number) for number in range(len(is_true))]), dtype=int)] = True
    n_right = int((said & is_true).sum())
    return oracle.get_number_preds(), n_right / said.sum() if said.any() else 1.0, n_right / max(int(is_true.sum()), 1)


def make_models(rival: Any, scores: NDArray[numpy.float64], is_true: NDArray[numpy.bool_]) -> tuple[Any, Any]:
    """Its two interfaces over numbers that are known: what they return is what its own threads would gather."""

    class Proxy(rival.Proxy):
        def get_preds_and_scores(self, indxs, data_records):
            return numpy.ones(len(indxs), dtype=int), scores[numpy.array(indxs, dtype=int)]

    class Oracle(rival.Oracle):
        def get_pred(self, data_records, indxs=None):
            self.preds_dict.update(dict.fromkeys(numpy.array(indxs).tolist(), True))
            return is_true[numpy.array(indxs, dtype=int)].astype(int)

    return Proxy(verbose=False), Oracle(verbose=False)
