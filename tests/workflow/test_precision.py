"""A run is read in the precision that it was begun with."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from spacy_falconer.cli.app import app
from spacy_falconer.errors import CorpusError, ModelError
from spacy_falconer.types import Record
from spacy_falconer.workflow.mine import mine
from spacy_falconer.workflow.mining import precision as module
from spacy_falconer.workflow.mining import reading

RECORDS = [Record(f"r{i}", f"i paid {i} dollars and love it", {}) for i in range(6)]


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def precision_of(path):
    return json.loads(path.with_suffix(".manifest.json").read_text())["options"].get("precision", "fp32")


def stop(n_texts):
    raise KeyboardInterrupt


def choose(monkeypatch, name):
    monkeypatch.setattr("spacy_falconer.metamodel.accelerate.choose_precision", lambda nlp: name)


def test_rows_are_nearly_those_of_float32(trained, tmp_path):
    for name in ("fp32", "bf16"):
        mine(trained[0], RECORDS, tmp_path / f"{name}.jsonl", precision=name)
    exact, fast = rows_of(tmp_path / "fp32.jsonl"), rows_of(tmp_path / "bf16.jsonl")
    assert exact and [row["id"] for row in fast] == [row["id"] for row in exact]
    labels = [[row["labels"]["positive"] for row in rows] for rows in (fast, exact)]
    assert labels[0] != labels[1] and labels[0] == pytest.approx(labels[1], abs=0.05)
    assert (precision_of(tmp_path / "fp32.jsonl"), precision_of(tmp_path / "bf16.jsonl")) == ("fp32", "bf16")


def test_a_run_that_goes_on_keeps_what_auto_chose(trained, tmp_path, monkeypatch):
    output = tmp_path / "rows.jsonl"
    choose(monkeypatch, "bf16")
    with pytest.raises(KeyboardInterrupt):
        mine(trained[0], RECORDS, output, precision="auto", part_size=2, tick=stop)
    choose(monkeypatch, "int8")
    assert module.find_begun(module.Paths(output)) == "bf16"
    mine(trained[0], RECORDS, output, precision="auto", part_size=2)
    assert precision_of(output) == "bf16"


def test_a_run_does_not_go_on_in_another_precision(trained, tmp_path):
    output = tmp_path / "rows.jsonl"
    with pytest.raises(KeyboardInterrupt):
        mine(trained[0], RECORDS, output, precision="bf16", part_size=2, tick=stop)
    with pytest.raises(CorpusError, match="option precision"):
        mine(trained[0], RECORDS, output, part_size=2)
    mine(trained[0], RECORDS, output, part_size=2, fresh=True)
    assert precision_of(output) == "fp32"


def test_processes_read_in_the_precision_too(trained, tmp_path):
    for n_process in (1, 2):
        mine(trained[0], RECORDS, tmp_path / f"{n_process}.jsonl", precision="bf16", n_process=n_process)
    one, two = (rows_of(tmp_path / f"{n}.jsonl") for n in (1, 2))
    assert [row["labels"]["positive"] for row in two] == [row["labels"]["positive"] for row in one]


def test_an_unknown_precision_is_refused(trained, tmp_path):
    with pytest.raises(ModelError, match="no precision 'half'"):
        mine(trained[0], RECORDS, tmp_path / "rows.jsonl", precision="half")


def test_the_command_takes_a_precision(trained, tmp_path):
    trained[0].to_disk(tmp_path / "pipeline")
    (tmp_path / "texts.jsonl").write_text("\n".join(json.dumps({"id": one.id, "text": one.text}) for one in RECORDS))
    command = ["mine", tmp_path / "pipeline", tmp_path / "texts.jsonl", "-o", tmp_path / "rows.jsonl"]
    found = CliRunner().invoke(app, [*map(str, command), "--precision", "bf16", "--quiet"])
    assert found.exit_code == 0, found.output
    assert precision_of(tmp_path / "rows.jsonl") == "bf16"


def test_the_vocabulary_keeps_recurring_words_and_no_more(trained, monkeypatch):
    nlp = trained[0]
    monkeypatch.setattr(reading, "KEPT_WORDS", len(nlp.vocab) + 5)
    with reading.open_reader(nlp, n_process=1, batch_size=4) as read:
        list(read([[f"fresh{i} of{i} many{i} others{i}" for i in range(20)] for _ in range(3)]))
    kept = [i for i in range(20) if f"fresh{i}" in nlp.vocab.strings]
    assert kept and kept[-1] < 5
