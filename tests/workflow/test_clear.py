"""Mining writes over nothing and removes nothing that is not its own, least of all the corpus."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest
import spacy

from spacy_falconer.errors import CorpusError
from spacy_falconer.plan import parse_plan
from spacy_falconer.workflow import mine as module
from spacy_falconer.workflow.cluster.cluster import Cluster
from spacy_falconer.workflow.cluster.mine import mine_on_ray
from spacy_falconer.workflow.corpus_file import CorpusFile
from spacy_falconer.workflow.induce import induce
from spacy_falconer.workflow.mine import mine
from spacy_falconer.workflow.mining.parts import Paths
from spacy_falconer.workflow.mining.reading import Reading

LINES = "".join(json.dumps({"id": f"r{i}", "text": f"text {i}"}) + "\n" for i in range(6))


@pytest.fixture
def nlp(monkeypatch):
    """A pipeline with a plan, and a reader that keeps every text."""

    @contextmanager
    def open_reader(*args, **settings):
        yield lambda chunks: ([Reading(({"labels": {"ok": 0.9}, "spans": {}},)) for _ in chunk] for chunk in chunks)

    monkeypatch.setattr(module, "open_reader", open_reader)
    nlp = spacy.blank("en")
    steps = [{"id": "ok", "op": "get_label", "instruction": "It is fine."}]
    nlp.add_pipe("falconer_plan").set_plan(parse_plan({"instruction": "x", "steps": steps}))
    return nlp


@pytest.fixture
def data(tmp_path):
    """A folder with a corpus in each of the ways in which one may stand near its rows."""
    for name in (
        "reviews.jsonl",
        "rows.rejects.jsonl",
        "rows.parts/part-00000.jsonl",
        "texts/a.jsonl",
        "texts/b.jsonl",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(LINES)
    (tmp_path / "link.jsonl").symlink_to("reviews.jsonl")
    return tmp_path


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


OVERLAPS = [
    ("reviews.jsonl", "reviews.jsonl"),
    ("link.jsonl", "reviews.jsonl"),
    ("reviews.jsonl", "link.jsonl"),
    ("texts", "texts/rows.jsonl"),
    ("texts", "texts/../texts"),
    ("texts/a.jsonl", "texts"),
    ("rows.rejects.jsonl", "rows.jsonl"),
    ("rows.parts/part-00000.jsonl", "rows.jsonl"),
    ("rows.parts", "rows.jsonl"),
]


@pytest.mark.parametrize(("corpus", "output"), OVERLAPS)
@pytest.mark.parametrize("on_ray", [False, True])
def test_a_corpus_is_never_written_over(nlp, data, corpus, output, on_ray):
    pytest.importorskip("pyarrow")
    before = contents(data)
    with pytest.raises(CorpusError, match="texts would be lost.*Choose another output"):
        if on_ray:
            mine_on_ray(nlp, CorpusFile(data / corpus), data / output, cluster=Cluster())
        else:
            mine(nlp, CorpusFile(data / corpus), data / output, fresh=True)
    assert contents(data) == before


def test_an_address_that_leads_to_the_corpus_is_refused(nlp, data):
    pytest.importorskip("upath")
    before = contents(data)
    for address in (f"file://{data}/reviews.jsonl", f"file://{data}/rows.jsonl"):
        corpus = CorpusFile(data / ("reviews.jsonl" if "reviews" in address else "rows.parts"))
        with pytest.raises(CorpusError, match="Choose another output"):
            mine_on_ray(nlp, corpus, address, cluster=Cluster())
    assert contents(data) == before


def test_a_run_whose_rows_would_lie_in_the_corpus_is_refused_before_anybody_is_asked(data, llm_server):
    before = contents(data)
    with pytest.raises(CorpusError, match="texts/out/rows.jsonl'.*Choose another output"):
        induce("Prices", CorpusFile(data / "texts"), data / "texts" / "out")
    assert contents(data) == before and not llm_server.requests


def test_rows_beside_the_corpus_are_mined(nlp, data):
    assert mine(nlp, CorpusFile(data / "reviews.jsonl"), data / "reviews.rows.jsonl").n_rows == 6
    assert mine(nlp, CorpusFile(data / "texts"), data / "texts.jsonl").n_rows == 12


@pytest.mark.parametrize(
    "names", [("part-00000-1f.snappy.parquet", "_SUCCESS"), ("part-00000.parquet",), ("part-notes.txt",)]
)
def test_parts_of_others_are_not_removed(nlp, data, names):
    """What another engine wrote has names like ours."""
    pytest.importorskip("pyarrow")
    folder = data / "theirs"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("theirs")
    with pytest.raises(CorpusError, match="which mining did not write there.*Choose another"):
        mine(nlp, CorpusFile(data / "reviews.jsonl"), folder, fresh=True)
    assert contents(folder) == {name: b"theirs" for name in names}


def test_notes_of_ones_own_stay_beside_the_parts(nlp, data):
    pytest.importorskip("pyarrow")
    (data / "rows").mkdir()
    (data / "rows" / "_notes.txt").write_text("mine")
    for _ in range(2):
        assert mine(nlp, CorpusFile(data / "reviews.jsonl"), data / "rows", part_size=2, fresh=True).n_rows == 6
    assert (data / "rows" / "_notes.txt").read_text() == "mine"
    assert len(list((data / "rows").glob("part-*"))) == 3


@pytest.mark.parametrize("output", ["out.jsonl", "out"])
def test_a_removal_that_is_cut_off_goes_on(nlp, data, output, monkeypatch):
    """Whichever file was the last that was removed."""
    pytest.importorskip("pyarrow")
    corpus, path = CorpusFile(data / "reviews.jsonl"), type(data)
    unlink, n_left = path.unlink, [0]

    def stop(file, missing_ok=False):
        if not n_left[0]:
            raise KeyboardInterrupt
        n_left[0] -= 1
        unlink(file, missing_ok=missing_ok)

    def interrupt(n_texts):
        raise KeyboardInterrupt

    for n_removed in range(12):
        with pytest.raises(KeyboardInterrupt):
            mine(nlp, corpus, data / output, part_size=1, fresh=True, tick=interrupt)
        n_left[0] = n_removed
        with monkeypatch.context() as patched:
            patched.setattr(path, "unlink", stop)
            with pytest.raises(KeyboardInterrupt):
                mine(nlp, corpus, data / output, fresh=True, part_size=1)
    assert mine(nlp, corpus, data / output, part_size=1, fresh=True).n_rows == 6
    assert not (Paths(data / output).work / "_clearing").exists()
