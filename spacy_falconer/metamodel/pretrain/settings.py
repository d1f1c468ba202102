"""The settings of a pre-training run. Those that shape the weights are saved beside them; where files are is not."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from spacy_falconer.errors import ModelError

# Where files are and what computes, which differ between machines.
PLACES = ("data", "corpora", "own", "output", "encoder", "start", "device", "n_threads", "n_workers")


@dataclass(frozen=True)
class PretrainSettings:
    """A run ends after `minutes` of training, not counting evaluation, or after `max_steps` if these are given.

    Only with `max_steps` are the weights the same each time, because the number of steps in a minute varies.

    data (Path): The folder of data sets. corpora (Path | None): Texts that must not be trained on.
    own (Path | None): A folder with the project's own training texts. start (Path | None): A checkpoint of an earlier
    run to start from, with a schedule of its own.
    encoder (str): A Hugging Face folder or name. cap (int): The most texts of one set. leave_out: Sets not to train on.
    recurring (float): How often words that recur in a passage are asked for, relative to 1 for all else.
    n_workers (int): Processes that make batches besides the one that trains, for a GPU that would otherwise wait.
    max_characters (int): Longer texts are not trained on.
    max_texts (int): The most texts of a batch. A GPU is kept busy by a few hundred.
    max_pieces (int): The most pieces of a batch, with the padding; 0 for 128 per text.
    pool (int): Groups of texts that are sorted by length together before they become batches; 0 for a few batches' worth.
    drift_weight (float): The cost of mean vectors that drift from those of the original encoder. Without it, the
    similarity of topics, which a sentence encoder knows from the start, is lost.
    freeze_words (bool): Whether the encoder's word embeddings stay as they are.
    """

    data: Path
    corpora: Path | None
    output: Path
    encoder: str
    own: Path | None = None
    start: Path | None = None
    minutes: float = 100.0
    max_steps: int | None = None
    seed: int = 0
    n_threads: int = 2
    n_workers: int = 0
    device: str = "cpu"
    encoder_rate: float = 1e-4
    head_rate: float = 1e-3
    warmup: float = 0.04
    weight_decay: float = 0.01
    span_weight: float = 1.0
    label_weight: float = 1.0
    drift_weight: float = 1.0
    hidden_width: int = 192
    dropout: float = 0.1
    encoder_dropout: float = 0.0
    cap: int = 5000
    leave_out: tuple[str, ...] = ()
    recurring: float = 0.0
    max_characters: int = 2000
    freeze_words: bool = True
    max_texts: int = 24
    max_pieces: int = 0
    pool: int = 0
    minutes_per_checkpoint: float = 10.0
    minutes_per_score: float = 15.0
    n_score_texts: int = 300

    def __post_init__(self):
        if self.minutes <= 0 or (self.max_steps is not None and self.max_steps < 1):
            raise ModelError(
                f"A run of {self.minutes} minutes or {self.max_steps} steps trains nothing. Set minutes above 0, "
                "or max_steps to 1 or more."
            )
        sizes = {"max_pieces": 128 * self.max_texts, "pool": max(64, 4 * self.max_texts // 3)}
        for name, size in sizes.items():
            object.__setattr__(self, name, getattr(self, name) or size)

    @property
    def attention(self) -> str:
        """The implementation of the encoder's attention. Texts are short, and the plain one is faster for these on a CPU."""
        return "eager" if self.device == "cpu" else "sdpa"

    def to_record(self) -> dict[str, Any]:
        """Return the settings without those that differ between machines."""
        return {key: value for key, value in asdict(self).items() if key not in PLACES} | {
            "leave_out": list(self.leave_out)
        }


def check_same(settings: PretrainSettings, recorded: dict[str, Any], folder: Path) -> None:
    """Raise an error if a run would go on with other settings: its schedule and its draws would change."""
    free = {"minutes", "max_steps", "minutes_per_checkpoint", "minutes_per_score", "n_score_texts"}
    known = {field.name for field in fields(settings)} - free - set(PLACES)
    for key in sorted(known):
        if recorded.get(key) != settings.to_record()[key]:
            raise ModelError(
                f"The run in {folder} was started with {key} = {recorded.get(key)!r}, "
                f"now it is {getattr(settings, key)!r}. Go on with the same, or choose an empty output folder."
            )
