"""A corpus on disk, to be read as often as it is needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spacy_falconer.corpus.read import read_corpus
from spacy_falconer.types import Record


@dataclass(frozen=True)
class CorpusFile:
    """Iterating reads it from the beginning, one record after another. Nothing is held in memory."""

    path: Path
    text_field: Sequence[str] = ("text",)
    id_field: str = "id"

    def __iter__(self) -> Iterator[Record]:
        return read_corpus(self.path, text_field=tuple(self.text_field), id_field=self.id_field)
