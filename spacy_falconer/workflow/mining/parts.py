"""Mined rows on disk: parts that are complete or do not exist, and the one file that they are joined to."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

from spacy_falconer.errors import CorpusError
from spacy_falconer.plan import Plan
from spacy_falconer.plan.execute import Row
from spacy_falconer.workflow import files
from spacy_falconer.workflow.mining.tabular import join_parquet, read_parquet, without_nan, write_parquet

ROWS = ("rows.jsonl", "rows.parquet", "rows")  # Their names in an output folder.
BLOCK = 2**20  # Bytes.
GO_ON = "What was mined before is kept. Check the disk's free space and permissions, and run the same again to go on."
plain_disk = partial(files.plain_disk, cannot="written or read", advice=GO_ON)


@dataclass(frozen=True)
class Paths:
    """Where the rows of a run go, and the files beside them.

    output: A `.jsonl` or `.parquet` file, or a folder for parts of Parquet.
    RAISES (CorpusError): Its name is that of none of them, or it is a folder and not a file, or the reverse.
    """

    output: Path

    def __post_init__(self) -> None:
        if self.output.suffix not in (".jsonl", ".parquet", ""):
            raise CorpusError(
                f"The rows' file is {str(self.output)!r}; expected a name that ends in .jsonl or .parquet, or the name of a "
                "folder for parts of Parquet. Choose such a name."
            )
        if self.output.exists() and self.output.is_dir() != self.is_folder:
            kind = "file" if self.is_folder else "folder"
            raise CorpusError(f"The rows cannot go to {str(self.output)!r}: it is a {kind}. Choose another name.")

    @property
    def is_folder(self) -> bool:
        return not self.output.suffix

    @property
    def ending(self) -> str:
        return self.output.suffix or ".parquet"

    @property
    def work(self) -> Path:
        """The folder of the parts and of the run's state."""
        return self.output if self.is_folder else self.output.with_suffix(".parts")

    @property
    def state(self) -> Path:
        return self.work / "_state.db"

    def part(self, number: int) -> Path:
        return self.work / f"part-{number:05d}{self.ending}"

    def beside(self, name: str) -> Path:
        """Return the path of a file about the rows, such as "manifest.json". Readers of folders skip names with an underscore."""
        return self.output / f"_{name}" if self.is_folder else self.output.with_suffix(f".{name}")


@contextmanager
def durable(path: Path) -> Iterator[Path]:
    """Yield where to write a file that appears only when it is complete, and outlives a loss of power.

    RAISES (CorpusError): The disk is full, or cannot be written. What was written is removed.
    """
    with plain_disk(path):
        with files.whole_or_nothing(path) as part:
            yield part
            with part.open("rb") as written:
                os.fsync(written.fileno())
        sync_folder(path.resolve().parent)


def sync_folder(folder: Path) -> None:
    """Let a file's new name outlive a loss of power, if the system can do that."""
    if hasattr(os, "O_DIRECTORY"):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def write_part(rows: Sequence[Row], path: Path, plan: Plan, *, has_by: bool) -> str:
    """Write one part. RETURNS (str): The checksum of its bytes.

    has_by (bool): The rows say who answered.
    """
    with durable(path) as part:
        if path.suffix == ".parquet":
            write_parquet(rows, part, plan, has_by=has_by)
        else:
            part.write_bytes(b"".join(map(dump_row, rows)))
        return checksum(part)


def join_parts(paths: Paths, parts: Iterable[Mapping[str, Any]], plan: Plan, *, has_by: bool) -> None:
    """Join the parts to one file.

    parts: The "part" (number) and "checksum" of each.
    RAISES (CorpusError): A part is gone, or is not what was written.
    """
    files = (check_part(paths.part(part["part"]), part["checksum"]) for part in parts)
    with durable(paths.output) as joined:
        if paths.ending == ".parquet":
            join_parquet(files, joined, plan, has_by=has_by)
        else:
            join_bytes(files, joined)


def check_part(path: Path, expected: str) -> Path:
    if not path.exists() or checksum(path) != expected:
        raise CorpusError(f"The part {str(path)!r} is gone or damaged. Mine again from the beginning with --fresh.")
    return path


def join_bytes(files: Iterable[Path], joined: Path) -> None:
    with joined.open("wb") as output:
        for file in files:
            with file.open("rb") as opened:
                for block in read_blocks(opened):
                    output.write(block)


def checksum(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as opened:
        for block in read_blocks(opened):
            total.update(block)
    return total.hexdigest()


def read_blocks(opened: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: opened.read(BLOCK), b"")


def read_first_rows(output: Path, limit: int) -> list[Row]:
    """Return the first rows of an output, whatever its kind."""
    return list(islice(read_rows(output), limit))


def read_rows(output: Path) -> Iterator[Row]:
    """Yield the rows of an output, whatever its kind."""
    read = find_row_reader(output)
    for file in sorted(output.glob("part-*.parquet")) if output.is_dir() else [output]:
        yield from read(file)


def find_rows(folder: Path) -> Path | None:
    """Return the path of the rows in an output folder, whatever their kind; None if there are none."""
    return next((path for name in ROWS if (path := folder / name).exists()), None)


def find_row_reader(output: Path) -> Callable[[Path], Iterator[Row]]:
    return read_parquet if output.suffix != ".jsonl" else read_jsonl


def read_jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def dump_row(row: Row) -> bytes:
    """Return a line of JSON. Values that JSON does not have are written as text, numbers that are not finite as null."""
    try:
        line = json.dumps(row, ensure_ascii=False, allow_nan=False, default=str)
        return line.encode("utf8") + b"\n"
    except UnicodeEncodeError:
        return json.dumps(row, default=str).encode("ascii") + b"\n"
    except ValueError:
        return dump_row(without_nan(row))
