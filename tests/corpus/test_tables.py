"""Quotes in .csv and .tsv files, those that stray among them; and lines that are too long."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tracemalloc

import pytest

from spacy_falconer.corpus import tables
from spacy_falconer.corpus.read import read_items
from spacy_falconer.corpus.tables import Flaw, read_lines

HEADER = "id,text\n1,good\n"
REST = "3,bad\n4,worse\n"


@pytest.fixture
def read(tmp_path):
    """Write a table, given with commas, and read it: texts with their lines, and of what is none its line and reason."""

    def read_table(content, kind="csv", data=None):
        path = tmp_path / f"c.{kind}"
        content = content.replace(",", "\t") if kind.startswith("tsv") else content
        path.write_bytes(content.encode("utf8", "surrogateescape") if data is None else data)
        return [(place.line, item if isinstance(item, Flaw) else item.text) for place, item in read_items(path)]

    return read_table


STRAYS = [  # A row whose quotes do not pair, and how its reason begins.
    ('2,"Great phone; cost $3', "not csv (a quoted cell without an end"),
    ('2,"Great" phone', "not csv (',' expected after '\"')"),
    ('2,"Great phone\n22,"Great" phone', "not csv (',' expected after '\"')"),
    ('2,"Great phone\n22,5"', ""),
    ('2,"Great phone\n22,x","y"', "not csv (over several lines, and without the 2 cells"),
    ('2,"Great phone\n22,x","open', "not csv (over several lines, and without the 2 cells"),
]


@pytest.mark.parametrize(("rows", "reason"), [stray for stray in STRAYS if stray[1]])
def test_a_stray_quote_costs_its_own_row_in_csv(read, rows, reason):
    one, (line, flaw), *others = read(HEADER + rows + "\n" + REST)
    assert one == (2, "good") and line == 3 and flaw.reason.startswith(reason) and "written twice" in flaw.reason
    assert flaw.start == rows.split("\n")[0] and not flaw.file_ends
    last = rows.count("\n") + 4
    assert others[-2:] == [(last, "bad"), (last + 1, "worse")]
    assert [line for line, _ in others] == list(range(4, last + 2))


@pytest.mark.parametrize("rows", [stray[0] for stray in STRAYS])
def test_a_stray_quote_is_a_character_in_tsv(read, rows):
    rows = rows.replace('x","y"', 'x;"y"').replace('x","open', 'x;"open')
    texts = ["good", *(row.split(",")[1] for row in rows.split("\n")), "bad", "worse"]
    assert read(HEADER + rows + "\n" + REST, "tsv") == list(enumerate(texts, start=2))


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_quotes_within_a_cell_are_characters(read, kind):
    assert read('id,text\n1,5" wide\n2,so "great"!\n3, "x" \n', kind) == [
        (2, '5" wide'), (3, 'so "great"!'), (4, ' "x" ')
    ]  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_quotes_that_pair_are_none_of_the_text(read, kind, end):
    assert read(f'text,n\n"a ""b""\r\n\r\nc",1{end}', kind) == [(4, 'a "b"\r\n\r\nc')]


def test_a_quoted_tab_is_a_character_where_it_makes_no_row_too_short(read):
    assert read('id,text,n\n1,"a\tb",3\n'.replace(",", "\t"), "tsv") == [(2, "a\tb")]
    assert read('id,text,n\n1,"a,b"\n', "tsv") == [(2, '"a')]


def test_a_quoted_cell_of_a_tsv_takes_no_rows_in(read):
    rows = '1,"Great,5\n2,so so,3\n3,TV 55",4\n"4,x,1\n5",y,2\n'
    texts = ['"Great', "so so", 'TV 55"', "x", "y"]
    assert read("id,text,stars\n" + rows, "tsv") == list(enumerate(texts, start=2))


def test_a_header_with_a_stray_quote_ends_its_file(read):
    ((line, flaw),) = read('id,"text\n1,good\n')
    assert line == 1 and flaw.file_ends and flaw.reason.startswith("the columns' names cannot be read")
    assert read('id,text,"more"less\n1,good,x\n', "tsv") == [(2, "good")]


def test_a_stray_quote_reaches_no_further_than_so_many_bytes(read, monkeypatch):
    monkeypatch.setattr(tables, "LONGEST_RUN", 2_000)
    n_taken = 0

    def count():
        nonlocal n_taken
        for line in ["id,text\n", '1,"open\n', *["2,x\n"] * 1_000]:
            n_taken += 1
            yield line

    rows = tables.read_rows(count(), "csv")
    (_, (line, flaw)) = next(rows), next(rows)
    assert line == 2 and "2,000 bytes" in flaw.reason and n_taken < 40
    assert [(line, cells) for line, cells in rows] == [(i, ["2", "x"]) for i in range(3, 1_003)]


def test_a_stray_quote_at_the_head_of_a_large_file_holds_little_of_it(read, monkeypatch):
    monkeypatch.setattr(tables, "LONGEST_RUN", 2**16)
    lines = (line for part in (['text\n"open\n'], ("x" * 100 + "\n" for _ in range(50_000))) for line in part)
    tracemalloc.start()
    assert sum(1 for _ in tables.read_rows(lines, "csv")) == 50_001
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("row", ['2","b', '"', '"a""', 'x,"y', '""a"'])
@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_stray_quotes_in_every_row_are_read_in_a_few_looks_at_each(monkeypatch, row, kind):
    n_looks, split = 0, tables.split_line

    def count(line, quoted):
        nonlocal n_looks
        n_looks += 1
        return split(line, quoted)

    monkeypatch.setattr(tables, "split_line", count)
    row = row.replace(",", "\t") if kind == "tsv" else row
    lines = iter(["id,text\n".replace(",", "\t" if kind == "tsv" else ","), *[row + "\n"] * 2_000])
    assert sum(1 for _ in tables.read_rows(lines, kind)) in (1_001, 2_001)
    assert n_looks <= 4 * 2_000


def test_what_a_stray_quote_looked_at_is_read_before_the_damage(read):
    rows = [f"{i},{hashlib.sha256(b'%d' % i).hexdigest()}\n" for i in range(5_000)]
    data = gzip.compress(('id,text\n0,"open\n' + "".join(rows)).encode())
    (line, flaw), *others, (after, damage) = read("", "csv.gz", data[: len(data) // 2])
    assert line == 2 and not flaw.file_ends
    assert damage.file_ends and after == others[-1][0] == len(others) + 2 > 1_000
    assert [text for _, text in others[:-1]] == [row[:-1].split(",")[1] for row in rows[: len(others) - 1]]


def test_a_stray_quote_beside_what_is_not_utf8(read):
    (line, flaw), other = read('id,text\n1,"\udcffopen\n2,good\n')
    assert line == 2 and flaw.start == '1,"�open' and other == (3, "good")
    ((line, flaw),) = read('id,text\n1,"\udcffopen\n', "tsv")
    assert line == 2 and flaw.reason == "not UTF-8" and json.dumps(flaw.start, ensure_ascii=False).encode()


def test_a_line_of_three_chunks_is_shown_from_its_first(monkeypatch):
    monkeypatch.setattr(tables, "LONGEST_LINE", 50)
    flaw, line = read_lines(io.BytesIO(b"A" * 50 + b"B" * 50 + b"C" * 50 + b"\nxx\n"))
    assert flaw.start == "A" * 50 and line == b"xx\n"
