"""Corpora, one record after another: jsonl, csv, parquet, a text file, a folder of text files."""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_falconer.errors import CorpusError
from spacy_falconer.types import CharSpan, Record

if TYPE_CHECKING:
    from spacy.language import Language

Row = dict[str, Any]
Numbered = Iterator[tuple[int, Row]]

ZONE_SIZE = 256  # Texts after which the strings that they brought into the vocabulary are forgotten.
HALF_CHARACTER = re.compile("[\ud800-\udfff]")
LONGEST_FIELD = 2**31 - 1  # csv refuses texts over 131,072 characters unless told otherwise.


def read_corpus(path: str | Path, *, text_field: Sequence[str] = ("text",), id_field: str = "id") -> Iterator[Record]:
    """Read a corpus lazily.

    path: A .jsonl, .csv (either may end in .gz), .parquet or .txt file, or a folder of .txt files.
    text_field: The columns of the text; several are joined by a blank line.
    id_field (str): The column of the id; a row without one is named by its line.
    RAISES (CorpusError): With the line, where a row cannot be read.
    """
    path = Path(path)
    for line, row in read_rows(path):
        yield make_record(row, line, path, text_field=text_field, id_field=id_field)


def read_rows(path: Path) -> Numbered:
    """The rows and their lines. Whatever stops the reading is said with the line after which it did."""
    read, line = find_reader(path), 0
    try:
        for line, row in read(path):
            yield line, row
    except CorpusError:
        raise
    except (OSError, EOFError, ValueError, csv.Error, zlib.error) as error:  # pyarrow's are ValueErrors.
        raise CorpusError(
            f"{path}, after line {line}: cannot be read ({error}). Expected a whole file, text in UTF-8 and, where its "
            "name ends in .gz, packed by gzip. Check the file."
        ) from error


def find_reader(path: Path) -> Callable[[Path], Numbered]:
    """The reader for a kind of file, by its name."""
    if not path.exists():
        raise CorpusError(f"There is no corpus {str(path)!r}. Expected a file, or a folder of .txt files. Correct it.")
    if path.is_dir():
        return read_texts
    tables = {".jsonl": read_jsonl, ".jsonl.gz": read_jsonl, ".csv": read_csv, ".csv.gz": read_csv}
    for ending, reader in {**tables, ".parquet": read_parquet, ".txt": read_texts}.items():
        if path.name.lower().endswith(ending):
            return reader
    raise CorpusError(
        f"The corpus {str(path)!r} is of no known kind. Expected a .jsonl, .csv (either may end in .gz), .parquet or "
        ".txt file, or a folder of .txt files. Convert it to one of them."
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
    text = "\n\n".join(parts)
    if HALF_CHARACTER.search(text):  # JSON can write it; spaCy cannot read it.
        raise CorpusError(f"{path}, line {line}: {text[:60]!r} holds half a character (a lone surrogate). Remove it.")
    fields = {name: value for name, value in row.items() if name not in text_field and name != id_field}
    found = row.get(id_field)
    return Record(str(found) if found not in (None, "") else f"line-{line}", text, fields)


def read_jsonl(path: Path) -> Numbered:
    with open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, parse_line(line, number, path)


def parse_line(line: str, number: int, path: Path) -> Row:
    """One line of JSON, which must be an object."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path}, line {number}: no JSON ({error}): {line[:60]!r}. Correct or remove it.") from None
    if not isinstance(row, dict):
        raise CorpusError(f"{path}, line {number}: {line[:60]!r}; expected an object. Correct or remove it.")
    return row


def read_csv(path: Path) -> Numbered:
    csv.field_size_limit(LONGEST_FIELD)
    with open_text(path) as lines:
        reader = csv.DictReader(lines)
        for row in reader:
            if None in row:
                raise CorpusError(
                    f"{path}, line {reader.line_num}: more cells than the {len(row) - 1} columns; the first beyond "
                    f"them is {row[None][0][:60]!r}. Put a text that holds commas in double quotes."
                )
            yield reader.line_num, row


def read_texts(path: Path) -> Numbered:
    """Every .txt file is one text, and its name the id."""
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise CorpusError(f"The folder {str(path)!r} holds no .txt file. Name the folder that holds the texts.")
    for number, file in enumerate(files, start=1):
        try:
            with open_text(file) as opened:
                text = opened.read()
        except (OSError, UnicodeDecodeError) as error:
            raise CorpusError(f"{file} cannot be read ({error}). Expected text in UTF-8. Convert it.") from None
        yield number, {"id": file.stem, "text": text}


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
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def read_units(records: Iterable[Record], unit: str, nlp: Language | None = None) -> Iterable[Record]:
    """What a plan takes for a text: the records as they are, or with `unit` "sentence" their sentences."""
    return split_sentences(records, nlp) if unit == "sentence" else records


def split_sentences(records: Iterable[Record], nlp: Language | None = None) -> Iterator[Record]:
    """Every sentence as a record of its own, with its document's id and columns, and its characters in "sentence".

    nlp (Language): Gives the language, and the closing marks where it holds a "sentencizer". English by default.
    """
    rules, rest = _make_rules(nlp), iter(records)
    while chunk := list(islice(rest, ZONE_SIZE)):
        with rules.memory_zone():
            places = [_cut_sentences(record.text, rules) for record in chunk]
        for record, cut in zip(chunk, places, strict=True):
            for place in cut:
                sentence = {"start": place.start, "end": place.end}
                yield Record(record.id, record.text[place.start : place.end], {**record.fields, "sentence": sentence})


def _cut_sentences(text: str, rules: Language) -> list[CharSpan]:
    return [CharSpan(sent.start_char, sent.end_char) for sent in rules(text).sents if sent.text.strip()]


def _make_rules(nlp: Language | None) -> Language:
    """A pipeline of sentence rules alone, for texts of any length."""
    import spacy

    rules = spacy.blank(nlp.lang if nlp is not None else "en")
    marks = nlp.get_pipe("sentencizer").punct_chars if nlp is not None and nlp.has_pipe("sentencizer") else ()
    rules.add_pipe("sentencizer", config={"punct_chars": sorted(marks) or None})
    rules.max_length = sys.maxsize
    return rules
