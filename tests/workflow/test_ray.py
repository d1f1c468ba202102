"""The rows of one machine, by workers of a Ray cluster that is really there, whatever happens on the way."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from pathlib import Path

import pytest
import srsly
from typer.testing import CliRunner

from spacy_falconer.cli.app import app
from spacy_falconer.errors import CorpusError
from spacy_falconer.types import Record
from spacy_falconer.workflow.cluster.cluster import Cluster, choose_n_workers
from spacy_falconer.workflow.cluster.mine import count_done, mine_on_ray, order_parts
from spacy_falconer.workflow.corpus_file import CorpusFile
from spacy_falconer.workflow.mine import mine
from spacy_falconer.workflow.mining.parts import Paths, read_first_rows

ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")

TWO = Cluster(n_workers=2)


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """A cluster on this machine, with room for two workers."""
    # On a machine that does other things, too, processes take their time to start.
    os.environ.setdefault("RAY_worker_register_timeout_seconds", "600")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # It warns in every process.
    settings = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 2**28}
    ray.init("local", log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True, **settings)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def many():
    """400 records, of which some texts stand twice."""
    texts = [f"i paid {i % 10} dollars and love it {i}" if i % 3 else f"the bad price broke {i}" for i in range(300)]
    return [Record(f"r{i}", texts[i * 7 % 300], {"n": i}) for i in range(400)]


def write_corpus(path, records):
    srsly.write_jsonl(path, [{"id": one.id, "text": one.text, **one.fields} for one in records])
    return CorpusFile(path)


def rows_of(path):
    return read_first_rows(path, 9999)


def assert_same_rows(some, others):
    assert len(some) > 100 and [row["id"] for row in some] == [row["id"] for row in others]
    for one, other in zip(some, others, strict=True):
        assert one["fields"] == other["fields"] and one["labels"] == pytest.approx(other["labels"], abs=1e-4)
        assert [(span["start"], span["text"]) for span in one["spans"]["price"]] == [
            (span["start"], span["text"]) for span in other["spans"]["price"]
        ]


def test_a_run_is_cut_off_then_a_worker_is_killed_and_nothing_is_lost_or_doubled(trained, many, tmp_path):
    corpus, output = write_corpus(tmp_path / "c.jsonl", many), tmp_path / "two.jsonl"
    with corpus.path.open("a") as lines:
        lines.write("no JSON\n")
    one = mine(trained[0], corpus, tmp_path / "one.jsonl")

    def stop(n_texts):
        ticks.append(n_texts)
        if len(ticks) == 3:
            raise KeyboardInterrupt

    def kill_one(n_texts):
        ticks.append(n_texts)
        if not killed:
            killed.append(find_workers()[0])
            os.kill(killed[0], signal.SIGKILL)

    ticks, killed = [], []
    with pytest.raises(KeyboardInterrupt):
        mine_on_ray(trained[0], corpus, output, cluster=TWO, part_size=10, tick=stop)
    assert not output.exists() and count_done(output) >= 30
    with pytest.raises(CorpusError, match="begun with another option part_size.*--fresh"):
        mine_on_ray(trained[0], corpus, output, cluster=TWO, part_size=11)
    with pytest.raises(CorpusError, match="begun on a cluster. Go on with --engine ray.*--fresh"):
        mine(trained[0], corpus, output)
    two = mine_on_ray(trained[0], corpus, output, cluster=TWO, part_size=10, tick=kill_one)
    assert killed and sum(ticks[3:]) == 401 - two.n_before - (1 if two.n_before == 400 else 0)
    assert_same_rows(rows_of(tmp_path / "one.jsonl"), rows_of(output))
    assert two.n_before >= 30 and (two.n_texts, two.n_rows, two.n_rejected) == (400, one.n_rows, 1)
    rejects = [srsly.read_jsonl(tmp_path / f"{name}.rejects.jsonl") for name in ("one", "two")]
    assert list(rejects[0]) == list(rejects[1])
    assert {path.name for path in tmp_path.glob("two*")} == {"two.jsonl", "two.manifest.json", "two.rejects.jsonl"}
    parts = srsly.read_json(tmp_path / "two.manifest.json")["parts"]
    assert [(part["start"], part["end"]) for part in parts] == [(i, min(i + 10, 401)) for i in range(0, 401, 10)]
    again = mine_on_ray(trained[0], corpus, output, cluster=TWO, part_size=10, tick=pytest.fail)
    assert (again.n_rows, again.n_before, again.seconds) == (one.n_rows, 400, 0)


def find_workers():
    """The processes under this one that hold a pipeline."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # It has ended.
            if b"ray::MapWorker" in (folder / "cmdline").read_bytes() and os.getpid() in find_parents(int(folder.name)):
                found.append(int(folder.name))
    return sorted(found)


def find_parents(pid):
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        yield pid


