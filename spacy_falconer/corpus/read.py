"""Read corpora one record after another: jsonl, csv, tsv, Parquet, text files, and folders of them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from gzip import BadGzipFile
from pathlib import Path
from typing import Any, NamedTuple

from spacy_falconer.corpus.files import InputFile, list_files
from spacy_falconer.corpus.sentences import read_units as read_units
from spacy_falconer.corpus.sentences import split_sentences as split_sentences
from spacy_falconer.corpus.tables import SHOWN, Flaw, Numbered, Row, find_reader
from spacy_falconer.errors import CorpusError
from spacy_falconer.types import HALF_CHARACTER, Record

ID_FIELD = "id"  # Records without it are named after their place. Another column must exist if it is named.


class Place(NamedTuple):
    """Where a row is: its file, and the line on which it ends or, in Parquet, its number."""

    file: str
    line: int


Item = tuple[Place, "Record | Flaw"]


def read_corpus(
    path: str | Path, *, text_field: Sequence[str] = ("text",), id_field: str = ID_FIELD
) -> Iterator[Record]:
    """Read a corpus lazily, and fail at the first row that cannot be read.

    path: A .jsonl, .csv, .tsv or .txt file (each may end in .gz or .zst), a .parquet file, or a folder of one kind.
    text_field: The columns of the text; several are joined by a blank line.
    id_field (str): The column of the id; a row without one is named after its line.
    RAISES (CorpusError): A row cannot be read. The message names the line.
    """
    for place, item in read_items(path, text_field=text_field, id_field=id_field):
        if isinstance(item, Flaw):
            raise CorpusError(describe_flaw(place, item))
        yield item


def read_items(path: str | Path, *, text_field: Sequence[str] = ("text",), id_field: str = ID_FIELD) -> Iterator[Item]:
    """Read a corpus lazily, like `read_corpus`, with a `Flaw` in the place of each bad row.

    A damaged file is read up to the damage, and then the next file is read.
    RAISES (CorpusError): There is no such corpus, or a file cannot be opened.
    """
    for file in list_files(Path(path)):
        for line, row in read_file(file):
            read = (
                row if isinstance(row, Flaw) else make_record(row, line, file, text_field=text_field, id_field=id_field)
            )
            yield Place(str(file.path), line), read


def describe_flaw(place: Place, flaw: Flaw) -> str:
    start = f" It begins: {flaw.start[:60]!r}." if flaw.start else ""
    after = "after " if flaw.file_ends else ""
    return f"{place.file}, {after}line {place.line}: {flaw.reason}.{start} Correct or remove it."


def read_file(file: InputFile) -> Numbered:
    """Yield the rows with their lines. Damage that ends the file is yielded last."""
    line, rows = 0, find_reader(file.kind)(file)
    try:
        for line, row in rows:
            yield line, row
    except CorpusError:
        raise
    except (BadGzipFile, EOFError, ValueError, zlib.error) as error:  # zstandard's and pyarrow's are ValueErrors.
        reason = f"the file is damaged, or not what its name says; nothing more of it can be read ({error})"
        yield line, Flaw(reason, file_ends=True)
    except OSError as error:
        raise CorpusError(
            f"{file.path}, after line {line}: cannot be read ({error}). Check the disk and its permissions, and run it again."
        ) from error


def make_record(row: Row, line: int, file: InputFile, *, text_field: Sequence[str], id_field: str) -> Record | Flaw:
    """Make a record of a row's text, id and other columns, or a flaw if it cannot be one."""
    parts: list[Any] = [row.get(name) for name in text_field]
    wrong = [name for name, part in zip(text_field, parts, strict=True) if not isinstance(part, str)]
    if wrong:
        return Flaw(describe_column(wrong[0], row), show_row(row))
    is_named = id_field not in ("", ID_FIELD)
    if is_named and id_field not in row:
        columns = ", ".join(map(str, row))[:SHOWN]
        return Flaw(
            f"there is no id column {id_field!r}; the columns: {columns}. Name it with --id-field", show_row(row)
        )
    text, found = "\n\n".join(parts), row.get(id_field)
    has_id = found not in (None, "")
    if is_named and not has_id:
        return Flaw(
            f"its id column {id_field!r} is empty; expected an id. Name another one with --id-field", show_row(row)
        )
    name = str(found) if has_id else f"{file.name}:{line}" if file.name else f"line-{line}"
    if HALF_CHARACTER.search(text) or HALF_CHARACTER.search(name):  # JSON can write it; spaCy cannot read it.
        return Flaw("half a character (a lone surrogate) in its text or id", show_row(row))
    fields = {key: value for key, value in row.items() if key not in text_field and key != id_field}
    return Record(name, text, fields)


def describe_column(name: str, row: Row) -> str:
    held = f"holds {str(row[name])[:60]!r}" if row.get(name) is not None else "is empty or not there"
    columns = ", ".join(map(str, row))[:SHOWN]
    return f"the text column {name!r} {held}; expected text. The columns: {columns}. Name it with --text-field"


def show_row(row: Row) -> str:
    return json.dumps(row, default=str)[:SHOWN]
