"""CoNLL: one token per line with its tag, a blank line after each sentence. Tags are BIO, IOB, IOBES or BILOU."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spacy_falconer.errors import AnswerError
from spacy_falconer.plan.show import show
from spacy_falconer.types import CharSpan
from spacy_falconer.workflow.own.names import Names
from spacy_falconer.workflow.own.spacing import join_tokens
from spacy_falconer.workflow.review.files import Found, Reject
from spacy_falconer.workflow.review.work import Mark, Work

TAG = re.compile(r"O|[BILOUESM]-\S.*")
STARTS, ENDS = frozenset("BSU"), frozenset("SUEL")
BLANKS = " \t\r"  # What separates cells. Other white space, as the space that does not break, may be in a token.
TAB, SPACES = re.compile("\t"), re.compile("[ \t]+")
MARKER = "-DOCSTART-"


@dataclass(frozen=True)
class Line:
    number: int
    cells: tuple[str, ...]


def read(path: Path, names: Names) -> Iterator[Found | Reject]:
    """Yield each sentence as a text. Every label that occurs anywhere in the file counts as asked of all its sentences.

    RAISES (AnswerError): The file cannot be read, or has no column of tags.
    """
    sentences = list(split_sentences(read_lines(path)))
    column = find_tag_column(sentences, path)
    for sentence in sentences:
        where = f"{path}, line {sentence[0].number}"
        try:
            yield Found(where, read_sentence(sentence, column, names, by=path.name), None)
        except AnswerError as error:
            yield Reject(where, str(error), [" ".join(line.cells) for line in sentence])


def read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise AnswerError(f"{path}: cannot be read ({error}). Expected CoNLL in UTF-8. Check the file.") from None


def split_sentences(lines: Sequence[str]) -> Iterator[list[Line]]:
    """Yield the sentences, without comments and document marks. Cells are separated by tabs if the file has any."""
    space = TAB if any("\t" in line for line in lines) else SPACES
    sentence: list[Line] = []
    for number, line in enumerate([*lines, ""], start=1):
        cells = tuple(cell.strip(BLANKS) for cell in space.split(line.strip(BLANKS)))
        if not line.strip(BLANKS) or cells[0] == MARKER:
            if sentence:
                yield sentence
            sentence = []
        elif not is_comment(cells):
            sentence.append(Line(number, cells))


def is_comment(cells: Sequence[str]) -> bool:
    """Return whether a line begins with # and has no tag."""
    return cells[0].startswith("#") and not any(TAG.fullmatch(cell) for cell in cells[1:])


def find_tag_column(sentences: Iterable[Sequence[Line]], path: Path) -> int:
    """Return the column of tags: -1 for the last one, or 0 for the first one, if the tags come before the tokens.

    RAISES (AnswerError): Neither has tags.
    """
    lines = [line for sentence in sentences for line in sentence if len(line.cells) > 1]
    for column in (-1, 0):
        if lines and 2 * sum(bool(TAG.fullmatch(line.cells[column])) for line in lines) > len(lines):
            return column
    shown = show(" ".join(lines[0].cells)) if lines else "no line of two columns"
    raise AnswerError(
        f"{path} has no column of tags: {shown}. Expected one token per line and, last, its tag: O, B-LABEL, I-LABEL (or "
        "those of IOBES or BILOU). Name its format by --format, or correct it."
    )


def read_sentence(sentence: Sequence[Line], column: int, names: Names, *, by: str) -> Work:
    """Read a sentence as a text with marks.

    RAISES (AnswerError): A line has no token or no tag of a known form.
    """
    for line in sentence:
        if len(line.cells) < 2 or not TAG.fullmatch(line.cells[column]) or not line.cells[0 if column else 1]:
            raise AnswerError(
                f"Line {line.number} is {show(' '.join(line.cells))}; expected a token and a tag such as O, B-LABEL or "
                "I-LABEL. Correct the line."
            )
    text, places = join_tokens([line.cells[0 if column else 1] for line in sentence])
    spans = decode_tags([line.cells[column] for line in sentence])
    marks = [
        Mark(key, places[span.start].start, places[span.end - 1].end)
        for name, span in spans for key in names.take(name, "get_span")
    ]  # fmt: skip
    return Work(text, by, marks=tuple(marks))


def decode_tags(tags: Sequence[str]) -> list[tuple[str, CharSpan]]:
    """Return the label and the tokens of each tagged passage, for any scheme: they differ only in what they leave out."""
    found: list[tuple[str, CharSpan]] = []
    is_open = False
    for i, tag in enumerate(tags):
        prefix, _, name = tag.partition("-")
        if not name:
            is_open = False
            continue
        if is_open and prefix not in STARTS and found[-1][0] == name:
            found[-1] = (name, CharSpan(found[-1][1].start, i + 1))
        else:
            found.append((name, CharSpan(i, i + 1)))
        is_open = prefix not in ENDS
    return found
