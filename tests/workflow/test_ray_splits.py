"""However a corpus is cut, its stretches one after another are the corpus. No cluster is needed for that."""

from __future__ import annotations

import gzip
import json

import pytest
import srsly

from spacy_falconer.corpus.read import read_items
from spacy_falconer.workflow.cluster import splits as module
from spacy_falconer.workflow.cluster.files import find_path
from spacy_falconer.workflow.cluster.splits import count_lines, cut_corpus, read_split

COLUMNS = {"text_field": ("text",), "id_field": "id"}


def read_all(path):
    splits = cut_corpus(path, lambda stretches: list(map(count_lines, stretches)))
    return splits, [item for split in splits for item in read_split(split, **COLUMNS)]


LINES = [
    b'{"text": "a"}',
    b"",
    b"no JSON",
    '{"text": "caf\u00e9 \u2028"}'.encode(),
    b'{"id": "x", "text": ""}\r',
    b"\xff",
]


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
@pytest.mark.parametrize("n_bytes", range(1, 100, 3))
def test_lines_cut_anywhere_are_the_same_lines(tmp_path, monkeypatch, n_bytes, end):
    monkeypatch.setattr(module, "SPLIT_BYTES", n_bytes)
    monkeypatch.setattr(module, "BLOCK", 5)
    path = tmp_path / "c.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"\n".join(LINES) + end)
    splits, items = read_all(path)
    assert items == list(read_items(path, **COLUMNS))
    assert len(splits) == -(-path.stat().st_size // n_bytes) if n_bytes < path.stat().st_size else len(splits) == 1
    assert [place.line for place, _ in items] == [1, 3, 4, 5, 6]


@pytest.mark.parametrize("n_rows", [1, 10, 1000])
def test_row_groups_are_the_same_rows(tmp_path, monkeypatch, n_rows):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(module, "SPLIT_ROWS", n_rows)
    monkeypatch.setattr(module, "SPLIT_BYTES", 1)
    for name, n in (("a", 24), ("b", 0), ("c", 5)):
        rows = [{"text": f"text {i}", "n": i} for i in range(n)]
        table = pa.Table.from_pylist(rows, schema=pa.schema([("text", pa.string()), ("n", pa.int64())]))
        parquet.write_table(table, tmp_path / f"{name}.parquet", row_group_size=7)
    (tmp_path / "d.parquet").write_bytes(b"no Parquet")
    splits, items = read_all(tmp_path)
    expected = list(read_items(tmp_path, **COLUMNS))
    assert items[:-1] == expected[:-1] and len(items) == 30
    assert items[-1][0] == expected[-1][0] and items[-1][1].file_ends and "damaged" in items[-1][1].reason
    assert len(splits) == {1: 4 + 1 + 1 + 1, 10: 2 + 1 + 1 + 1, 1000: 4}[n_rows]


def write_folder(folder):
    folder.mkdir()
    srsly.write_jsonl(folder / "a.jsonl", [{"text": f"text {i}"} for i in range(9)])
    with gzip.open(folder / "b.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps({"id": f"b{i}", "text": f"text {i}", "n": i}) + "\n" for i in range(9))
    (folder / "c.csv").write_text('id,text\n1,"two\nlines"\n2,one\n')
    return folder


@pytest.mark.parametrize("n_bytes", [1, 60, 10_000])
@pytest.mark.parametrize("protocol", ["", "file://"])
def test_a_folder_is_the_same_rows_near_and_far(tmp_path, monkeypatch, n_bytes, protocol):
    folder = write_folder(tmp_path / "corpus")
    if protocol:
        pytest.importorskip("upath")
    monkeypatch.setattr(module, "SPLIT_BYTES", n_bytes)
    _, items = read_all(find_path(f"{protocol}{folder}"))
    expected = list(read_items(folder, **COLUMNS))
    assert [item for _, item in items] == [item for _, item in expected] and len(items) == 20
    assert [(place.file, place.line) for place, _ in items] == [
        (f"{protocol}{place.file}", place.line) for place, _ in expected
    ]


def test_small_files_are_read_together(tmp_path):
    for i in range(50):
        (tmp_path / f"{i:02d}.txt").write_text(f"text {i}")
    (split,), items = read_all(tmp_path)
    assert len(split) == 50 and [item.id for _, item in items] == [f"{i:02d}" for i in range(50)]
