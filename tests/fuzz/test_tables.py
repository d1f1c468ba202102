"""Tables as csv writes them, and tables with quotes strewn in."""

from __future__ import annotations

import csv

from anything import fuzz
from hypothesis import given
from hypothesis import strategies as st

from spacy_falconer.corpus.files import InputFile
from spacy_falconer.corpus.tables import Flaw, read_csv

SEPARATORS = {"csv": ",", "tsv": "\t"}
kinds = st.sampled_from(list(SEPARATORS))
cells = st.text(st.sampled_from('ab "\n\r,\té👍'), max_size=8) | st.text(
    st.characters(exclude_characters="\0", codec="utf8")
)
tables = st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(cells, min_size=n, max_size=n), min_size=1, max_size=6))
strewn = st.text(st.sampled_from('abc""'), max_size=6)


def read(path, kind):
    return list(read_csv(InputFile(path, kind)))


@fuzz
@given(kinds, tables, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
def test_what_csv_writes_is_read_back(tmp_path, kind, rows, quoting):
    if kind == "tsv":  # Where a cell of many lines and tabs may be rows with stray quotes.
        rows = [[cell.replace("\t", " ") for cell in row] for row in rows]
    header = [f"column {i}" for i in range(len(rows[0]))]
    with (tmp_path / "table").open("w", encoding="utf8", newline="") as opened:
        csv.writer(opened, delimiter=SEPARATORS[kind], quoting=quoting).writerows([header, *rows])
    found = read(tmp_path / "table", kind)
    assert [row for _, row in found] == [dict(zip(header, row, strict=True)) for row in rows]


@st.composite
def strewn_tables(draw):
    """Rows of cells in which quotes stand anywhere, and a mark of its own in each."""
    n_cells = draw(st.integers(1, 3))
    rows = draw(st.lists(st.lists(strewn, min_size=n_cells, max_size=n_cells), max_size=12))
    marked, sides = (
        [],
        st.tuples(st.integers(0, n_cells - 1), st.sampled_from(["{0}{1}", "{1}{0}", '"{0}{1}', '{1}{0}"'])),
    )
    for i, row in enumerate(rows):
        place, form = draw(sides)
        marked.append([*row[:place], form.format(f"<{i}>", row[place]), *row[place + 1 :]])
    return [[f"column {i}" for i in range(n_cells)], *marked]


@fuzz
@given(kinds, strewn_tables(), st.sampled_from(["\n", "\r\n"]))
def test_every_row_is_read_or_rejected_by_its_line(tmp_path, kind, rows, end):
    (tmp_path / "table").write_text(end.join(SEPARATORS[kind].join(row) for row in rows), newline="")
    found = read(tmp_path / "table", kind)
    rejected = {line for line, row in found if isinstance(row, Flaw)}
    text = "\n".join(str(cell) for _, row in found if not isinstance(row, Flaw) for cell in row.values())
    for i in range(len(rows) - 1):
        assert text.count(f"<{i}>") + (i + 2 in rejected) == 1
    assert [line for line, _ in found] == sorted({line for line, _ in found})
    assert kind == "csv" or not rejected


@fuzz
@given(strewn_tables().filter(lambda rows: len(rows[0]) > 1), st.sampled_from(["\n", "\r\n"]))
def test_every_line_of_a_tsv_is_a_row(tmp_path, rows, end):
    (tmp_path / "table").write_text(end.join("\t".join(row) for row in rows), newline="")
    found = read(tmp_path / "table", "tsv")
    expected = [without_quotes(row) for row in rows[1:]]
    assert [(line, list(row.values())) for line, row in found] == list(enumerate(expected, start=2))


def without_quotes(row):
    """A row's cells, without the quotes around them where all of them pair."""
    try:
        cells = next(csv.reader(["\t".join(row)], delimiter="\t", strict=True))
    except csv.Error:
        return row
    return cells if len(cells) == len(row) else row
