"""Connect to a Ray cluster that is already running, or start one on this machine alone."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from spacy_falconer.errors import ModelError


@dataclass(frozen=True)
class Cluster:
    """How many workers there are, and where.

    address: The address of a running cluster ("auto": the one on this machine). None: the address in RAY_ADDRESS, or else
        a cluster of its own, which ends with the run.
    n_workers: The number of workers. None: as many as the cluster has room for when the run begins.
    n_threads: CPUs per worker. On a CPU, one thread per worker gives the highest total speed.
    n_gpus: GPUs per worker; 0.5 lets two workers share one.
    """

    address: str | None = None
    n_workers: int | None = None
    n_threads: int = 1
    n_gpus: float = 0.0


@contextmanager
def open_cluster(cluster: Cluster) -> Iterator[Any]:
    """Connect to Ray. A connection that existed before stays open.

    RAISES (ModelError): Ray is not installed, or there is no cluster at the address.
    """
    ray = load_ray()
    if ray.is_initialized():
        yield ray
        return
    address = cluster.address or os.environ.get("RAY_ADDRESS") or "local"
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **describe_own(cluster, address))
    except (
        Exception
    ) as error:  # Ray raises unspecific exceptions if a machine is too busy to start it within half a minute.
        raise ModelError(
            f"The Ray cluster at {address!r} cannot be reached or started ({str(error)[:300]}). Expected a running one, or a "
            "machine that is not too busy to start one. Start it by `ray start --head`, correct --ray-address or RAY_ADDRESS, "
            "or leave both out to use this machine alone."
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def describe_own(cluster: Cluster, address: str) -> dict[str, Any]:
    """Return the settings of a cluster that is started here, without a dashboard; none if it runs elsewhere."""
    if address != "local":
        return {}
    n_workers = cluster.n_workers or max(1, (os.cpu_count() or 1) // cluster.n_threads)
    return {"num_cpus": n_workers * cluster.n_threads, "include_dashboard": False}


def load_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would otherwise report its use to its makers.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # It warns about what Ray Data itself does.
    try:
        import ray
        import ray.data  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"The engine 'ray' needs Ray Data ({error}). Install it on every machine: pip install 'spacy-falconer[ray]'."
        ) from None
    return ray


def choose_n_workers(cluster: Cluster, resources: dict[str, float]) -> int:
    """Return as many workers as were asked for, else as many as there is room for. Warn if there is too little room.

    resources: The resources of the whole cluster, by Ray's names.
    """
    room = int(resources.get("CPU", 0) // cluster.n_threads)
    if cluster.n_gpus:
        room = min(room, int(resources.get("GPU", 0) / cluster.n_gpus))
    n_workers = cluster.n_workers or max(room, 1)
    if n_workers > room:
        warnings.warn(
            f"The Ray cluster has room for {room} of {n_workers} workers with {cluster.n_threads} CPUs and "
            f"{cluster.n_gpus:g} GPUs each; it has {resources.get('CPU', 0):g} CPUs and {resources.get('GPU', 0):g} GPUs. "
            "The others wait until there are more.",
            stacklevel=2,
        )
    return n_workers
