from __future__ import annotations

from pathlib import Path

import typer

from spacy_falconer.cli.screen import msg, plain_errors, say


def pretrain_cli(
    # fmt: off
    data: Path = typer.Argument(..., help="Folder of data sets, with its CATALOG.md", exists=True, file_okay=False),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for the checkpoints and the log"),
    own: Path | None = typer.Option(None, "--own", help="Folder with types.jsonl.gz and corpora.jsonl.gz", exists=True),
    corpora: Path | None = typer.Option(None, "--corpora", help="Folder of texts never to train on", exists=True),
    encoder: str = typer.Option("sentence-transformers/all-MiniLM-L6-v2", "--encoder", help="Its name or folder"),
    start: Path | None = typer.Option(
        None, "--start", help="A checkpoint of an earlier run to start from", exists=True
    ),
    minutes: float = typer.Option(100.0, "--minutes", help="How long to train", min=0.01),
    max_steps: int | None = typer.Option(None, "--max-steps", help="How many steps, in place of minutes", min=1),
    seed: int = typer.Option(0, "--seed", help="Seed of everything random"),
    n_threads: int = typer.Option(2, "--n-threads", help="Threads of the processor", min=1),
    n_workers: int = typer.Option(
        0, "--n-workers", help="Further processes that make batches; for a GPU, most cores", min=0
    ),
    device: str = typer.Option("cpu", "--device", help="cpu, or cuda"),
    max_texts: int = typer.Option(24, "--max-texts", help="The most texts in a batch; a GPU needs some hundred", min=1),
    encoder_rate: float = typer.Option(1e-4, "--encoder-rate", help="Highest learning rate of the encoder"),
    head_rate: float = typer.Option(1e-3, "--head-rate", help="Highest learning rate of the heads"),
    encoder_dropout: float = typer.Option(
        0.0, "--encoder-dropout", help="Dropout in the encoder; 0.1 for runs of several hundred thousand texts"
    ),
    cap: int = typer.Option(5000, "--cap", help="The most texts of one data set", min=1),
    drift_weight: float = typer.Option(
        1.0, "--drift-weight", help="How firmly mean vectors are kept near the encoder's"
    ),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Print nothing"),
    # fmt: on
):
    """Pre-train an encoder and both heads on public data, or go on where an earlier call stopped.

    Example: falconer pretrain data --own pretraining/data --output run
    """
    from spacy_falconer.metamodel.encoder import find_encoder
    from spacy_falconer.metamodel.pretrain.loop import pretrain
    from spacy_falconer.metamodel.pretrain.settings import PretrainSettings

    with plain_errors():
        settings = PretrainSettings(
            data=data, corpora=corpora, output=output, encoder=find_encoder(encoder), own=own, start=start,
            minutes=minutes, max_steps=max_steps, seed=seed, n_threads=n_threads, n_workers=n_workers, device=device,
            max_texts=max_texts, encoder_rate=encoder_rate, head_rate=head_rate, encoder_dropout=encoder_dropout, cap=cap,
            drift_weight=drift_weight,
        )  # fmt: skip
        last = pretrain(settings, show=(lambda line: None) if quiet else print_line)
    if not quiet:
        msg.good(f"Checkpoints: {last}, and beside it `best`, the one with the best zero-shot scores")


def print_line(values: dict) -> None:
    say("  ".join(f"{name} {value}" for name, value in values.items()))


def ship_cli(
    # fmt: off
    checkpoints: list[Path] = typer.Argument(
        ..., help="Folders that pretrain wrote; the weights of several are averaged", exists=True, file_okay=False
    ),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for the pipeline"),
    meta: Path = typer.Option(..., "--meta", help="The content of its meta.json, as JSON", exists=True, dir_okay=False),
    # fmt: on
):
    """Turn checkpoints into an ordinary spaCy pipeline, its weights in half precision.

    Example: falconer ship run/best --meta pretraining/meta.json --output assets/en_falconer_sm
    """
    import srsly

    from spacy_falconer.workflow.ship import ship

    with plain_errors():
        ship(checkpoints, output, meta=srsly.read_json(meta))
    msg.good(f"Pipeline: {output}")