def test_parquet_from_and_to_addresses(trained, many, tmp_path):
    """By the command, with a file: address, which is reached as any other is."""
    import pyarrow as pa
    from pyarrow import parquet

    trained[0].to_disk(tmp_path / "pipeline")
    (tmp_path / "c").mkdir()
    for name, some in (("a", many[:250]), ("b", many[250:])):
        rows = [{"id": one.id, "text": one.text, **one.fields} for one in some]
        parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "c" / f"{name}.parquet", row_group_size=100)
    mine(trained[0], CorpusFile(tmp_path / "c"), tmp_path / "one")
    output = f"file://{tmp_path}/far/two"
    command = ["mine", tmp_path / "pipeline", f"file://{tmp_path}/c", "--output", output, "--part-size", 100]
    result = CliRunner().invoke(app, list(map(str, [*command, "--engine", "ray", "--workers", 2])))
    assert result.exit_code == 0, result.output
    assert f"{len(rows_of(tmp_path / 'one'))} rows of 400 texts" in " ".join(result.output.split())
    far = tmp_path / "far" / "two"
    assert_same_rows(rows_of(tmp_path / "one"), rows_of(far))
    assert parquet.read_table(far)["id"].to_pylist() == [row["id"] for row in rows_of(far)]
    names = [f"part-000000-{i:06d}.parquet" for i in range(4)]
    assert sorted(path.name for path in far.iterdir()) == ["_manifest.json", *names]
    assert [part["file"] for part in srsly.read_json(far / "_manifest.json")["parts"]] == names


def test_what_a_worker_refuses_is_said_plainly_and_blocks_no_other_run(trained, many, tmp_path):
    """What the refusal advises is done by the same command with another option."""
    trained[0].to_disk(tmp_path / "pipeline")
    corpus = write_corpus(tmp_path / "c.jsonl", many[:9]).path
    command = ["mine", tmp_path / "pipeline", corpus, "--output", tmp_path / "rows.jsonl", "--part-size", 2]
    command += ["--engine", "ray", "--workers", 1, "--quiet"]
    result = CliRunner().invoke(app, list(map(str, [*command, "--text-field", "body"])))
    said = " ".join(word for line in result.output.splitlines() if "(raylet)" not in line for word in line.split())
    assert (
        result.exit_code == 1
        and said.startswith("CorpusError None of the first 2 rows can be read.")
        and len(said) < 500
    )
    result = CliRunner().invoke(app, list(map(str, [*command, "--text-field", "text"])))
    assert result.exit_code == 0, result.output
    assert srsly.read_json(tmp_path / "rows.manifest.json")["totals"]["n_texts"] == 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "spark"], "no engine 'spark'. Expected 'local' or 'ray'"),
        (["--engine", "ray", "--since", "old.manifest.json"], "--engine ray does not support --since"),
        (["--engine", "ray", "--n-process", "2"], "Leave --n-process out, and use --workers"),
        (["--output", "memory://bucket/rows"], "'memory://bucket/rows' is an address.*--engine ray"),
    ],
)
def test_options_that_do_not_go_together(trained, many, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    trained[0].to_disk("pipeline")
    write_corpus(Path("c.jsonl"), many)
    Path("old.manifest.json").write_text("{}")
    result = CliRunner().invoke(app, ["mine", "pipeline", "c.jsonl", "--output", "rows.jsonl", *options])
    assert result.exit_code == 1 and re.search(message, " ".join(result.output.split())), result.output


def test_rows_that_a_machine_wrote_to_a_disk_of_its_own_are_missed(tmp_path):
    note = {"split": 0, "part": 0, "is_last": True, "file": "part-000000-000000.jsonl", "n_items": 5}
    (tmp_path / "rows.parts").mkdir()
    with pytest.raises(CorpusError, match="1 of 1 parts.*do not share that folder"):
        order_parts({(0, 0): note}, 1, Paths(tmp_path / "rows.jsonl"))


def test_a_run_of_one_machine_is_not_gone_on_with(trained, many, tmp_path):
    def stop(n_texts):
        raise KeyboardInterrupt

    corpus = write_corpus(tmp_path / "c.jsonl", many)
    with pytest.raises(KeyboardInterrupt):
        mine(trained[0], corpus, tmp_path / "rows.jsonl", part_size=50, tick=stop)
    with pytest.raises(CorpusError, match="begun on one machine.*--fresh"):
        mine_on_ray(trained[0], corpus, tmp_path / "rows.jsonl", cluster=TWO)


@pytest.mark.parametrize(
    ("cluster", "resources", "expected"),
    [
        (Cluster(), {"CPU": 16.0}, 16),
        (Cluster(n_threads=4), {"CPU": 18.0}, 4),
        (Cluster(n_threads=2, n_gpus=0.5), {"CPU": 64.0, "GPU": 4.0}, 8),
        (Cluster(n_workers=3), {"CPU": 16.0}, 3),
    ],
)
def test_as_many_workers_as_there_is_room_for(cluster, resources, expected):
    assert choose_n_workers(cluster, resources) == expected


def test_too_many_workers_are_warned_of():
    with pytest.warns(UserWarning, match="room for 0 of 1 workers.*1 GPUs each; it has 16 CPUs and 0 GPUs"):
        assert choose_n_workers(Cluster(n_gpus=1), {"CPU": 16.0}) == 1
