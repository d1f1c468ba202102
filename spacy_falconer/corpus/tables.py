"""Read the rows of one file. A row that cannot be read becomes a flaw, and the next row is read."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, zip_longest
from typing import IO, Any

from spacy_falconer.corpus.files import InputFile, name_without_ending, open_bytes
from spacy_falconer.errors import CorpusError
from spacy_falconer.types import HALF_CHARACTER

Row = dict[str, Any]
Cells = list[str]

LONGEST_LINE = 2**26  # Bytes. A longer one is not a row, but a file without line ends.
LONGEST_CELL = 2**26  # Characters; csv refuses more than 131,072 unless told otherwise.
LONGEST_RUN = 2**25  # Bytes, about, of the lines that a quoted cell spans. Beyond that, its quote is a stray one.
LINE_BYTES = 64  # What a line takes in Python besides its characters.
SHOWN = 200  # Characters shown of a row that cannot be read.
LINE_END = re.compile("[\r\n]")


@dataclass(frozen=True)
class Flaw:
    """Why a row is not a record, and how the row begins.

    file_ends: Nothing after it in its file can be read either.
    """

    reason: str
    start: str = ""
    file_ends: bool = False


Numbered = Iterator[tuple[int, "Row | Flaw"]]


def find_reader(kind: str) -> Callable[[InputFile], Numbered]:
    """Return the reader for a kind of file. It yields the rows with their lines or, for Parquet, with their numbers."""
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
    """Yield the lines, and a flaw for each one that is too long to be held in memory."""
    while line := opened.readline(LONGEST_LINE):
        if len(line) < LONGEST_LINE or line.endswith(b"\n"):
            yield line
            continue
        start = show(line)
        while line and not line.endswith(b"\n"):
            line = opened.readline(LONGEST_LINE)
        yield Flaw(f"the line is longer than {LONGEST_LINE:,} bytes", start)


def parse_line(line: bytes) -> Row | Flaw:
    """Parse one line of JSON, which must be an object."""
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return Flaw(f"not UTF-8 ({error.reason} at byte {error.start})", show(line))
    except (ValueError, RecursionError) as error:
        return Flaw(f"not JSON ({error})", show(line))
    return row if isinstance(row, dict) else Flaw("not a JSON object", show(line))


def read_csv(file: InputFile) -> Numbered:
    """Yield the rows of a .csv or .tsv file, with the names in its first row. Without that row, nothing can be read."""
    csv.field_size_limit(LONGEST_CELL)
    with open_bytes(file.path) as opened:
        # Bytes that are not UTF-8 become half characters, so that only their row is refused.
        lines = io.TextIOWrapper(opened, encoding="utf-8-sig", errors="surrogateescape", newline="")
        rows = read_rows(lines, file.kind)
        number, header = next(rows, (0, []))
        if isinstance(header, Flaw):
            reason = f"the columns' names cannot be read, and without them nothing in the file can: {header.reason}"
            yield number, replace(header, reason=reason, file_ends=True)
            return
        names = number_names(header)
        for number, cells in rows:
            yield number, cells if isinstance(cells, Flaw) else name_cells(cells, names)


def read_rows(lines: Iterator[str], kind: str) -> Iterator[tuple[int, Cells | Flaw]]:
    """Yield rows of cells, with the lines on which they end. The first row says how many cells a row has.

    A cell that begins with a double quote ends with one, and may hold separators, line ends and doubled quotes. If the
    quotes in a row do not pair like this, or make a row of several lines without the first row's number of cells, the
    line on which it begins is read alone, and the next line begins a new row, so that no line is lost. In .csv such a
    line is a flaw. In .tsv, where most files quote nothing, its quotes are ordinary characters; this is also so if a
    quoted cell would hold tabs of a line that has as many tabs as a row.
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
    """The lines of a file. Those that a row takes after its first line can be put back.

    damage: The error that ended the lines, to be raised after them.
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
        """Return the first line of the next row, "" after the last row."""
        self.taken.clear()
        return self._next()

    def _next(self) -> str:
        return self.ahead.popleft() if self.ahead else next(self.lines, "")

    def take(self) -> Iterator[str]:
        """Return an iterator over the lines that follow."""
        return iter(self._next, "") if self.ahead else self.lines

    def put_back(self) -> None:
        self.ahead.extendleft(reversed(self.taken))


def read_row(line: str, following: Following, quoted: Any, n_cells: int) -> Cells:
    """Return the cells of the row that begins with a line.

    n_cells: How many cells a row of this file has, 0 if that is not known yet.
    RAISES (csv.Error): The quotes in the row do not pair, or pair only by chance.
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
    """Return the cells of a row whose last cell so far continues on the next line."""
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
                raise csv.Error(f"over several lines, and without the {n_cells} cells of the first row")
            return cells
    raise csv.Error(f"a quoted cell without an end in the file or the next {LONGEST_RUN:,} bytes")


