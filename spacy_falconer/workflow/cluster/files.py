"""Read and write files that are local, or at any address that fsspec knows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from spacy_falconer.errors import CorpusError
from spacy_falconer.workflow.mining.parts import Paths, durable, plain_disk

NOTE = "_done-"  # How the names of notes begin. Readers of folders skip names with an underscore.

Json = dict[str, Any]


def find_path(address: str | Path) -> Path:
    """Return a local path, or for an address such as s3://bucket/folder an object that is used like one.

    RAISES (CorpusError): A package that reads such addresses is not installed, or the protocol is unknown.
    """
    if "://" not in str(address):
        return Path(address)
    try:
        from upath import UPath

        path = UPath(str(address))
        path.fs  # noqa: B018 (this makes it)
    except ImportError as error:
        raise CorpusError(
            f"Files at {str(address)!r} cannot be reached ({error}). It takes the extra 'ray' and the package for the protocol, "
            "such as s3fs for s3://. Install them: pip install 'spacy-falconer[ray]' s3fs."
        ) from None
    except ValueError as error:
        raise CorpusError(
            f"The address {str(address)!r} has no protocol that fsspec knows ({error}). Expected one such as s3://, gs:// or "
            "file://, or a local path. Correct it."
        ) from None
    return path


def is_remote(path: Path) -> bool:
    return not isinstance(path, Path)


def make_absolute(path: Path) -> Path:
    """Return the path in a form that means the same to processes in other folders."""
    return path if is_remote(path) else path.absolute()


def publish(file: Path, target: Path) -> None:
    """Copy a local file to its target. On a local disk, it appears there only when it is complete.

    RAISES (CorpusError): The target's disk is full, or cannot be written.
    """
    with plain_disk(target):
        if is_remote(target):
            target.fs.makedirs(target.parent.path, exist_ok=True)
            target.fs.put_file(str(file), target.path)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with durable(target) as part:
            shutil.copyfile(file, part)


def fetch(path: Path, folder: Path) -> Path:
    """Return the path of a local file: the file itself, or a copy of it in the folder."""
    if not is_remote(path):
        return path
    path.fs.get_file(path.path, str(folder / path.name))
    return folder / path.name


def name_part(split: int, part: int, ending: str) -> str:
    """Return a part's name. Names sort in the corpus's order. A part that is done again replaces the file of that name."""
    return f"part-{split:06d}-{part:06d}{ending}"


def name_note(split: int, part: int) -> str:
    return name_part(split, part, ".json").replace("part-", NOTE)


def read_notes(paths: Paths) -> Iterator[Json]:
    """Yield the notes of parts that are done. A note that was not written completely is left out."""
    files = sorted(paths.work.glob(f"{NOTE}*.json"), key=str) if paths.work.exists() else []
    for content in _read_all(files):
        try:
            yield json.loads(content)
        except ValueError:
            continue


def _read_all(files: list[Path]) -> Iterable[bytes]:
    """Return the contents of files. Remote files, of which there may be many, are read all at once."""
    if files and is_remote(files[0]):
        return files[0].fs.cat([file.path for file in files]).values()
    return (file.read_bytes() for file in files)
