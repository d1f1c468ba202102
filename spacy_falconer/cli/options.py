"""Options that several commands share, each described once, and what is made from them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spacy_falconer.cli.screen import plain_errors
from spacy_falconer.errors import ModelError
from spacy_falconer.llm.ledger import Ledger
from spacy_falconer.llm.prices import VARIABLE, read_prices
from spacy_falconer.workflow.endpoint import Endpoint

if TYPE_CHECKING:
    from spacy_falconer.llm.redact import Redactor
    from spacy_falconer.workflow.choose import Sampling
    from spacy_falconer.workflow.own.annotator import Annotator as Annotating

MAX_IN_FLIGHT, TIMEOUT_S = Endpoint.max_in_flight, Endpoint.timeout_s


def use_gpu(gpu_id: int) -> int:
    """Compute on a GPU from here on, if one is named."""
    if gpu_id >= 0:
        import spacy

        with plain_errors():
            try:
                spacy.require_gpu(gpu_id)
            except Exception as error:  # Also CuPy's own exceptions, depending on what is missing.
                raise ModelError(
                    f"--gpu-id {gpu_id}: {error}. Expected the number of a GPU that CuPy and torch can use, from 0 "
                    "(pip install 'spacy[cuda12x]', or as fits your CUDA), or -1 for the CPU."
                ) from error
    return gpu_id


def use_prices(path: Path | None) -> Path | None:
    """Count dollars by the user's own price file from here on, if one is named."""
    if path is not None:
        os.environ[VARIABLE] = str(path)
        with plain_errors():
            read_prices()
    return path


def parse_path(value: str) -> Path | None:
    """Return a path, or None for a blank value, as from a project's variables."""
    return Path(value) if value.strip() else None


def parse_file(value: str) -> Path | None:
    """As `parse_path`, for a file that must exist."""
    path = parse_path(value)
    if path is not None and not path.is_file():
        raise typer.BadParameter(f"There is no file {value!r}. Expected one, or nothing.")
    return path


def parse_source(value: str) -> Path:
    """Return the folder of a pipeline, which may be given by an installed one's name, or the path of a training config."""
    from spacy_falconer.pipeline.source import find_installed

    path = Path(value) if Path(value).exists() else find_installed(value)
    if path is None:
        raise typer.BadParameter(
            f"There is no path, and no installed pipeline, {value!r}. Expected a pipeline's folder or name, or a .cfg."
        )
    return path


PIPELINE = typer.Argument(..., help="Folder of a trained pipeline, or the name of an installed one", file_okay=False)
CORPUS = typer.Argument(
    ..., help="Texts: .jsonl, .csv, .tsv, .txt (each also .gz or .zst), .parquet, or a folder of them", exists=True
)
TextField = Annotated[
    list[str], typer.Option("--text-field", help="Column of the text; may be repeated, and several are joined")
]
IdField = Annotated[str, typer.Option("--id-field", help="Column of the text's id")]
Sample = Annotated[int, typer.Option("--sample", "-n", help="How many texts to answer at most", min=1)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no tables, only errors")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random")]
Gpu = Annotated[int, typer.Option("--gpu-id", "-g", help="GPU to compute on; -1: the CPU", callback=use_gpu)]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Training config with an encoder of its own, such as configs/cpu.cfg",
        exists=True, dir_okay=False,
    ),
]  # fmt: skip
Source = Annotated[
    Path | None,
    typer.Option(
        "--source", parser=parse_source, metavar="PATH",
        help="Pipeline to start from, such as an earlier task's: a folder, or the name of an installed one. It keeps its "
        "instructions. By default the pre-trained one. A .cfg file counts as --config",
    ),
]  # fmt: skip
Replay = Annotated[
    Path | None,
    typer.Option(
        "--replay", parser=parse_file, metavar="FILE",
        help="Answers to the source's own instructions, learned again with the new ones",
    ),
]  # fmt: skip
Target = Annotated[
    list[str],
    typer.Option(
        "--target", metavar="TARGET",
        help="What thresholds are chosen for: f1 (the default), precision=0.95 or recall=0.9; KEY:recall=0.9 for one "
        "instruction. Several are separated by commas",
    ),
]  # fmt: skip
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="fp32, bf16, int8, compiled (by OpenVINO), or auto: the fastest here with nearly the same scores",
    ),
]  # fmt: skip
NProcess = Annotated[int, typer.Option("--n-process", help="Processes that read texts", min=1)]
RecordedOnly = Annotated[
    bool, typer.Option("--recorded-only", help="Take only texts that the store answers already, and ask no one")
]

