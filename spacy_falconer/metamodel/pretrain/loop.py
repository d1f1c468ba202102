"""Pre-training: a plain torch loop with a time budget, a log and checkpoints, which can be resumed after a stop."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
import torch
from torch import Tensor

from spacy_falconer.metamodel.device import leave_out_cudnn_attention
from spacy_falconer.metamodel.pretrain import checkpoint as files
from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain.collate import Batch
from spacy_falconer.metamodel.pretrain.mix import read_mix
from spacy_falconer.metamodel.pretrain.model import Metamodel, compute_losses
from spacy_falconer.metamodel.pretrain.pools import Pools, iterate_pools
from spacy_falconer.metamodel.pretrain.read import TextReader
from spacy_falconer.metamodel.pretrain.score import HeldOut, read_held_out, score_model
from spacy_falconer.metamodel.pretrain.settings import PretrainSettings, check_same

LAST, BEST, LOG = "last", "best", "log.jsonl"
Show = Callable[[dict[str, float]], None]
Build = Callable[[PretrainSettings], tuple[Metamodel, Any]]


@dataclass
class Progress:
    """How far a run is: steps, pools, texts and seconds of training so far, and the best held-out mean."""

    step: int = 0
    pool: int = 0
    n_texts: int = 0
    seconds: float = 0.0
    best: float = -1.0

    def share(self, settings: PretrainSettings) -> float:
        """Return how much of the budget is used, 0 to 1."""
        done = self.step / settings.max_steps if settings.max_steps else self.seconds / (60 * settings.minutes)
        return min(1.0, done)


@dataclass(frozen=True)
class Trainer:
    """What a run needs from its start to its end."""

    settings: PretrainSettings
    model: Metamodel
    reader: TextReader
    optimizer: torch.optim.Optimizer
    progress: Progress
    held_out: list[HeldOut]
    show: Show
    teacher: Metamodel | None = None


def pretrain(
    settings: PretrainSettings,
    *,
    clock: Callable[[], float] = time.monotonic,
    show: Show = lambda line: None,
    build: Build | None = None,
) -> Path:
    """Train an encoder and both heads on the data sets, or go on with the run in `settings.output`.

    show: Called with each line of the log.
    build: Returns the model and its tokenizer, in place of those that the settings name.

    RETURNS (Path): The folder of the last checkpoint; the best by held-out mean is beside it, in `best`.
    """
    torch.set_num_threads(settings.n_threads)
    torch.manual_seed(settings.seed)
    leave_out_cudnn_attention()
    settings.output.mkdir(parents=True, exist_ok=True)
    trainer = start_trainer(settings, show, build or start_model)
    chosen = {key: getattr(settings, key) for key in ("cap", "seed", "max_characters", "leave_out", "recurring")}
    mix = read_mix(settings.data, settings.corpora, settings.own, **chosen)
    run(trainer, Pools(mix, trainer.reader, settings), clock)
    return settings.output / LAST


def start_trainer(settings: PretrainSettings, show: Show, build: Build) -> Trainer:
    """Start a fresh run, or resume the one that was stopped."""
    last = settings.output / LAST
    resumed = files.find_checkpoint(last)
    if resumed:
        model, tokenizer, recorded = files.read_checkpoint(last, attention=settings.attention)
        check_same(settings, recorded, settings.output)
    else:
        model, tokenizer = build(settings)
    model.encoder.get_input_embeddings().requires_grad_(not settings.freeze_words)
    model.to(settings.device).train()
    teacher = read_teacher(settings)  # Before the random state is restored, because it draws random numbers.
    optimizer, progress = make_optimizer(model, settings), Progress()
    if resumed:
        state = files.read_trainer(last)
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        if settings.device != "cpu":
            torch.cuda.set_rng_state_all(state["gpu_rng"])
        progress = Progress(**state["progress"])
    names = (*sets.HELD_OUT_SPANS, *sets.HELD_OUT_LABELS) if settings.n_score_texts else ()
    held_out = read_held_out(settings.data, names, split="dev", n_texts=settings.n_score_texts, seed=0)
    reader = TextReader(spacy.blank("en"), tokenizer)
    return Trainer(settings, model, reader, optimizer, progress, held_out, show, teacher)


def start_model(settings: PretrainSettings) -> tuple[Metamodel, Any]:
    """Return an encoder with fresh heads, or the model of an earlier run."""
    if settings.start is not None:
        chosen = {"attention": settings.attention, "encoder_dropout": settings.encoder_dropout}
        model, tokenizer, _ = files.read_checkpoint(settings.start, **chosen)
        return model, tokenizer
    sizes = {key: getattr(settings, key) for key in ("hidden_width", "dropout", "encoder_dropout")}
    return files.read_model(settings.encoder, **sizes, attention=settings.attention)


def read_teacher(settings: PretrainSettings) -> Metamodel | None:
    """Return the encoder before any training, from which the mean vectors should not drift; None if they may."""
    if not settings.drift_weight:
        return None
    teacher, _ = files.read_model(settings.encoder, hidden_width=1, dropout=0.0, attention=settings.attention)
    return teacher.to(settings.device).eval().requires_grad_(False)


def make_optimizer(model: Metamodel, settings: PretrainSettings) -> torch.optim.Optimizer:
    heads = [*model.label.parameters(), *model.span.parameters()]
    groups = [
        {
            "params": [weights for weights in model.encoder.parameters() if weights.requires_grad],
            "base": settings.encoder_rate,
        },
        {"params": heads, "base": settings.head_rate},
    ]
    return torch.optim.AdamW(groups, lr=0.0, weight_decay=settings.weight_decay, fused=True)


def run(trainer: Trainer, pools: Pools, clock: Callable[[], float]) -> None:
    """Train pool after pool until the budget is used up. A run is saved, and resumed, between two pools."""
    settings, progress = trainer.settings, trainer.progress
    written = scored = progress.seconds
    coming = iterate_pools(pools, progress.pool)
    while progress.share(settings) < 1:
        train_pool(trainer, coming, clock)
        if progress.seconds - scored >= 60 * settings.minutes_per_score or progress.share(settings) >= 1:
            score_and_keep(trainer)
            scored = progress.seconds
        if progress.seconds - written >= 60 * settings.minutes_per_checkpoint or progress.share(settings) >= 1:
            write_last(trainer)
            written = progress.seconds


def train_pool(trainer: Trainer, coming: Iterator[list[Batch]], clock: Callable[[], float]) -> None:
    """Take one step for each batch of the next pool, or for as many as the budget allows."""
    settings, progress = trainer.settings, trainer.progress
    losses, started = [], clock()
    for batch in next(coming):
        if progress.share(settings) >= 1:
            break
        losses.append(train_step(trainer, batch))
        now = clock()
        progress.step, progress.seconds, started = progress.step + 1, progress.seconds + now - started, now
        progress.n_texts += len(batch)
    progress.pool += 1
    if not losses:
        return
    spans, labels, drift = torch.stack(losses).mean(dim=0).tolist()
    log(trainer, {"span_loss": spans, "label_loss": labels, "drift": drift})


def train_step(trainer: Trainer, batch: Batch) -> Tensor:
    """Take one step of the optimizer. RETURNS: The losses of spans and labels, and the drift, shape (3,)."""
    settings = trainer.settings
    set_rates(trainer.optimizer, trainer.progress.share(settings), settings.warmup)
    losses = compute_losses(trainer.model, batch.to(torch.device(settings.device)), trainer.teacher)
    total = settings.span_weight * losses.spans + settings.label_weight * losses.labels
    (total + settings.drift_weight * losses.drift).backward()
    torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), 1.0)
    trainer.optimizer.step()
    trainer.optimizer.zero_grad(set_to_none=True)
    return torch.stack([losses.spans, losses.labels, losses.drift]).detach()


def set_rates(optimizer: torch.optim.Optimizer, share: float, warmup: float) -> None:
    """Set the rates: linearly up to the full rate at `warmup`, then along half a cosine down to a hundredth."""
    factor = compute_factor(share, warmup)
    for group in optimizer.param_groups:
        group["lr"] = group["base"] * factor


def compute_factor(share: float, warmup: float) -> float:
    if share < warmup:
        return max(0.02, share / warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))


def score_and_keep(trainer: Trainer) -> None:
    """Score on the held-out sets, and keep a copy of the model if it is the best so far."""
    if not trainer.held_out:
        return
    scores = score_model(trainer.model, trainer.reader, trainer.held_out)
    log(trainer, scores)
    if scores["mean"] > trainer.progress.best:
        trainer.progress.best = scores["mean"]
        record = {**trainer.settings.to_record(), "step": trainer.progress.step, "scores": scores}
        files.write_checkpoint(trainer.settings.output / BEST, trainer.model, trainer.reader.tokenizer, record, None)


def write_last(trainer: Trainer) -> None:
    progress = trainer.progress
    state = {"optimizer": trainer.optimizer.state_dict(), "rng": torch.get_rng_state(), "progress": vars(progress)}
    if trainer.settings.device != "cpu":
        state["gpu_rng"] = torch.cuda.get_rng_state_all()
    record = {**trainer.settings.to_record(), "step": progress.step}
    files.write_checkpoint(trainer.settings.output / LAST, trainer.model, trainer.reader.tokenizer, record, state)


def log(trainer: Trainer, values: dict[str, float]) -> None:
    """Append a line to the run's log: how far it is, and the values."""
    progress = trainer.progress
    where = {"step": progress.step, "minutes": round(progress.seconds / 60, 2)}
    line = {**where, "n_texts": progress.n_texts, **{k: round(v, 4) for k, v in values.items()}}
    with (trainer.settings.output / LOG).open("a", encoding="utf8") as file:
        file.write(json.dumps(line) + "\n")
    trainer.show(line)
