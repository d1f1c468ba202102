"""A corpus on disk, which can be read any number of times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy_falconer.corpus.read import ID_FIELD, describe_flaw, read_items
from spacy_falconer.corpus.tables import Flaw
from spacy_falconer.errors import CorpusError
from spacy_falconer.types import Record


@dataclass(frozen=True)
class CorpusFile:
    """A corpus on disk. Iterating reads it from the beginning, record by record; nothing is held in memory.

    set_aside: Called with what is wrong with each row that is not a record, each time that it is read. Without it, such a
        row is an error (CorpusError).
    """

    path: Path
    text_field: Sequence[str] = ("text",)
    id_field: str = ID_FIELD
    set_aside: Callable[[str], Any] | None = None

    def __iter__(self) -> Iterator[Record]:
        for place, item in read_items(self.path, text_field=tuple(self.text_field), id_field=self.id_field):
            if not isinstance(item, Flaw):
                yield item
            elif self.set_aside is None:
                raise CorpusError(describe_flaw(place, item))
            else:
                self.set_aside(describe_flaw(place, item))
