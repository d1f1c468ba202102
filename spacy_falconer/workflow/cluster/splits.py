"""Cut a corpus into stretches that many machines can read at the same time, with the lines on which they begin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from spacy_falconer.corpus.files import InputFile, list_files
from spacy_falconer.corpus.read import Item, Place, make_record, read_file
from spacy_falconer.corpus.tables import Flaw, Numbered, parse_line, read_batch, read_lines
from spacy_falconer.errors import CorpusError

SPLIT_BYTES = 2**26  # Of a file as it is on the disk.
SPLIT_ROWS = 100_000  # Of a Parquet file; its row groups are not cut.
BLOCK = 2**20  # Bytes.


@dataclass(frozen=True)
class Stretch:
    """Part of a file, or all of it if `end` is None.

    start, end: For lines, bytes: those that begin in this range belong to it. For Parquet, row groups.
    n_bytes: About how many bytes there are to read.
    first: The number of the first line or row.
    """

    file: InputFile
    n_bytes: int
    start: int = 0
    end: int | None = None
    first: int = 1

    @property
    def is_lines(self) -> bool:
        return self.end is not None and self.file.kind == "jsonl"


Split = tuple[Stretch, ...]
CountAll = Callable[[Sequence[Stretch]], Sequence[int]]


def cut_corpus(path: Path, count_all: CountAll) -> list[Split]:
    """Cut a corpus so that reading all splits, one after another, is reading the corpus.

    Lines of JSON are cut anywhere, Parquet between its row groups. Other files and compressed ones are not cut; small
    ones are read together.
    count_all: Counts the lines of many stretches, each as `count_lines` does.
    RAISES (CorpusError): As `list_files`, or a file cannot be opened.
    """
    stretches = [stretch for file in list_files(path) for stretch in cut_file(file)]
    return list(group_small(number_lines(stretches, count_all)))


def cut_file(file: InputFile) -> Iterator[Stretch]:
    """Yield the stretches of one file. The lines on which they begin are not known yet."""
    n_bytes = file.path.stat().st_size
    if file.path.suffix.lower() == ".jsonl" and n_bytes > SPLIT_BYTES:
        for start in range(0, n_bytes, SPLIT_BYTES):
            end = min(start + SPLIT_BYTES, n_bytes)
            yield Stretch(file, end - start, start, end)
    elif file.kind == "parquet":
        yield from cut_parquet(file, n_bytes)
    else:
        yield Stretch(file, n_bytes)


def cut_parquet(file: InputFile, n_bytes: int) -> Iterator[Stretch]:
    """Yield stretches of row groups with `SPLIT_ROWS` rows or more. A damaged file is reported when it is read."""
    from pyarrow import parquet

    try:
        with file.path.open("rb") as opened:
            metadata = parquet.ParquetFile(opened).metadata
    except ValueError:
        metadata = None
    if metadata is None or not metadata.num_row_groups:
        yield Stretch(file, n_bytes, 0, 0)
        return
    start = n_before = n_rows = 0
    for group in range(metadata.num_row_groups):
        n_rows += metadata.row_group(group).num_rows
        if n_rows >= SPLIT_ROWS or group == metadata.num_row_groups - 1:
            yield Stretch(file, n_bytes * n_rows // max(metadata.num_rows, 1), start, group + 1, n_before + 1)
            start, n_before, n_rows = group + 1, n_before + n_rows, 0


def number_lines(stretches: Sequence[Stretch], count_all: CountAll) -> Iterator[Stretch]:
    """Yield the stretches, each stretch of lines with the number of the line on which it begins."""
    cut = [stretch for stretch in stretches if stretch.is_lines]
    counts = dict(zip(cut, count_all(cut), strict=True)) if cut else {}
    first = 1
    for stretch in stretches:
        first = 1 if stretch.start == 0 else first
        yield replace(stretch, first=first) if stretch.is_lines else stretch
        first += counts.get(stretch, 0)


def count_lines(stretch: Stretch) -> int:
    """Return how many lines begin in a stretch."""
    n_lines, left = int(stretch.start == 0), stretch.n_bytes
    with stretch.file.path.open("rb") as opened:
        if stretch.start:
            opened.seek(stretch.start - 1)
        else:
            left -= 1  # A line begins after a newline: one after the stretch's last byte belongs to the next stretch.
        while left > 0 and (block := opened.read(min(BLOCK, left))):
            n_lines += block.count(b"\n")
            left -= len(block)
    return n_lines


def group_small(stretches: Iterable[Stretch]) -> Iterator[Split]:
    """Group consecutive stretches, up to `SPLIT_BYTES` together."""
    split: list[Stretch] = []
    for stretch in stretches:
        if split and sum(one.n_bytes for one in split) + stretch.n_bytes > SPLIT_BYTES:
            yield tuple(split)
            split = []
        split.append(stretch)
    if split:
        yield tuple(split)


def read_split(split: Split, *, text_field: Sequence[str], id_field: str) -> Iterator[Item]:
    """Yield the rows of a split with their places, as `read_items` does for a corpus."""
    for stretch in split:
        for line, row in read_stretch(stretch):
            read = row if isinstance(row, Flaw) else make_record(
                row, line, stretch.file, text_field=text_field, id_field=id_field
            )  # fmt: skip
            yield Place(str(stretch.file.path), line), read


def read_stretch(stretch: Stretch) -> Numbered:
    if stretch.end is None:
        yield from read_file(stretch.file)
        return
    try:
        with stretch.file.path.open("rb") as opened:
            yield from (_read_lines if stretch.is_lines else _read_groups)(opened, stretch)
    except OSError as error:
        raise CorpusError(
            f"{stretch.file.path}, after line {stretch.first}: cannot be read ({error}). Check its disk and permissions, and "
            "run it again."
        ) from error


def _read_lines(opened: IO[bytes], stretch: Stretch) -> Numbered:
    """Yield the lines that begin in the stretch. Its first bytes may belong to a line that began before it."""
    if stretch.start:
        opened.seek(stretch.start - 1)
        while (passed := opened.readline(BLOCK)) and not passed.endswith(b"\n"):
            pass
    lines, number = read_lines(opened), stretch.first
    while opened.tell() < stretch.end and (line := next(lines, None)) is not None:
        if isinstance(line, Flaw):
            yield number, line
        elif line.strip():
            yield number, parse_line(line)
        number += 1


def _read_groups(opened: Any, stretch: Stretch) -> Numbered:
    from pyarrow import parquet

    number = stretch.first
    try:
        groups = parquet.ParquetFile(opened)
        for batch in groups.iter_batches(batch_size=1024, row_groups=range(stretch.start, stretch.end)):
            for row in read_batch(batch):
                yield number, row
                number += 1
    except ValueError as error:
        reason = f"the file is damaged, or not what its name says; no more of these rows can be read ({error})"
        yield number - 1, Flaw(reason, file_ends=True)
