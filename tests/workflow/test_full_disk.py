"""A disk that is full stops mining in one message, and loses nothing."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager

import pytest
import spacy

from spacy_falconer.errors import CorpusError
from spacy_falconer.plan import parse_plan
from spacy_falconer.workflow import mine as module
from spacy_falconer.workflow.corpus_file import CorpusFile
from spacy_falconer.workflow.mine import mine
from spacy_falconer.workflow.mining.parts import read_first_rows
from spacy_falconer.workflow.mining.reading import Reading

resource = pytest.importorskip("resource", reason="there are no limits to files")
N_TEXTS = 60


@pytest.fixture
def nlp(monkeypatch):
    """A pipeline with a plan, and a reader that keeps every text, with a long row."""
    span = {"text": "word " * 60, "start": 0, "end": 300, "score": 0.5}

    @contextmanager
    def open_reader(*args, **settings):
        yield lambda chunks: ([Reading(({"labels": {}, "spans": {"words": [span]}},)) for _ in one] for one in chunks)

    monkeypatch.setattr(module, "open_reader", open_reader)
    nlp = spacy.blank("en")
    steps = [{"id": "words", "op": "get_span", "instruction": "Words."}]
    nlp.add_pipe("falconer_plan").set_plan(parse_plan({"instruction": "x", "steps": steps}))
    return nlp


@contextmanager
def files_of_at_most(n_bytes):
    """As if the disk were full once a file has so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("output", ["rows.jsonl", "rows.parquet", "rows"])
@pytest.mark.parametrize("room", [0, 100, 1000, 4000, 8000, 16_000, 23_000, 30_000, 45_000, 60_000, 90_000])
def test_a_run_goes_on_once_there_is_room(nlp, tmp_path, output, room):
    if output != "rows.jsonl":
        pytest.importorskip("pyarrow")
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"id": f"r{i}", "text": f"{i} words"}) + "\n" for i in range(N_TEXTS)))
    try:
        with files_of_at_most(room):
            mine(nlp, CorpusFile(corpus), tmp_path / output, part_size=20)
        refusal = ""
    except CorpusError as error:
        refusal = str(error)
    assert (room < 40_000) <= ("Check the disk's free space" in refusal)
    assert mine(nlp, CorpusFile(corpus), tmp_path / output, part_size=20).n_rows == N_TEXTS
    assert [row["id"] for row in read_first_rows(tmp_path / output, 99)] == [f"r{i}" for i in range(N_TEXTS)]
    assert not list(tmp_path.rglob("*.part"))
