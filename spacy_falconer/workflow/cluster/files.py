"""Files at any address that fsspec knows, beside local ones, and how they are put there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from spacy_falconer.errors import CorpusError
from spacy_falconer.workflow.mining.parts import Paths, durable, plain_disk

NOTE = "_done-"  # Begins the names of notes. Readers of folders pass over names with an underscore.

Json = dict[str, Any]


def find_path(address: str | Path) -> Path:
    """A local path, or what is used like one for an address such as s3://bucket/folder.

    RAISES (CorpusError): What reads such addresses is not installed, or nothing here knows the protocol.
    """
    if "://" not in str(address):
        return Path(address)
    try:
        from upath import UPath

        path = UPath(str(address))
        path.fs  # noqa: B018 (it is made here)
    except ImportError as error:
        raise CorpusError(
            f"Files at {str(address)!r} cannot be reached ({error}). Needed are the extra 'ray' and the package for the protocol, "
            "such as s3fs for s3://. Install them: pip install 'spacy-falconer[ray]' s3fs."
        ) from None
    except ValueError as error:
        raise CorpusError(
            f"The address {str(address)!r} is of no protocol that fsspec knows ({error}). Expected one such as s3://, gs:// or "
            "file://, or a local path. Correct it."
        ) from None
    return path


def is_remote(path: Path) -> bool:
    return not isinstance(path, Path)


def make_absolute(path: Path) -> Path:
    """The same for processes that work in other folders."""
    return path if is_remote(path) else path.absolute()


def publish(file: Path, target: Path) -> None:
    """Copy a local file to where it belongs. On a local disk it appears when it is whole.

    RAISES (CorpusError): The disk is full, or refuses.
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
    """A file as a local one: itself, or a copy in the folder."""
    if not is_remote(path):
        return path
    path.fs.get_file(path.path, str(folder / path.name))
    return folder / path.name


def name_part(split: int, part: int, ending: str) -> str:
    """Names in the order of the corpus. A part that is done again has its old name, and takes its place."""
    return f"part-{split:06d}-{part:06d}{ending}"


def name_note(split: int, part: int) -> str:
    return name_part(split, part, ".json").replace("part-", NOTE)


def read_notes(paths: Paths) -> Iterator[Json]:
    """What is noted of parts that are done. A note that was not written to its end is none."""
    files = sorted(paths.work.glob(f"{NOTE}*.json"), key=str) if paths.work.exists() else []
    for content in _read_all(files):
        try:
            yield json.loads(content)
        except ValueError:
            continue


def _read_all(files: list[Path]) -> Iterable[bytes]:
    """The contents of files: remote ones, of which there may be many, at a time."""
    if files and is_remote(files[0]):
        return files[0].fs.cat([file.path for file in files]).values()
    return (file.read_bytes() for file in files)
