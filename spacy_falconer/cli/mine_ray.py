"""The part of the `mine` command for many machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spacy_falconer.cli.screen import mining
from spacy_falconer.errors import CorpusError, FalconerError

Engine = Annotated[str, typer.Option("--engine", metavar="local|ray", help="This machine, or a Ray cluster")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", help="With ray, how many workers; by default as many as there is room for", min=1),
]
WorkerCpus = Annotated[int, typer.Option("--worker-cpus", help="With ray, CPUs per worker", min=1)]
WorkerGpus = Annotated[float, typer.Option("--worker-gpus", help="With ray, GPUs per worker, such as 1 or 0.5", min=0)]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        help="Address of a running cluster, 'auto' for the one on this machine; by default RAY_ADDRESS, or a new cluster",
    ),
]

OPTIONS = {
    "address": "--ray-address", "n_workers": "--workers", "n_threads": "--worker-cpus", "n_gpus": "--worker-gpus"
}  # fmt: skip
WORKER_CPUS, WORKER_GPUS = 1, 0.0
DEFAULTS = {"address": None, "n_workers": None, "n_threads": WORKER_CPUS, "n_gpus": WORKER_GPUS}
REMEDIES = {
    "since": "It keeps no record of what it has read. Leave --since out, and mine all files, or only new ones.",
    "guarantee": "Deciding who answers which text takes all texts. Leave --guarantee out, or mine on one machine.",
    "n_process": "Its processes are workers. Leave --n-process out, and use --workers.",
}


def parse_corpus(value: str) -> Path:
    """Return a path that exists, or an address, which the engine will check."""
    path = parse_output(value)
    if "://" not in value and not path.exists():
        raise typer.BadParameter(f"Path '{value}' does not exist.")
    return path


def parse_output(value: str) -> Path:
    from spacy_falconer.workflow.cluster.files import find_path

    if "://" not in value:
        return Path(value)
    try:
        return find_path(value)
    except FalconerError as error:
        raise typer.BadParameter(str(error)) from None


def is_on_ray(engine: str, corpus: Path, output: Path, *, cluster: dict[str, Any], **others: Any) -> bool:
    """Return whether a cluster is asked for.

    cluster: The options of a cluster, by the names of `Cluster`.
    others: Options that a cluster does not support, by name: what was given, and the default.
    RAISES (CorpusError): There is no such engine, or it does not support an option.
    """
    if engine not in ("local", "ray"):
        raise CorpusError(f"There is no engine {engine!r}. Expected 'local' or 'ray'. Correct --engine.")
    if engine == "local":
        if address := next((str(path) for path in (corpus, output) if not isinstance(path, Path)), None):
            raise CorpusError(
                f"{address!r} is an address, but one machine reads and writes local files. Expected a path. Name one, or use "
                "--engine ray."
            )
        if said := [option for name, option in OPTIONS.items() if cluster[name] != DEFAULTS[name]]:
            raise CorpusError(
                f"{said[0]} is for a cluster, but the engine is 'local'. Add --engine ray, or leave it out."
            )
        return False
    for name, (given, default) in others.items():
        if given != default:
            option = f"--{name.replace('_', '-')}"
            raise CorpusError(f"--engine ray does not support {option}, given as {str(given)!r}. {REMEDIES[name]}")
    return True


def mine_by_ray(nlp: Any, records: Any, output: Path, *, quiet: bool, cluster: dict[str, Any], **settings: Any) -> Any:
    """Mine on a cluster, and show the progress. RETURNS: A MineReport."""
    from spacy_falconer.workflow.cluster.cluster import Cluster
    from spacy_falconer.workflow.cluster.mine import count_done, mine_on_ray

    n_done = 0 if settings["fresh"] else count_done(output)
    with mining(records.path, n_done, quiet=quiet) as tick:
        return mine_on_ray(nlp, records, output, cluster=Cluster(**cluster), tick=tick, **settings)
