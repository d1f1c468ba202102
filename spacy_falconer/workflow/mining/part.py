"""Mine one part of a corpus: write its rows, and note its other results."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy.language import Language

from spacy_falconer.corpus.read import Item, Place, describe_flaw, read_units
from spacy_falconer.corpus.tables import SHOWN, Flaw
from spacy_falconer.errors import CorpusError
from spacy_falconer.plan import Plan
from spacy_falconer.types import Record
from spacy_falconer.workflow.mining.mined import place_rows
from spacy_falconer.workflow.mining.parts import Paths, write_part
from spacy_falconer.workflow.mining.reading import ReadChunks, Reading, read_texts
from spacy_falconer.workflow.mining.state import MineState, PartDone, Seen

PART_CHARACTERS = 2**25

Json = dict[str, Any]
Tick = Callable[[int], Any]


@dataclass(frozen=True)
class Part:
    """Some rows of the corpus. `start` is the number of rows before them."""

    number: int
    start: int
    items: Sequence[Item]


@dataclass(frozen=True)
class Miner:
    """Mines parts with a pipeline, and writes their rows."""

    nlp: Language
    plan: Plan
    paths: Paths
    state: MineState
    seen: Seen | None
    read_chunks: ReadChunks
    answered: Mapping[bytes, Reading] = field(default_factory=dict)  # Readings of texts that were read before.
    is_guaranteed: bool = False

    def mine(self, part: Part, tick: Tick) -> None:
        """Read what is new in a part, write its rows, and note that it is done."""
        records, flaws = sort_out(part.items, self.nlp.max_length)
        keys = [record_key(record) for _, record in records]
        seen = self.seen.find(keys) if self.seen is not None else set()
        new = [pair for pair, key in zip(records, keys, strict=True) if key not in seen]
        units = list(read_units([record for _, record in new], self.plan.unit, self.nlp))
        readings, read = self._read([unit.text for unit in units], spread(tick, len(part.items)))
        failures = find_failures(units, readings, dict((record.id, place) for place, record in reversed(new)))
        counts = {
            "n_texts": len(new) if self.plan.unit == "sentence" else len(new) - len(failures),
            "n_duplicates": len(units) - len(read),
            "n_skipped": len(records) - len(new),
            **count_readings(readings),
        }
        content = {**self._write(part, units, readings), **counts, **count_flaws(flaws + failures)}
        self.state.note(PartDone(content, read, keys, [describe_reject(*flaw) for flaw in flaws + failures]))

    def _read(self, texts: Sequence[str], tick: Callable[[float], Any]) -> tuple[list[Reading], dict[bytes, Reading]]:
        """Return each text's reading and, by their keys, the readings of texts that no earlier part has read."""
        keys = [make_key(text) for text in texts]
        known = self.state.find_readings(dict.fromkeys(keys))
        left = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        read = {key: self.answered[key] for key in left if key in self.answered}
        new = {key: text for key, text in left.items() if key not in read}
        read |= zip(new, read_texts(list(new.values()), self.read_chunks, tick=tick), strict=True)
        tick(1.0)
        return [known[key] if key in known else read[key] for key in keys], read

    def _write(self, part: Part, units: Sequence[Record], readings: Sequence[Reading]) -> Json:
        """Write the rows, and return a description of the part."""
        rows = [row for unit, reading in zip(units, readings, strict=True) for row in place_rows(reading.rows, unit)]
        path = self.paths.part(part.number)
        return {
            "part": part.number,
            "start": part.start,
            "end": part.start + len(part.items),
            **({"file": path.name} if self.paths.is_folder else {}),
            "checksum": write_part(rows, path, self.plan, has_by=self.is_guaranteed),
            "digest": digest_items(part.items),
            "n_rows": len(rows),
        }


def check_any(items: Sequence[Item]) -> None:
    """Check that the first part of a corpus holds any record.

    RAISES (CorpusError): It holds none. The message shows its first row.
    """
    if items and all(isinstance(item, Flaw) for _, item in items):
        raise CorpusError(f"None of the first {len(items)} rows can be read. {describe_flaw(*items[0])}")


def cut_parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield parts of up to `size` rows, and about `PART_CHARACTERS` characters, so that each fits in memory."""
    part: list[Item] = []
    n_characters = 0
    for place, item in items:
        part.append((place, item))
        n_characters += len(item.text) if isinstance(item, Record) else 0
        if len(part) == size or n_characters >= PART_CHARACTERS:
            yield part
            part, n_characters = [], 0
    if part:
        yield part


def sort_out(items: Iterable[Item], longest: int) -> tuple[list[tuple[Place, Record]], list[tuple[Place, Flaw]]]:
    """Return the records and, apart from them, what is not a record or is longer than the pipeline reads."""
    records, flaws = [], []
    for place, item in items:
        if isinstance(item, Flaw):
            flaws.append((place, item))
        elif len(item.text) > longest:
            reason = f"its text has {len(item.text):,} characters; the pipeline reads at most {longest:,}"
            flaws.append((place, Flaw(reason, item.text[:SHOWN])))
        else:
            records.append((place, item))
    return records, flaws


def find_failures(
    units: Iterable[Record], readings: Iterable[Reading], places: Mapping[str, Place]
) -> list[tuple[Place, Flaw]]:
    """Return the texts that the pipeline failed on, as flaws. `places` are by the records' ids."""
    return [
        (places[unit.id], Flaw(reading.failure, unit.text[:SHOWN]))
        for unit, reading in zip(units, readings, strict=True)
        if reading.failure is not None
    ]


def count_readings(readings: Sequence[Reading]) -> Json:
    languages = Counter(reading.language for reading in readings if reading.language)
    return {"n_unread_tokens": sum(reading.n_unread_tokens for reading in readings), "languages": dict(languages)}


def count_flaws(flaws: Sequence[tuple[Place, Flaw]]) -> Json:
    return {"n_rejected": len(flaws), "n_damaged": sum(flaw.file_ends for _, flaw in flaws)}


def describe_reject(place: Place, flaw: Flaw) -> Json:
    return {**place._asdict(), "reason": flaw.reason, "start": flaw.start}


def spread(tick: Tick, n: int) -> Callable[[float], None]:
    """Make a tick that takes shares of the work and passes on whole numbers, `n` in all."""
    share, n_ticked = 0.0, 0

    def advance(more: float) -> None:
        nonlocal share, n_ticked
        share = min(share + more, 1.0)
        n_due = n if share == 1.0 else int(n * share)
        if n_due > n_ticked:
            tick(n_due - n_ticked)
            n_ticked = n_due

    return advance


def digest_items(items: Iterable[Item]) -> str:
    """Return a digest of rows of the corpus as they were read."""
    total = hashlib.blake2b(digest_size=16)
    for _, item in items:
        if isinstance(item, Record):
            total.update(record_key(item) + repr(item.fields).encode("utf8", "backslashreplace"))
        else:
            total.update(item.reason.encode("utf8", "backslashreplace"))
    return total.hexdigest()


def record_key(record: Record) -> bytes:
    """Return 16 bytes that are the same for the same id and text."""
    return make_key(f"{len(record.id)} {record.id}{record.text}")


def make_key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf8", "surrogatepass"), digest_size=16).digest()
