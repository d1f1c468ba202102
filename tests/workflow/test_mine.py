"""Rows for every text that is kept, whatever the corpus holds, whatever happens on the way."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import weakref
from multiprocessing import get_context
from pathlib import Path

import pytest
import spacy
import srsly
import torch
from spacy.language import Language
from typer.testing import CliRunner

from spacy_falconer.cli.app import app
from spacy_falconer.errors import CorpusError, ModelError
from spacy_falconer.plan import parse_plan
from spacy_falconer.types import Record
from spacy_falconer.workflow.corpus_file import CorpusFile
from spacy_falconer.workflow.mine import count_done, mine
from spacy_falconer.workflow.mining import reading
from spacy_falconer.workflow.mining.parts import read_first_rows
from spacy_falconer.workflow.mining.state import MineState

TEXTS = ["i paid 7 dollars and love it", "", "the bad price broke", "i paid 3 dollars and love it"]


@pytest.fixture(autouse=True)
def no_threads_of_the_tokenizer(monkeypatch):
    """It warns in every process that is forked here."""
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture
def records():
    return [Record(f"r{i}", text, {"stars": i}) for i, text in enumerate(TEXTS)]


@pytest.fixture
def many():
    """200 records of 30 texts."""
    texts = [f"i paid {i % 30} dollars and love it" if i % 3 else f"the bad price broke {i % 30}" for i in range(60)]
    return [Record(f"r{i}", texts[i * 7 % 60], {"n": i}) for i in range(200)]


@pytest.fixture
def seen_texts(trained):
    """The texts that the pipeline reads, in the order of its reading."""
    texts = []

    def watch(doc):
        texts.append(doc.text)
        return doc

    name = Language.component(f"watch_{id(texts)}", func=watch) and f"watch_{id(texts)}"
    trained[0].add_pipe(name, first=True)
    yield texts
    trained[0].remove_pipe(name)


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def write_corpus(path, records):
    srsly.write_jsonl(path, [{"id": one.id, "text": one.text, **one.fields} for one in records])
    return CorpusFile(path)


# What a row is.


def test_a_row_for_every_text_that_is_kept(trained, records, tmp_path):
    ticks = []
    report = mine(trained[0], records, tmp_path / "rows.jsonl", tick=ticks.append)
    rows = rows_of(tmp_path / "rows.jsonl")
    assert [row["id"] for row in rows] == ["r0", "r3"]
    for row, text in zip(rows, (TEXTS[0], TEXTS[3]), strict=True):
        (price,) = row["spans"]["price"]
        assert text[price["start"] : price["end"]] == price["text"]
        assert 0 <= price["score"] <= 1 and row["labels"]["positive"] > 0.5
    assert [row["fields"] for row in rows] == [{"stars": 0}, {"stars": 3}]
    assert (report.n_texts, report.n_rows, sum(ticks)) == (4, 2, 4)


def test_rows_are_what_the_pipeline_says(trained, records, tmp_path):
    mine(trained[0], records, tmp_path / "rows.jsonl")
    rows = {row["id"]: row for row in rows_of(tmp_path / "rows.jsonl")}
    for record in records:
        mined = trained[0](record.text)._.mined
        assert (mined is None) == (record.id not in rows)
        if mined:
            assert rows[record.id]["labels"] == pytest.approx(mined["labels"], abs=1e-4)


def make_sentence_nlp(make_nlp, steps=(), threshold=0.06):
    steps = [{"id": "price", "op": "get_span", "instruction": "Amounts of money."}, *steps]
    plan = parse_plan({"instruction": "x", "steps": steps, "output": ["price"], "unit": "sentence"})
    nlp = make_nlp(threshold=threshold)
    nlp.add_pipe("sentencizer", first=True)
    nlp.add_pipe("falconer_plan").set_plan(plan)
    return nlp


@pytest.mark.parametrize("kind", [".jsonl", ".parquet"])
def test_sentences_are_mined_in_their_documents_characters(make_nlp, tmp_path, kind):
    if kind == ".parquet":
        pytest.importorskip("pyarrow")
    about = {"id": "high", "op": "get_label", "instruction": "{span} is a lot.", "for_each": "price"}
    nlp, output = make_sentence_nlp(make_nlp, [about]), tmp_path / f"rows{kind}"
    text = "i love it. the price is nice and good. it broke."
    mine(nlp, [Record("r", text, {"sentence": "a column of the corpus"})], output)
    rows = read_first_rows(output, 9)
    assert [row["id"] for row in rows] == ["r"] * 3
    assert all(row["fields"] == {"sentence": "a column of the corpus"} for row in rows)
    for row in rows:
        passages = [*row["spans"]["price"], *(answer["for"] for answer in row["labels"]["high"])]
        assert passages and all(text[one["start"] : one["end"]] == one["text"] for one in passages)
        assert all(
            row["sentence"]["start"] <= one["start"] and one["end"] <= row["sentence"]["end"] for one in passages
        )


def test_numbers_that_json_does_not_know_and_half_characters(trained, tmp_path):
    fields = {"rate": float("nan"), "note": "half \ud83d", "when": Path("a")}
    mine(trained[0], [Record("r", TEXTS[0], fields)], tmp_path / "rows.jsonl")
    (line,) = (tmp_path / "rows.jsonl").read_bytes().decode("utf8").splitlines()
    row = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert row["fields"] == {"rate": None, "note": "half \ud83d", "when": "a"}


# The same rows, however they are read and written.


@pytest.mark.parametrize("settings", [{"batch_size": 1}, {"batch_size": 7}, {"part_size": 3}, {"part_size": 1}])
def test_the_same_rows_at_any_size(trained, many, tmp_path, settings):
    mine(trained[0], many, tmp_path / "a.jsonl")
    mine(trained[0], many, tmp_path / "b.jsonl", **settings)
    assert_same_rows(rows_of(tmp_path / "a.jsonl"), rows_of(tmp_path / "b.jsonl"))


def test_the_same_rows_in_chunks_of_like_length(trained, many, tmp_path, monkeypatch):
    mine(trained[0], many, tmp_path / "a.jsonl")
    for name, value in {"CHUNK_TEXTS": 3, "CHUNK_CHARACTERS": 50, "BATCH_CHARACTERS": 40}.items():
        monkeypatch.setattr(reading, name, value)
    mine(trained[0], many, tmp_path / "b.jsonl")
    assert_same_rows(rows_of(tmp_path / "a.jsonl"), rows_of(tmp_path / "b.jsonl"))


def test_the_same_rows_by_two_processes(trained, many, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "CHUNK_TEXTS", 4)
    (one, two) = (mine(trained[0], many, tmp_path / f"{n}.jsonl", n_process=n, part_size=90) for n in (1, 2))
    assert_same_rows(rows_of(tmp_path / "1.jsonl"), rows_of(tmp_path / "2.jsonl"))
    assert (two.n_texts, two.n_rows, two.n_duplicates) == (one.n_texts, one.n_rows, one.n_duplicates)


def test_processes_read_texts_as_long_as_the_pipeline_does(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(trained[0], "max_length", 2_000_000)
    long = [Record("long", "i paid 7 dollars and love it. " * 34_000)]
    assert mine(trained[0], long, tmp_path / "long.jsonl", n_process=2).n_rejected == 0


def test_of_two_plans_the_last_one_is_mined(trained, records, tmp_path):
    nlp = trained[0]
    steps = [
        {
            "id": "positive",
            "op": "get_label",
            "instruction": nlp.get_pipe("falconer_label").cfg["instructions"]["positive"],
        }
    ]
    nlp.add_pipe("falconer_plan", name="last").set_plan({"instruction": "x", "steps": steps, "keep": "not positive"})
    try:
        mine(nlp, records, tmp_path / "rows.jsonl")
        expected = [one.id for one in records if nlp(one.text)._.mined is not None]
    finally:
        nlp.remove_pipe("last")
    assert expected and [row["id"] for row in rows_of(tmp_path / "rows.jsonl")] == expected
    manifest = json.loads((tmp_path / "rows.manifest.json").read_text())
    assert manifest["plan"]["keep"] == "not positive"


def test_a_link_stays_and_what_it_leads_to_is_replaced(trained, records, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "real.jsonl").write_text("old")
    (tmp_path / "rows.jsonl").symlink_to(tmp_path / "disk" / "real.jsonl")
    mine(trained[0], records, tmp_path / "rows.jsonl")
    assert (tmp_path / "rows.jsonl").is_symlink()
    assert [row["id"] for row in rows_of(tmp_path / "disk" / "real.jsonl")] == ["r0", "r3"]


def assert_same_rows(some, others):
    assert some and [row["id"] for row in some] == [row["id"] for row in others]
    for one, other in zip(some, others, strict=True):
        assert one["fields"] == other["fields"] and one["labels"] == pytest.approx(other["labels"], abs=1e-4)
        assert [(span["start"], span["end"]) for span in one["spans"]["price"]] == [
            (span["start"], span["end"]) for span in other["spans"]["price"]
        ]


@pytest.mark.parametrize("output", ["rows.parquet", "rows"])
def test_rows_as_parquet(trained, many, tmp_path, output):
    parquet = pytest.importorskip("pyarrow.parquet")
    mine(trained[0], many, tmp_path / "expected.jsonl", part_size=90)
    mine(trained[0], many, tmp_path / output, part_size=90)
    expected = rows_of(tmp_path / "expected.jsonl")
    assert read_first_rows(tmp_path / output, 999) == expected
    table = parquet.read_table(tmp_path / output)  # A folder, too: what stands beside the parts is passed over.
    assert table["id"].to_pylist() == [row["id"] for row in expected]
    assert table["labels"].to_pylist()[0]["positive"] == expected[0]["labels"]["positive"]
    assert [json.loads(fields) for fields in table["fields"].to_pylist()] == [row["fields"] for row in expected]
    if output == "rows":
        assert len(list((tmp_path / "rows").glob("part-*.parquet"))) == 3


@pytest.mark.parametrize("output", ["rows.jsonl", "rows.parquet", "rows"])
def test_an_empty_corpus_has_no_rows(trained, tmp_path, output):
    pytest.importorskip("pyarrow")
    assert mine(trained[0], [], tmp_path / output).n_rows == 0
    assert (tmp_path / output).exists() and read_first_rows(tmp_path / output, 9) == []


def test_only_what_is_the_users_is_left(trained, many, tmp_path):
    mine(trained[0], many, tmp_path / "rows.jsonl", part_size=90)
    assert {path.name for path in tmp_path.iterdir()} == {"rows.jsonl", "rows.manifest.json", "rows.seen.db"}


# Texts that stand in a corpus several times.


def test_a_text_is_read_once_and_each_of_its_records_has_its_rows(trained, many, tmp_path, seen_texts):
    report = mine(trained[0], many, tmp_path / "rows.jsonl", part_size=30)
    assert sorted(seen_texts) == sorted({one.text for one in many})
    assert report.n_duplicates == len(many) - len(seen_texts) and report.n_texts == len(many)
    rows = {row["id"]: row for row in rows_of(tmp_path / "rows.jsonl")}
    kept = {text for text in seen_texts[:] if trained[0](text)._.mined}
    assert 10 < len(kept) < len({one.text for one in many})
    for record in many:
        assert (record.id in rows) == (record.text in kept)
        if record.id in rows:
            (price,) = rows[record.id]["spans"]["price"]
            assert (
                record.text[price["start"] : price["end"]] == price["text"]
                and rows[record.id]["fields"] == record.fields
            )


def test_long_texts_are_read_first_and_together(trained, tmp_path, seen_texts):
    texts = [" ".join(["i love it"] * (1 + i * 5 % 11)) for i in range(11)]
    mine(trained[0], [Record(str(i), text) for i, text in enumerate(texts)], tmp_path / "rows.jsonl")
    assert seen_texts == sorted(texts, key=len, reverse=True)


# What cannot be read.


def test_what_cannot_be_read_is_set_aside_with_its_line_and_reason(trained, tmp_path):
    rows = [json.dumps({"id": f"r{i}", "text": text}) for i, text in enumerate(TEXTS)]
    long, huge = json.dumps({"text": "x" * 1_000_001}), json.dumps({"text": "good " * 4_000_000})
    lines = [rows[0], "no JSON", rows[1], '{"text": 5}', "[]", long, rows[2], huge, "{}", rows[3]]
    (tmp_path / "c.jsonl").write_bytes(b"\n".join([*(line.encode() for line in lines), b'{"text": "\xff"}']))
    ticks = []
    report = mine(trained[0], CorpusFile(tmp_path / "c.jsonl"), tmp_path / "rows.jsonl", part_size=4, tick=ticks.append)
    assert [row["id"] for row in rows_of(tmp_path / "rows.jsonl")] == ["r0", "r3"]
    rejects = rows_of(tmp_path / "rows.rejects.jsonl")
    assert [reject["line"] for reject in rejects] == [2, 4, 5, 6, 8, 9, 11] and report.n_rejected == 7
    reasons = ["not JSON", "holds '5'", "not a JSON object", "1,000,001 characters", "20,000,000", "not there", "UTF-8"]
    for reject, reason in zip(rejects, reasons, strict=True):
        assert reason in reject["reason"] and reject["file"].endswith("c.jsonl") and len(reject["start"]) <= 200
    assert rejects[0]["start"] == "no JSON" and report.n_texts == 4 and sum(ticks) == 11


def test_a_text_that_the_pipeline_fails_on_is_set_aside(trained, records, tmp_path):
    @Language.component("fail_on_broke")
    def fail(doc):
        if "broke" in doc.text:
            raise RuntimeError("no memory for this one")
        return doc

    trained[0].add_pipe("fail_on_broke", first=True)
    try:
        report = mine(trained[0], records, tmp_path / "rows.jsonl")
        with pytest.raises(RuntimeError, match="no memory"):  # The texts are not to blame where none can be read.
            mine(trained[0], [Record(str(i), f"it broke {i}") for i in range(3)], tmp_path / "none.jsonl")
    finally:
        trained[0].remove_pipe("fail_on_broke")
    (reject,) = rows_of(tmp_path / "rows.rejects.jsonl")
    assert reject["line"] == 3 and "no memory for this one" in reject["reason"] and report.n_texts == 3
    assert [row["id"] for row in rows_of(tmp_path / "rows.jsonl")] == ["r0", "r3"]


def test_a_corpus_of_which_nothing_can_be_read_is_refused(trained, tmp_path):
    corpus = write_corpus(tmp_path / "c.jsonl", [Record(str(i), "t") for i in range(9)])
    with pytest.raises(CorpusError, match="None of the first 9 rows can be read.*'body'.*id, text.*--text-field"):
        mine(trained[0], CorpusFile(corpus.path, text_field=("body",)), tmp_path / "rows.jsonl")


def test_a_damaged_file_is_counted(trained, tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.jsonl.gz").write_bytes(b"no gzip")
    write_corpus(tmp_path / "c" / "b.jsonl", [Record("r", TEXTS[0])])
    report = mine(trained[0], CorpusFile(tmp_path / "c"), tmp_path / "rows.jsonl")
    assert (report.n_damaged, report.n_rejected, report.n_rows) == (1, 1, 1)


def test_texts_in_other_languages_are_counted(trained, tmp_path):
    german = "Der Preis ist gut und ich habe es für meine Mutter gekauft."
    texts = [TEXTS[0], german, "i love it and it is good", german, "Очень хорошая вещь, берите."]
    report = mine(
        trained[0], [Record(str(i), text) for i, text in enumerate(texts)], tmp_path / "rows.jsonl", part_size=2
    )
    assert report.languages == {"de": 2, "cyrillic": 1}


# A run that is cut off.


def mine_many(nlp, corpus, output):
    return mine(nlp, corpus, output, part_size=5)


STEPS = [(os, "replace"), (os, "fsync"), (Path, "unlink"), (Path, "rmdir")]
STEPS += [(MineState, name) for name in ("__init__", "begin", "note", "copy_records")]


def kill_at(step):
    """Let this process be killed before or after the given step of all that reach the disk."""
    left = itertools.count(1)

    def watch(function):
        def watched(*arguments, **settings):
            for moment in ("before", "after"):
                result = function(*arguments, **settings) if moment == "after" else None
                if next(left) == step:
                    os.kill(os.getpid(), signal.SIGKILL)
            return result

        return watched

    for owner, name in STEPS:
        setattr(owner, name, watch(getattr(owner, name)))


def run_killed(nlp, corpus, output, step):
    kill_at(step)
    mine_many(nlp, corpus, output)


def run_apart(work, *arguments):
    process = get_context("fork").Process(target=work, args=arguments)
    process.start()
    return process


@pytest.mark.parametrize("kind", [".jsonl", "", ".parquet"])
def test_killed_at_every_step_no_row_is_lost_or_doubled(trained, many, tmp_path, kind):
    if kind != ".jsonl":
        pytest.importorskip("pyarrow")
    corpus = write_corpus(tmp_path / "c.jsonl", many[:12])
    with (tmp_path / "c.jsonl").open("a") as lines:
        lines.write("no JSON\n")
    expected = mine_many(trained[0], corpus, tmp_path / "whole" / f"rows{kind}")
    for step in itertools.count(1, 1 if kind == ".jsonl" else 5):
        folder = tmp_path / str(step)
        process = run_apart(run_killed, trained[0], corpus, folder / f"rows{kind}", step)
        process.join()
        report = mine_many(trained[0], corpus, folder / f"rows{kind}")
        assert_same_folder(folder, tmp_path / "whole")
        assert (report.n_texts, report.n_rows, report.n_rejected) == (expected.n_texts, expected.n_rows, 1)
        if process.exitcode == 0:
            break
    assert step > 30


def assert_same_folder(folder, other):
    """The same files with the same content, and nothing besides."""
    names = [sorted(str(path.relative_to(one)) for path in one.rglob("*")) for one in (folder, other)]
    assert names[0] == names[1]
    for name in names[0]:
        if (folder / name).is_file() and not name.endswith("seen.db"):
            assert (folder / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again_at_any_moment(trained, many, tmp_path, seed):
    """However far it came, what comes out in the end is the same."""
    corpus, chance = write_corpus(tmp_path / "c.jsonl", many), random.Random(seed)
    mine_many(trained[0], corpus, tmp_path / "whole" / "rows.jsonl")
    for _ in range(6):
        process = run_apart(mine_many, trained[0], corpus, tmp_path / "killed" / "rows.jsonl")
        time.sleep(chance.uniform(0.0, 0.6))
        process.kill()
        process.join()
    mine_many(trained[0], corpus, tmp_path / "killed" / "rows.jsonl")
    assert_same_folder(tmp_path / "killed", tmp_path / "whole")


def test_what_was_mined_is_not_mined_again(trained, many, tmp_path, seen_texts):
    def broken():
        yield from many[:150]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        mine(trained[0], broken(), tmp_path / "rows.jsonl", part_size=40)
    assert count_done(tmp_path / "rows.jsonl") == 120 and not (tmp_path / "rows.jsonl").exists()
    read, ticks = seen_texts[:], []
    report = mine(trained[0], many, tmp_path / "rows.jsonl", part_size=40, tick=ticks.append)
    assert sorted(seen_texts) == sorted({one.text for one in many[:150]} | {one.text for one in many}) and read
    assert (report.n_before, report.n_texts, sum(ticks)) == (120, 200, 80) and count_done(tmp_path / "rows.jsonl") == 0


def test_a_run_that_is_cut_off_leaves_the_old_rows(trained, records, tmp_path):
    def broken():
        yield records[0]
        raise OSError("the disk is gone")

    (tmp_path / "rows.jsonl").write_text("old\n")
    with pytest.raises(OSError, match="the disk is gone"):
        mine(trained[0], broken(), tmp_path / "rows.jsonl", part_size=1)
    assert (tmp_path / "rows.jsonl").read_text() == "old\n"


def test_killed_with_processes_of_its_own_it_goes_on_and_they_end(trained, many, tmp_path):
    """By the command, as a user would."""
    trained[0].to_disk(tmp_path / "pipeline")
    corpus, output = write_corpus(tmp_path / "c.jsonl", many), tmp_path / "rows.jsonl"
    command = [sys.executable, "-m", "spacy_falconer", "mine", tmp_path / "pipeline", corpus.path, "--output", output]
    command += ["--part-size", "5", "--quiet"]
    process = subprocess.Popen(list(map(str, [*command, "--n-process", "2"])))
    while not list(tmp_path.glob("rows.parts/part-*.jsonl")) and process.poll() is None:
        time.sleep(0.005)
    workers = find_children(process.pid)
    process.kill()
    process.wait()
    while any(is_running(worker) for worker in workers):  # For ever, where they do not.
        time.sleep(0.01)
    subprocess.run(list(map(str, command)), check=True)
    mine_many(trained[0], corpus, tmp_path / "whole.jsonl")
    assert_same_rows(rows_of(output), rows_of(tmp_path / "whole.jsonl"))


def find_children(pid):
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def is_running(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


# What has changed is not mixed.


@pytest.fixture
def unfinished(trained, many, tmp_path):
    """A corpus of which 120 records are mined, and where its rows will be."""
    corpus, output = write_corpus(tmp_path / "c.jsonl", many), tmp_path / "rows.jsonl"

    def stop(n_texts):
        if (done := done_so_far.pop() + n_texts) >= 120:
            raise KeyboardInterrupt
        done_so_far.append(done)

    done_so_far = [0]
    with pytest.raises(KeyboardInterrupt):
        mine(trained[0], corpus, output, part_size=60, tick=stop)
    assert count_done(output) == 60
    return corpus, output


def test_another_pipeline_is_refused(trained, unfinished):
    corpus, output = unfinished
    label = trained[0].get_pipe("falconer_label")
    before = label.cfg["thresholds"]
    label.cfg["thresholds"] = {"positive": 0.9}
    try:
        with pytest.raises(CorpusError, match="rows.parts.*begun with another pipeline.*not mixed.*--fresh"):
            mine(trained[0], corpus, output, part_size=60)
    finally:
        label.cfg["thresholds"] = before
    assert mine(trained[0], corpus, output, part_size=60).n_before == 60


def test_a_run_that_could_read_nothing_blocks_no_other(trained, tmp_path):
    """What its refusal advises is done by the same command with another option."""
    corpus, output = tmp_path / "c.jsonl", tmp_path / "rows.jsonl"
    corpus.write_text('{"id": "a", "body": "i paid 7 dollars and love it"}\n')
    with pytest.raises(CorpusError, match="None of the first 1 rows can be read.*--text-field"):
        mine(trained[0], CorpusFile(corpus), output)
    assert mine(trained[0], CorpusFile(corpus, ["body"]), output).n_texts == 1


def test_a_pipeline_that_was_saved_and_loaded_is_the_same(trained, unfinished, tmp_path):
    corpus, output = unfinished
    trained[0].to_disk(tmp_path / "pipeline")
    with pytest.raises(CorpusError, match="another pipeline"):  # Its weights are.
        other = spacy.load(tmp_path / "pipeline")
        with torch.no_grad():
            next(other.get_pipe("transformer").model.transformer.parameters()).add_(0.1)
        mine(other, corpus, output, part_size=60)
    assert mine(spacy.load(tmp_path / "pipeline"), corpus, output, part_size=60).n_before == 60


def test_another_plan_is_refused(trained, unfinished):
    corpus, output = unfinished
    pipe = trained[0].get_pipe("falconer_plan")
    plan = pipe.plan
    pipe.set_plan(plan.model_copy(update={"keep": "true"}))
    try:
        with pytest.raises(CorpusError, match="another pipeline, another plan"):
            mine(trained[0], corpus, output, part_size=60)
    finally:
        pipe.set_plan(plan)


def test_another_option_is_refused(trained, unfinished):
    corpus, output = unfinished
    with pytest.raises(CorpusError, match="another option text_field"):
        mine(trained[0], CorpusFile(corpus.path, ("text", "n")), output, part_size=60)
    with pytest.raises(CorpusError, match="another option part_size"):
        mine(trained[0], corpus, output, part_size=61)


def test_another_input_is_refused(trained, unfinished, many):
    corpus, output = unfinished
    write_corpus(corpus.path, many[1:])
    with pytest.raises(CorpusError, match=r"another input \(.*c.jsonl has changed\)"):
        mine(trained[0], corpus, output, part_size=60)
    report = mine(trained[0], corpus, output, part_size=60, fresh=True)
    assert (report.n_texts, report.n_before) == (199, 0) and rows_of(output)[0]["id"] == next(
        one.id for one in many[1:] if "love" in one.text
    )


def test_a_caller_may_begin_anew_where_anything_has_changed(trained, unfinished, many):
    corpus, output = unfinished
    write_corpus(corpus.path, many[1:])
    assert mine(trained[0], corpus, output, part_size=60, fresh=None).n_texts == 199


def test_other_records_are_refused(trained, many, tmp_path):
    def broken():
        yield from many[:150]
        raise OSError("the disk is gone")

    with pytest.raises(OSError):
        mine(trained[0], broken(), tmp_path / "rows.jsonl", part_size=40)
    changed = [*many[:50], Record(many[50].id, many[50].text, {"n": "another"}), *many[51:]]
    with pytest.raises(CorpusError, match="rows 41 to 80 are not what was mined.*--fresh"):
        mine(trained[0], changed, tmp_path / "rows.jsonl", part_size=40)


def test_two_runs_do_not_write_to_the_same_rows(trained, many, tmp_path):
    def second():
        yield many[0]
        mine(trained[0], many, tmp_path / "rows.jsonl")

    with pytest.raises(CorpusError, match="another run may be writing"):
        mine(trained[0], second(), tmp_path / "rows.jsonl")


def test_a_damaged_part_is_not_joined(trained, unfinished):
    corpus, output = unfinished
    (part,) = output.parent.glob("rows.parts/part-00000.jsonl")
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(CorpusError, match="part-00000.jsonl' is gone or damaged.*--fresh"):
        mine(trained[0], corpus, output, part_size=60)


# A run that is finished.


def test_what_is_whole_is_not_mined_again_until_something_changes(trained, many, tmp_path, seen_texts):
    corpus, output = write_corpus(tmp_path / "c.jsonl", many), tmp_path / "rows.jsonl"
    first = mine(trained[0], corpus, output)
    n_read = len(seen_texts)
    again = mine(trained[0], corpus, output)
    assert len(seen_texts) == n_read and again.n_before == 200 and (again.n_rows, again.languages) == (first.n_rows, {})
    mine(trained[0], corpus, output, fresh=True)
    assert len(seen_texts) == 2 * n_read
    write_corpus(corpus.path, many[:50])
    assert mine(trained[0], corpus, output).n_texts == 50 and {row["id"] for row in rows_of(output)} <= {
        one.id for one in many[:50]
    }


def test_what_a_cluster_has_begun_is_not_cleared_away_by_a_run_that_is_finished(trained, many, tmp_path):
    corpus, output = write_corpus(tmp_path / "c.jsonl", many), tmp_path / "rows.jsonl"
    mine(trained[0], corpus, output)
    begun = tmp_path / "rows.parts" / "_run.json"
    begun.parent.mkdir()
    begun.write_text("{}")
    with pytest.raises(CorpusError, match="begun on a cluster. Go on with --engine ray.*--fresh"):
        mine(trained[0], corpus, output)
    assert begun.exists()
    assert mine(trained[0], corpus, output, fresh=True).n_texts == 200 and not begun.exists()


def test_the_manifest_says_of_what_the_rows_are_made(trained, many, tmp_path, review_plan):
    corpus = write_corpus(tmp_path / "c.jsonl", many)
    report = mine(trained[0], corpus, tmp_path / "rows.jsonl", part_size=90)
    manifest = srsly.read_json(tmp_path / "rows.manifest.json")
    assert manifest["plan"] == review_plan.model_dump(mode="json")
    assert manifest["input"][0] | {"mtime_ns": 0} == {
        "file": str(corpus.path), "size": corpus.path.stat().st_size, "mtime_ns": 0,
    }  # fmt: skip
    assert [(part["start"], part["end"]) for part in manifest["parts"]] == [(0, 90), (90, 180), (180, 200)]
    assert sum(part["n_rows"] for part in manifest["parts"]) == report.n_rows == manifest["totals"]["n_rows"]


# Only what is new.


def test_only_what_is_new_is_mined(trained, many, tmp_path, seen_texts):
    corpus = write_corpus(tmp_path / "c.jsonl", many)
    mine(trained[0], corpus, tmp_path / "monday.jsonl", part_size=60)
    seen_texts.clear()
    new = [Record("new", "i paid 7 dollars and love it !"), Record("r1", "i paid 3 dollars and love it !")]
    write_corpus(corpus.path, [new[0], *many, new[1]])
    report = mine(trained[0], corpus, tmp_path / "tuesday.jsonl", part_size=60, since=tmp_path / "monday.manifest.json")
    assert [row["id"] for row in rows_of(tmp_path / "tuesday.jsonl")] == ["new", "r1"]
    assert sorted(seen_texts) == sorted(one.text for one in new)
    assert (report.n_texts, report.n_skipped) == (2, 200)
    nothing = mine(
        trained[0], corpus, tmp_path / "wednesday.jsonl", part_size=60, since=tmp_path / "tuesday.manifest.json"
    )
    assert (nothing.n_texts, nothing.n_skipped, nothing.n_rows) == (0, 202, 0)


def test_since_what_is_no_manifest(trained, many, tmp_path):
    corpus = write_corpus(tmp_path / "c.jsonl", many)
    mine(trained[0], corpus, tmp_path / "monday.jsonl")
    with pytest.raises(CorpusError, match="would be replaced.*Name another output"):
        mine(trained[0], corpus, tmp_path / "monday.jsonl", since=tmp_path / "monday.manifest.json")
    with pytest.raises(CorpusError, match="c.jsonl.*not the manifest of a finished run"):
        mine(trained[0], corpus, tmp_path / "b.jsonl", since=corpus.path)
    (tmp_path / "monday.seen.db").unlink()
    with pytest.raises(CorpusError, match="not beside its file 'monday.seen.db'"):
        mine(trained[0], corpus, tmp_path / "b.jsonl", since=tmp_path / "monday.manifest.json")


# What is refused before anything is read.


def test_a_pipeline_without_a_plan(tmp_path):
    with pytest.raises(ModelError, match="holds no plan to mine by: empty.*falconer train"):
        mine(spacy.blank("en"), [Record("r", "t")], tmp_path / "rows.jsonl")


@pytest.mark.parametrize("output", ["rows.csv", "taken.jsonl", "own"])
def test_rows_that_cannot_go_there(trained, records, tmp_path, output):
    if output == "own":
        pytest.importorskip("pyarrow")
    (tmp_path / "taken.jsonl").mkdir()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.tex").write_text("mine")
    with pytest.raises(CorpusError, match="ends in .jsonl or .parquet|it is a folder|holds 'thesis.tex'"):
        mine(trained[0], records, tmp_path / output)
    assert (tmp_path / "own" / "thesis.tex").read_text() == "mine"


def test_parquet_without_pyarrow_says_what_to_install(trained, records, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CorpusError, match=r"pip install 'spacy-falconer\[parquet\]'"):
        mine(trained[0], records, tmp_path / "rows.parquet")


# The command.


def test_the_command_says_what_was_read_and_what_was_not(trained, many, tmp_path):
    trained[0].to_disk(tmp_path / "pipeline")
    corpus = write_corpus(
        tmp_path / "c.jsonl", [*many, Record("de", "Der Preis ist gut und ich habe es gekauft.")]
    ).path
    with corpus.open("a") as lines:
        lines.write("no JSON\n")

    def run(*arguments):
        command = ["mine", tmp_path / "pipeline", corpus, "--output", tmp_path / "rows.jsonl", *arguments]
        result = CliRunner().invoke(app, list(map(str, command)))
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    said = run("--show", 3)
    rows = rows_of(tmp_path / "rows.jsonl")
    assert f"{len(rows)} rows of 201 texts" in said and "texts/s" in said and many[1].text in said
    assert "170 texts repeat earlier ones in the corpus" in said
    assert "1 rows of the corpus could not be read" in said and "rows.rejects.jsonl" in said
    assert "1 texts (0.5%) seem to be in other languages than the pipeline's, mostly: de" in said
    assert "mined before, from the same" in run()
    assert "mined before" not in run("--fresh") and "rows.rejects.jsonl" in run("--quiet")


# Memory.


def test_neither_the_vocabulary_nor_the_docs_grow(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "CHUNK_TEXTS", 50)
    nlp = trained[0]
    monkeypatch.setattr(reading, "KEPT_WORDS", len(nlp.vocab))  # No more than there are.
    texts = (Record(str(i), f"i paid {i} dollars for word{i}") for i in range(400))
    mine(nlp, [Record("r", TEXTS[0])], tmp_path / "warm.jsonl")
    before = len(nlp.vocab.strings)
    mine(nlp, texts, tmp_path / "rows.jsonl", part_size=100)
    assert len(nlp.vocab.strings) == before


def test_a_corpus_is_never_held_in_memory(trained, tmp_path):
    """Of more records than a part has, no more than a part's are asked for at a time."""
    asked, done = itertools.count(), []

    def records():
        for i in range(100):
            assert next(asked) - sum(done) <= 10
            yield Record(str(i), f"i paid {i} dollars")

    mine(trained[0], records(), tmp_path / "rows.jsonl", part_size=10, tick=done.append)
    assert sum(done) == 100


def test_a_part_is_let_go_before_the_next_one_is_held(trained, tmp_path):
    made, n_held = [], []

    def records():
        for i in range(50):
            record = Record(str(i), f"i paid {i} dollars")
            made.append(weakref.ref(record))
            n_held.append(sum(one() is not None for one in made))
            yield record

    mine(trained[0], records(), tmp_path / "rows.jsonl", part_size=10)
    assert len(made) == 50 and max(n_held) <= 12  # A part, and what is on its way into the next one.


def test_the_state_is_one_file_that_sqlite_can_check(trained, unfinished):
    _, output = unfinished
    with sqlite3.connect(output.parent / "rows.parts" / "_state.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
