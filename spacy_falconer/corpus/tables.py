"""The rows of one file. A row that cannot be read is said to be one, and the next is read."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from spacy_falconer.corpus.files import InputFile, name_without_ending, open_bytes
from spacy_falconer.errors import CorpusError

Row = dict[str, Any]

LONGEST_LINE = 2**26  # Bytes. A longer one is no row, but a file without line ends.
LONGEST_CELL = 2**26  # Characters; csv refuses more than 131,072 unless told otherwise.
SHOWN = 200  # Characters of a row that cannot be read.
HALF_CHARACTER = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Flaw:
    """Why a row is no record, and how it begins.

    file_ends: Nothing after it in its file can be read either.
    """

    reason: str
    start: str = ""
    file_ends: bool = False


Numbered = Iterator[tuple[int, "Row | Flaw"]]


def find_reader(kind: str) -> Callable[[InputFile], Numbered]:
    """The reader for a kind of file. It gives the rows with their lines; of Parquet, with their numbers."""
    readers = {"jsonl": read_jsonl, "csv": read_csv, "tsv": read_csv, "parquet": read_parquet, "txt": read_txt}
    return readers[kind]


def read_jsonl(file: InputFile) -> Numbered:
    with open_bytes(file.path) as opened:
        for number, line in enumerate(read_lines(opened), start=1):
            if isinstance(line, Flaw):
                yield number, line
            elif line.strip():
                yield number, parse_line(line)


def read_lines(opened: IO[bytes]) -> Iterator[bytes | Flaw]:
    """The lines; of one that is too long to be held in memory, only that it is."""
    while line := opened.readline(LONGEST_LINE):
        if len(line) < LONGEST_LINE or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            start, line = show(line), opened.readline(LONGEST_LINE)
        yield Flaw(f"the line is longer than {LONGEST_LINE:,} bytes", start)


def parse_line(line: bytes) -> Row | Flaw:
    """One line of JSON, which must be an object."""
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return Flaw(f"not UTF-8 ({error.reason} at byte {error.start})", show(line))
    except (ValueError, RecursionError) as error:
        return Flaw(f"no JSON ({error})", show(line))
    return row if isinstance(row, dict) else Flaw("no JSON object", show(line))


def read_csv(file: InputFile) -> Numbered:
    csv.field_size_limit(LONGEST_CELL)
    with open_bytes(file.path) as opened:
        # What is not UTF-8 becomes half characters, and its row alone is refused.
        lines = io.TextIOWrapper(opened, encoding="utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.DictReader(lines, delimiter="\t" if file.kind == "tsv" else ",")
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield reader.line_num + 1, Flaw(f"no {file.kind} ({error})")
            else:
                yield reader.line_num, find_flaw(row) or row


def find_flaw(row: dict[Any, Any]) -> Flaw | None:
    """What is wrong with a row of cells."""
    cells = [cell for cell in row.values() if isinstance(cell, str)]
    start = ",".join(cells)[:SHOWN]
    if None in row:
        return Flaw(
            f"more cells than the {len(row) - 1} columns, the first beyond them {row[None][0][:60]!r}; a text that holds "
            "the separator stands in double quotes",
            start,
        )
    if any(not cell.isascii() and HALF_CHARACTER.search(cell) for cell in cells):
        return Flaw("not UTF-8", start.encode("utf8", "surrogateescape").decode("utf8", "replace"))
    return None


def read_txt(file: InputFile) -> Numbered:
    """A .txt file is one text, and its name the id."""
    with open_bytes(file.path) as opened:
        data = opened.read(LONGEST_LINE + 1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield 1, Flaw(f"not UTF-8 ({error.reason} at byte {error.start})", show(data))
        return
    if len(data) > LONGEST_LINE:
        yield 1, Flaw(f"the text is longer than {LONGEST_LINE:,} bytes", show(data))
    else:
        yield 1, {"id": name_without_ending(file.name or file.path.name), "text": text}


def read_parquet(file: InputFile) -> Numbered:
    try:
        from pyarrow import parquet
    except ImportError:
        raise CorpusError(
            f"Reading {str(file.path)!r} needs pyarrow. Install it: pip install 'spacy-falconer[parquet]'."
        ) from None
    number = 0
    with parquet.ParquetFile(file.path) as opened:
        for batch in opened.iter_batches(batch_size=1024):
            for row in read_batch(batch):
                number += 1
                yield number, row


def read_batch(batch: Any) -> Iterator[Row | Flaw]:
    """A batch's rows, one by one where one of them cannot be read."""
    try:
        yield from batch.to_pylist()
    except ValueError:  # Text that is not UTF-8, dates beyond Python's.
        if batch.num_rows > 1:
            for i in range(batch.num_rows):
                yield from read_batch(batch.slice(i, 1))
        else:
            yield Flaw("a value that Python cannot hold")


def show(data: bytes) -> str:
    """How it begins."""
    return data[: 4 * SHOWN].decode("utf8", "replace").rstrip("\r\n")[:SHOWN]
