"""Corpora, one record after another: jsonl, csv, parquet, a text file, a folder of text files."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_falconer.errors import CorpusError
from spacy_falconer.types import Record

if TYPE_CHECKING:
    from spacy.language import Language

Row = dict[str, Any]
Numbered = Iterator[tuple[int, Row]]


def read_corpus(path: str | Path, *, text_field: Sequence[str] = ("text",), id_field: str = "id") -> Iterator[Record]:
    """Read a corpus lazily.

    path: A .jsonl, .csv (either may end in .gz), .parquet or .txt file, or a folder of .txt files.
    text_field: The columns of the text; several are joined by a blank line.
    id_field (str): The column of the id; a row without one is named by its line.
    RAISES (CorpusError): With the line, where a row cannot be read.
    """
    path = Path(path)
    read = find_reader(path)
    for line, row in read(path):
        yield make_record(row, line, path, text_field=text_field, id_field=id_field)


def find_reader(path: Path) -> Callable[[Path], Numbered]:
    """The reader for a kind of file, by its name."""
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    readers = {".jsonl": read_jsonl, ".csv": read_csv, ".parquet": read_parquet, ".txt": read_texts}
    if path.is_dir() or suffix in readers:
        return read_texts if path.is_dir() else readers[suffix]
    raise CorpusError(
        f"The corpus {str(path)!r} is of no known kind. Expected a .jsonl, .csv, .parquet or .txt file, or a folder of "
        ".txt files. Convert it to one of them."
    )


def make_record(row: Row, line: int, path: Path, *, text_field: Sequence[str], id_field: str) -> Record:
    """A row's text, id and other columns."""
    parts = [row.get(name) for name in text_field]
    wrong = [name for name, part in zip(text_field, parts, strict=True) if not isinstance(part, str)]
    if wrong:
        raise CorpusError(
            f"{path}, line {line}: the text column {wrong[0]!r} holds {str(row.get(wrong[0]))[:60]!r}; expected text. "
            f"The columns: {', '.join(map(str, row))}. Name the right one by --text-field."
        )
    fields = {name: value for name, value in row.items() if name not in text_field and name != id_field}
    found = row.get(id_field)
    return Record(str(found) if found not in (None, "") else f"line-{line}", "\n\n".join(parts), fields)


def read_jsonl(path: Path) -> Numbered:
    with open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, parse_line(line, number, path)


def parse_line(line: str, number: int, path: Path) -> Row:
    """One line of JSON, which must be an object."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise CorpusError(f"{path}, line {number}: no JSON ({error}): {line[:60]!r}. Correct or remove it.") from None
    if not isinstance(row, dict):
        raise CorpusError(f"{path}, line {number}: {line[:60]!r}; expected an object with a text. Correct or remove it.")
    return row


def read_csv(path: Path) -> Numbered:
    with open_text(path) as lines:
        reader = csv.DictReader(lines)
        for row in reader:
            yield reader.line_num, {name: value for name, value in row.items() if name is not None}


def read_texts(path: Path) -> Numbered:
    """Every .txt file is one text, and its name the id."""
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise CorpusError(f"The folder {str(path)!r} holds no .txt file. Name the folder that holds the texts.")
    for number, file in enumerate(files, start=1):
        yield number, {"id": file.stem, "text": file.read_text(encoding="utf8")}


def read_parquet(path: Path) -> Numbered:
    try:
        from pyarrow import parquet
    except ImportError:
        raise CorpusError(
            f"Reading {str(path)!r} needs pyarrow. Install it: pip install 'spacy-falconer[parquet]'."
        ) from None
    number = 0
    for batch in parquet.ParquetFile(path).iter_batches():
        for row in batch.to_pylist():
            number += 1
            yield number, row


def open_text(path: Path) -> Any:
    """A text file, unpacked where its name says that it is packed."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def split_sentences(records: Iterable[Record], nlp: Language | None = None) -> Iterator[Record]:
    """Every sentence as a record of its own, with its document's id and columns, and its characters in "sentence".

    nlp (Language): Its sentence starts are used where one of its components sets them by rule; else spaCy's own rules.
    """
    sentencizer = _make_sentencizer(nlp)
    for record in records:
        for sent in sentencizer(record.text).sents:
            if sent.text.strip():
                place = {"start": sent.start_char, "end": sent.end_char}
                yield Record(record.id, sent.text, {**record.fields, "sentence": place})


def _make_sentencizer(nlp: Language | None) -> Callable:
    import spacy

    rules = spacy.blank(nlp.lang if nlp is not None else "en")
    rules.add_pipe("sentencizer")
    return rules
