"""The files of a corpus: find them, tell their kinds and open them."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from spacy_falconer.errors import CorpusError

BLOCK = 2**18  # Bytes.
PACKINGS = ("", ".gz", ".zst")
TABLES = {".jsonl": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}
KINDS = {**TABLES, ".txt": "txt"}
ENDINGS = {
    ending + packing: kind for ending, kind in KINDS.items() for packing in PACKINGS if kind != "parquet" or not packing
}
EXPECTED = (
    "Expected .jsonl, .csv, .tsv or .txt (each may end in .gz or .zst) or .parquet, or a folder of files of one kind"
)


@dataclass(frozen=True)
class InputFile:
    """One file of a corpus. `name` is its path within the corpus, "" if the corpus is this file alone."""

    path: Path
    kind: str
    name: str = ""


def list_files(path: Path) -> list[InputFile]:
    """Return the files of a corpus, sorted by name. A folder is searched with its subfolders.

    In a folder, files whose name or folder begins with a dot or an underscore, and files of other kinds, are left out.
    RAISES (CorpusError): There is no such corpus, or it holds no file that can be read, or texts beside tables.
    """
    if not path.exists():
        raise CorpusError(f"There is no corpus {str(path)!r}. {EXPECTED}. Correct the path.")
    if not path.is_dir():
        if (kind := find_kind(path)) is None:
            raise CorpusError(f"The corpus {str(path)!r} is of no known kind. {EXPECTED}. Convert it to one of them.")
        return [InputFile(path, kind)]
    names = sorted(file.relative_to(path) for file in find_shown(path, set()))
    files = [InputFile(path / name, kind, name.as_posix()) for name in names if (kind := find_kind(name)) is not None]
    check_folder(path, files)
    return files


def find_shown(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders, also of those that links lead to, but of each once.

    RAISES (CorpusError): A folder cannot be read.
    """
    seen.add(folder.resolve())
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise CorpusError(
            f"The folder {str(folder)!r} cannot be read ({error}). Its files would be left out. Allow it, or move it away."
        ) from None
    for path in (one for one in found if not one.name.startswith((".", "_"))):
        if path.is_file():
            yield path
        elif path.is_dir() and path.resolve() not in seen:
            yield from find_shown(path, seen)


def check_folder(path: Path, files: Sequence[InputFile]) -> None:
    """Raise an error for a folder without a corpus, or with text files that may be texts or mere notes about the tables."""
    if not files:
        raise CorpusError(
            f"The folder {str(path)!r} holds no .txt file or table. {EXPECTED}. Name the folder of texts."
        )
    texts = [file.name for file in files if file.kind == "txt"]
    tables = [file.name for file in files if file.kind != "txt"]
    if texts and tables:
        raise CorpusError(
            f"The folder {str(path)!r} holds texts ({texts[0]!r}) beside tables ({tables[0]!r}). Expected files of one "
            "kind, in which every .txt file is a text. Move either kind away."
        )


def find_kind(path: Path) -> str | None:
    """Return the kind that the name tells: "jsonl", "csv", "tsv", "parquet" or "txt"; None for other names."""
    name = path.name.lower()
    return next((kind for ending, kind in ENDINGS.items() if name.endswith(ending)), None)


def name_without_ending(name: str) -> str:
    """Return a file's name without the ending for its kind and compression. It is the id of a text."""
    ending = next(ending for ending in sorted(ENDINGS, key=len, reverse=True) if name.lower().endswith(ending))
    return name[: -len(ending)]


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file, decompressed if its name says that it is compressed.

    RAISES (CorpusError): It is compressed with zstandard, which is not installed.
    """
    if path.suffix.lower() == ".gz":
        return gzip.open(path if isinstance(path, Path) else path.open("rb"), "rb")  # type: ignore[return-value]
    return open_zstd(path) if path.suffix.lower() == ".zst" else path.open("rb")


def open_zstd(path: Path) -> IO[bytes]:
    try:
        import zstandard
    except ImportError:
        raise CorpusError(
            f"Reading {str(path)!r} needs zstandard. Install it: pip install 'spacy-falconer[zstd]'."
        ) from None

    def unpack() -> Iterator[bytes]:
        with path.open("rb") as packed:
            try:
                yield from unpack_frames(packed, zstandard.ZstdDecompressor().decompressobj)
            except zstandard.ZstdError as error:
                raise ValueError(str(error)) from error

    return io.BufferedReader(BlockReader(unpack()), buffer_size=BLOCK)


def unpack_frames(packed: IO[bytes], make_unpacker: Callable[[], Any]) -> Iterator[bytes]:
    """Decompress one frame after another. zstandard's own reader takes a truncated frame for a whole one."""
    unpacker = None
    while block := packed.read(BLOCK):
        while block:
            unpacker = unpacker or make_unpacker()
            yield unpacker.decompress(block)
            block, unpacker = (unpacker.unused_data, None) if unpacker.eof else (b"", unpacker)
    if unpacker is not None:
        raise EOFError("it ends within a frame")


class BlockReader(io.RawIOBase):
    """A file made of blocks of bytes."""

    def __init__(self, blocks: Iterator[bytes]):
        super().__init__()
        self.blocks = blocks
        self.rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.rest:
            block = next(self.blocks, None)
            if block is None:
                return 0
            self.rest = memoryview(block)
        n = min(len(buffer), len(self.rest))
        buffer[:n], self.rest = self.rest[:n], self.rest[n:]
        return n