def takes_rows_in(cells: Cells, line: str, taken: Sequence[str], n_cells: int) -> bool:
    """Return whether a cell holds tabs of a line that has as many as a row, and so is most likely several cells."""
    if not taken:
        return len(cells) != n_cells == line.count("\t") + 1
    hold_tabs = any("\t" in cell and LINE_END.search(cell) for cell in cells)
    return hold_tabs and any(one.count("\t") + 1 >= n_cells > 1 for one in taken)


def split_line(line: str, quoted: Any) -> tuple[Cells, bool]:
    """Return a line's cells, and whether the last one continues on the next line."""
    reader = csv.reader((line, '"'), quoted)  # The second line is read only if a cell is open, and ends it.
    return next(reader), reader.line_num == 2


def read_alone(line: str, kind: str, error: csv.Error) -> Cells | Flaw:
    """Read a line whose quotes do not make it the beginning of a row."""
    if kind == "tsv" and '"' in line:
        try:
            return next(csv.reader((line,), delimiter="\t", quoting=csv.QUOTE_NONE))
        except csv.Error as other:
            error = other
    remedy = "" if kind == "tsv" or '"' not in line else (
        "; a cell that begins with a double quote must end with one, and one inside it must be written twice"
    )  # fmt: skip
    return Flaw(f"not {kind} ({error}){remedy}", show(line))


def number_names(header: Cells) -> Cells:
    """Return the columns' names; of several columns of one name, all but the first with a number: "note", "note.1"."""
    names: Cells = []
    for name in header:
        numbered = (f"{name}.{n}" for n in count(1))
        names.append(name if not name or name not in names else next(one for one in numbered if one not in names))
    return names


def name_cells(cells: Cells, header: Cells) -> Row | Flaw:
    """Return a row by column name, with None for missing cells, or a flaw if something is wrong with it."""
    start = ",".join(cells[: len(header)])[:SHOWN]
    if len(cells) > len(header):
        return Flaw(
            f"more cells than the {len(header)} columns, the first beyond them {cells[len(header)][:60]!r}; put a text "
            "that holds the separator in double quotes",
            start,
        )
    if any(not cell.isascii() and HALF_CHARACTER.search(cell) for cell in cells):
        return Flaw("not UTF-8", show(start))
    return dict(zip_longest(header, cells))


def read_txt(file: InputFile) -> Numbered:
    """Yield the text of a .txt file as one row. The file's name is the id."""
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
    """Yield a batch's rows. If some cannot be read, the batch is read row by row."""
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError):  # Text that is not UTF-8, dates beyond Python's.
        if batch.num_rows > 1:
            for i in range(batch.num_rows):
                yield from read_batch(batch.slice(i, 1))
        else:
            yield Flaw("a value that Python cannot hold")


def show(data: bytes | str) -> str:
    """Return the beginning of some data as text. In a text, half characters stand for bytes that are not UTF-8."""
    data = data.encode("utf8", "surrogateescape") if isinstance(data, str) else data
    return data[: 4 * SHOWN].decode("utf8", "replace").rstrip("\r\n")[:SHOWN]
