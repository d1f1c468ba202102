"""Write files completely or not at all, and digest their contents."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from spacy_falconer.errors import CorpusError
from spacy_falconer.llm.rows import hash_parts
from spacy_falconer.types import Record

ANOTHER_OUTPUT = "Expected a place on a disk with free space, in a folder that you may write to. Check them, or choose another output."


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield where to write a file or a folder. It is moved to its place when it is complete; after an error, nothing is left.

    RAISES (CorpusError): It cannot be written there.
    """
    with plain_disk(path), whole_or_nothing(path) as part:
        yield part


def check_writable(path: Path | None, *, is_folder: bool = False, in_place: bool = False) -> None:
    """Check before long work that its result can be written. Nothing is created.

    in_place (bool): A file that exists is written over, not replaced; it may be a device.
    RAISES (CorpusError): The file, or what is to be in the folder, cannot be written.
    """
    if path is None:
        return
    with plain_disk(path):
        if path.is_dir() and not is_folder:
            raise IsADirectoryError("it is a folder")
        if in_place and path.exists():
            path.open("ab").close()
            return
        folder = path if is_folder else path.parent
        with TemporaryFile(dir=next(one for one in (folder, *folder.absolute().parents) if one.exists())):
            pass


@contextmanager
def plain_disk(path: Path, *, cannot: str = "written", advice: str = ANOTHER_OUTPUT) -> Iterator[None]:
    """RAISES (CorpusError): The disk, or a database on it, refuses what the block does."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise CorpusError(f"{str(path)!r} cannot be {cannot} ({error}). {advice}") from error


@contextmanager
def whole_or_nothing(path: Path) -> Iterator[Path]:
    """As `whole`, but with the original errors."""
    path = path.resolve()  # A link stays, and what it leads to is replaced.
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove(part)
    try:
        yield part
    except BaseException:
        _remove(part)
        raise
    if part.is_dir():
        _remove(path)
        shutil.move(part, path)
    else:
        os.replace(part, path)


def check_not_read(output: Path, *inputs: Path | None) -> None:
    """RAISES (CorpusError): The output would overwrite an input."""
    for path in filter(None, inputs):
        if output.resolve() == path.resolve():
            raise CorpusError(
                f"{str(output)!r} would be overwritten, but is an input. Expected an output of its own. "
                "Choose another output."
            )


def is_older(path: Path, others: Iterable[Path]) -> bool:
    """Return whether one of the others was written after this file. Files that do not exist were not."""
    return any(other.exists() and other.stat().st_mtime_ns > path.stat().st_mtime_ns for other in others)


def digest(*parts: str) -> str:
    """Return a digest that is the same for the same content, on every machine."""
    return hash_parts(*parts).hex()


def digest_file(path: Path | None) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path is not None else ""


def digest_folder(path: Path | None) -> str:
    """Return a digest of all files in a folder and their names."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path is not None else []
    return digest(*(part for file in files for part in (str(file.relative_to(path)), digest_file(file))))


def digest_records(records: Iterable[Record]) -> tuple[str, int]:
    """Return a digest of a whole corpus, and how many records it has, in one pass."""
    total, n_records = hashlib.sha256(), 0
    for record in records:
        n_records += 1
        line = json.dumps([record.id, record.text, dict(record.fields)], sort_keys=True, default=str)
        total.update(line.encode("utf8", "surrogatepass"))
    return total.hexdigest(), n_records


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