Model = Annotated[
    str | None,
    typer.Option("--model", help="The language model; if named, only its answers in the store count"),
]
PlannerModel = Annotated[
    str | None, typer.Option("--planner-model", help="The language model that plans, if it is another one")
]
MaxInFlight = Annotated[int, typer.Option("--max-in-flight", help="The most requests at a time", min=1)]
RequestsPerMinute = Annotated[int | None, typer.Option("--requests-per-minute", help="The most per minute", min=1)]
TokensPerMinute = Annotated[int | None, typer.Option("--tokens-per-minute", help="The most per minute", min=1)]
Timeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", help="How long to wait for one reply", min=0.001)
]
Batch = Annotated[
    bool,
    typer.Option("--batch/--no-batch", help="Use the provider's Batch API: half the price, replies within a day"),
]
Redact = Annotated[
    str | None,
    typer.Option(
        "--redact", metavar="MODULE:FUNCTION", help="A function of yours that changes texts before they are sent"
    ),
]
Annotator = Annotated[
    str | None,
    typer.Option(
        "--annotator", metavar="MODULE:FUNCTION", help="A function of yours that answers in the language model's place"
    ),
]
Choose = Annotated[
    str, typer.Option("--choose", help="Which texts to answer: random, diverse (spread out) or balanced (rare labels)")
]
Rounds = Annotated[
    int,
    typer.Option(
        "--rounds",
        help="Annotate in this many rounds; each takes texts that the last one's model is unsure about",
        min=1,
    ),
]
FewShot = Annotated[int, typer.Option("--few-shot", help="Earlier answers to show with each text", min=0)]


def parse_dollars(value: str) -> float | None:
    """Return US dollars, or None for a blank value, as from a project's variables."""
    return float(value) if value.strip() else None


def parse_count(value: str) -> int | None:
    return int(value) if value.strip() else None


MaxCost = Annotated[
    float | None,
    typer.Option("--max-cost", parser=parse_dollars, metavar="USD", help="Send nothing more once this is spent"),
]
Prices = Annotated[
    Path | None,
    typer.Option(
        "--prices", parser=parse_path, metavar="FILE", envvar=VARIABLE, callback=use_prices,
        help="A price file of your own, as .json, in place of the list prices that come with the package",
    ),
]  # fmt: skip
MaxRequests = Annotated[
    int | None,
    typer.Option("--max-requests", parser=parse_count, metavar="N", help="Send nothing more after this many requests"),
]


def make_endpoint(
    model: str | None, *, max_cost: float | None = None, max_requests: int | None = None, **settings: Any
) -> Endpoint:
    """Return how the language model is asked. `settings`: Further fields of Endpoint."""
    return Endpoint(model=model or None, ledger=Ledger(max_cost, max_requests), **settings)


def tell_apart(source: Path | None, config: Path | None) -> tuple[Path | None, Path | None]:
    """Return a pipeline to start from and a training config: a source that is a .cfg file counts as the config."""
    return (None, source) if source is not None and source.suffix == ".cfg" else (source, config)


def make_sampling(
    n_texts: int,
    strategy: str,
    n_rounds: int,
    n_shots: int,
    *,
    source: Path | None = None,
    config: Path | None = None,
    **settings: Any,
) -> Sampling:
    """Return which texts are annotated. `settings`: Further fields of Sampling."""
    from spacy_falconer.workflow.choose import Sampling

    source, config = tell_apart(source, config)
    parts = {"source": source, "config": config, **settings}
    return Sampling(n_texts=n_texts, strategy=strategy, n_rounds=n_rounds, n_shots=n_shots, **parts)


def find_redactor(name: str | None) -> Redactor | None:
    from spacy_falconer.llm.redact import load_redactor

    return load_redactor(name) if name else None


def find_annotator(name: str | None) -> Annotating | None:
    from spacy_falconer.llm.function import load_function
    from spacy_falconer.workflow.own.annotator import make_annotator

    return make_annotator(load_function(name, option="--annotator")) if name else None
