"""The rows of one file. A row that cannot be read is said to be one, and the next is read."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import IO, Any

from spacy_falconer.corpus.files import InputFile, name_without_ending, open_bytes
from spacy_falconer.errors import CorpusError
from spacy_falconer.types import HALF_CHARACTER

Row = dict[str, Any]
Cells = list[str]

LONGEST_LINE = 2**26  # Bytes. A longer one is no row, but a file without line ends.
LONGEST_CELL = 2**26  # Characters; csv refuses more than 131,072 unless told otherwise.
LONGEST_RUN = 2**25  # Bytes, about, of the lines that a quoted cell goes on over. A longer one is a stray quote.
LINE_BYTES = 64  # That Python takes for a line beside its characters.
SHOWN = 200  # Characters of a row that cannot be read.
LINE_END = re.compile("[\r\n]")


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
        start = show(line)
        while line and not line.endswith(b"\n"):
            line = opened.readline(LONGEST_LINE)
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
    """The rows of a .csv or .tsv file, named by its first. Without that one, nothing of the file can be read."""
    csv.field_size_limit(LONGEST_CELL)
    with open_bytes(file.path) as opened:
        # What is not UTF-8 becomes half characters, and its row alone is refused.
        lines = io.TextIOWrapper(opened, encoding="utf-8-sig", errors="surrogateescape", newline="")
        rows = read_rows(lines, file.kind)
        number, header = next(rows, (0, []))
        if isinstance(header, Flaw):
            reason = f"the columns' names cannot be read, and without them nothing of the file: {header.reason}"
            yield number, replace(header, reason=reason, file_ends=True)
            return
        for number, cells in rows:
            yield number, cells if isinstance(cells, Flaw) else name_cells(cells, header)


def read_rows(lines: Iterator[str], kind: str) -> Iterator[tuple[int, Cells | Flaw]]:
    """Rows of cells, with the lines on which they end. The first says how many cells a row has.

    A cell that begins with a double quote ends with one; within it are separators, line ends, and doubled quotes. Where
    the quotes in a row do not pair so, or make a row of several lines that has not the first's number of cells, the
    line on which it begins is read alone, and the next as one on which a row begins: no line is lost. In .csv the line
    is a flaw. In .tsv, where most files quote nothing, its quotes are characters like any others; and so they are where
    a quoted cell would hold tabs of a line that has as many as a row.
    """
    quoted = csv.reader((), delimiter="\t" if kind == "tsv" else ",", strict=True).dialect
    following = Following(lines)
    number = n_cells = 0
    while line := following.begin_row():
        number += 1
        row: Cells | Flaw
        try:
            row = read_row(line, following, quoted, n_cells)
            number += len(following.taken)
        except csv.Error as error:
            following.put_back()
            row = read_alone(line, kind, error)
        if row:
            n_cells = n_cells or (0 if isinstance(row, Flaw) else len(row))
            yield number, row
    if following.damage is not None:
        raise following.damage


class Following:
    """The lines of a file, of which those that a row takes after its first can be put back.

    damage: Ended the lines, and is to be raised after them.
    """

    def __init__(self, lines: Iterator[str]):
        self.lines = self._until_damage(lines)
        self.ahead: deque[str] = deque()
        self.taken: list[str] = []
        self.damage: Exception | None = None

    def _until_damage(self, lines: Iterator[str]) -> Iterator[str]:
        try:
            for line in lines:  # noqa: UP028 (`yield from` would close the file)
                yield line
        except Exception as error:  # noqa: BLE001 (whatever it is, the rows before it come first)
            self.damage = error

    def begin_row(self) -> str:
        """Its first line, "" after the last row."""
        self.taken.clear()
        return self._next()

    def _next(self) -> str:
        return self.ahead.popleft() if self.ahead else next(self.lines, "")

    def take(self) -> Iterator[str]:
        """The lines after it, one by one."""
        return iter(self._next, "") if self.ahead else self.lines

    def put_back(self) -> None:
        self.ahead.extendleft(reversed(self.taken))


def read_row(line: str, following: Following, quoted: Any, n_cells: int) -> Cells:
    """The cells of the row that begins with a line.

    n_cells: Of a row of this file, 0 where it is not known yet.
    RAISES (csv.Error): The quotes in it do not pair, or they do so by chance.
    """
    if '"' not in line:
        return next(csv.reader((line,), quoted))
    cells, is_open = split_line(line, quoted)
    if is_open:
        cells = read_on(cells, following, quoted, n_cells)
    is_tabbed = quoted.delimiter == "\t" and "\t" in "".join(cells)
    if is_tabbed and takes_rows_in(cells, line, following.taken, n_cells):
        raise csv.Error("quotes around the tabs of a row")
    return cells


def read_on(cells: Cells, following: Following, quoted: Any, n_cells: int) -> Cells:
    """The cells of a row whose last so far goes on in the next line."""
    parts, n_bytes = [cells.pop()], 0
    for line in following.take():
        following.taken.append(line)
        n_bytes += len(line) + LINE_BYTES
        if n_bytes > LONGEST_RUN:
            break
        if '"' not in line:
            parts.append(line)
            continue
        pieces, is_open = split_line('"' + line, quoted)
        parts.append(pieces[0])
        if len(pieces) > 1:
            cells.append("".join(parts))
            parts = [pieces.pop()]
            cells += pieces[1:]
        if not is_open or len(cells) >= n_cells > 0:
            cells.append("".join(parts))
            if len(cells) != n_cells > 0:
                raise csv.Error(f"over several lines, and not of {n_cells} cells as the first row")
            return cells
    raise csv.Error(f"a quoted cell without an end in the file or the next {LONGEST_RUN:,} bytes")


def takes_rows_in(cells: Cells, line: str, taken: Sequence[str], n_cells: int) -> bool:
    """Whether a cell holds a tab of a line that has as many as a row, and so is most likely several cells."""
    if not taken:
        return len(cells) != n_cells == line.count("\t") + 1
    hold_tabs = any("\t" in cell and LINE_END.search(cell) for cell in cells)
    return hold_tabs and any(one.count("\t") + 1 >= n_cells > 1 for one in taken)


def split_line(line: str, quoted: Any) -> tuple[Cells, bool]:
    """Its cells, and whether the last goes on in the next line."""
    reader = csv.reader((line, '"'), quoted)  # The second is read only where a cell is open, and ends it.
    return next(reader), reader.line_num == 2


def read_alone(line: str, kind: str, error: csv.Error) -> Cells | Flaw:
    """A line that begins no row by its quotes."""
    if kind == "tsv" and '"' in line:
        try:
            return next(csv.reader((line,), delimiter="\t", quoting=csv.QUOTE_NONE))
        except csv.Error as other:
            error = other
    remedy = "" if kind == "tsv" or '"' not in line else (
        "; a cell that begins with a double quote ends with one, and one within it is written twice"
    )  # fmt: skip
    return Flaw(f"no {kind} ({error}){remedy}", mend(line.rstrip("\r\n")[:SHOWN]))


def name_cells(cells: Cells, header: Cells) -> Row | Flaw:
    """A row by its columns, None where it has no more cells; or what is wrong with it."""
    start = ",".join(cells[: len(header)])[:SHOWN]
    if len(cells) > len(header):
        return Flaw(
            f"more cells than the {len(header)} columns, the first beyond them {cells[len(header)][:60]!r}; a text that "
            "holds the separator stands in double quotes",
            start,
        )
    if any(not cell.isascii() and HALF_CHARACTER.search(cell) for cell in cells):
        return Flaw("not UTF-8", mend(start))
    return dict(zip_longest(header, cells))


def mend(text: str) -> str:
    """A text without the halves of characters that stand for bytes that are not UTF-8."""
    return text.encode("utf8", "surrogateescape").decode("utf8", "replace")


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
