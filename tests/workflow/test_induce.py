"""From a sentence and an empty folder to mined rows, by asking a language model."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import time

import pytest
import spacy
import srsly
from server import KEY

from spacy_falconer.errors import (
    AnswerError,
    BudgetError,
    CorpusError,
    ModelError,
    PlanError,
    ServerError,
    UnsupportedPlanError,
)
from spacy_falconer.llm.exchange import write_exchange
from spacy_falconer.llm.ledger import Ledger
from spacy_falconer.plan import read_plan, write_plan
from spacy_falconer.types import Record
from spacy_falconer.workflow.answers import ask_failed_again
from spacy_falconer.workflow.choose import Sampling
from spacy_falconer.workflow.endpoint import Endpoint
from spacy_falconer.workflow.folder import find_composed, find_mined_by
from spacy_falconer.workflow.induce import Induced, induce
from spacy_falconer.workflow.page import make_page, read_run

SENTENCE = 'prices over $25, "new"'
FILES = {"plan.json", "answers.db", "train.spacy", "test.spacy", "pipeline", "scores.json", "rows.jsonl", "report.html"}


@pytest.fixture
def run(review_answers, tiny_config, tmp_path, monkeypatch):
    """Induce from 40 texts; what was done, by step. Training is cut short where nothing need be learned."""

    def run_it(
        sentence=SENTENCE, max_requests=None, n_texts=40, records=None, learn=False, folder="out", source=None, **settings
    ):  # fmt: skip
        if not learn:
            monkeypatch.setattr("spacy_falconer.workflow.train.count_steps", lambda *_: 4)
        records = records or [Record(str(i), one.text) for i, one in enumerate(review_answers)]
        done = {}
        endpoint = Endpoint(ledger=Ledger(max_requests=max_requests))
        run_it.done = done
        found = induce(
            sentence, records, tmp_path / folder, endpoint=endpoint,
            sampling=Sampling(n_texts=n_texts, config=None if source else tiny_config, source=source),
            watch=done.__setitem__, **settings,
        )  # fmt: skip
        return found, done

    return run_it


def times(folder):
    return {
        path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and "answers.db" not in path.name
    }


def test_from_a_sentence_to_rows_and_not_twice(run, llm_server, tmp_path):
    found, done = run(learn=True)
    assert list(done) == ["plan", "annotate", "train", "evaluate", "mine"] and found.done_before == ()
    assert {path.name for path in (tmp_path / "out").iterdir()} >= FILES
    assert (len(llm_server.planned), len(llm_server.annotated)) == (1, 40)
    assert read_plan(tmp_path / "out" / "plan.json").instruction == SENTENCE
    rows = list(found.rows())
    assert rows and all(row["spans"]["price"] for row in rows) and found.scores["n_texts"] == 8
    assert spacy.load(tmp_path / "out" / "pipeline")("i paid 7 dollars and love it")._.mined["spans"]["price"]

    before = times(tmp_path / "out")
    again, done = run(learn=True)
    assert len(llm_server.requests) == 41 and list(done) == ["plan"]
    assert again.done_before == ("annotate", "train", "evaluate", "mine") and times(tmp_path / "out") == before


def test_a_pipeline_to_start_from_that_is_not_there_is_told_before_anything_is_asked(llm_server, tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_falconer.pipeline.source.BASE", "en_falconer_none")
    with pytest.raises(ModelError, match="en_falconer_none.*--source"):
        induce(SENTENCE, [Record("r", "i love it")], tmp_path / "out")
    assert llm_server.requests == []


def test_a_corpus_is_given_by_its_path(run, llm_server, tmp_path, review_answers):
    corpus = tmp_path / "reviews.jsonl"
    srsly.write_jsonl(corpus, [{"id": str(i), "text": one.text} for i, one in enumerate(review_answers)])
    _, done = run(records=str(corpus))
    assert done["mine"].n_texts == len(review_answers)


def test_a_limit_stops_it_and_another_run_goes_on(run, llm_server, tmp_path):
    with pytest.raises(BudgetError, match="10 of 10 requests.*9 of 40 texts are answered.*--recorded-only"):
        run(max_requests=10)
    assert run.done["annotate"].stopped is not None and "train" not in run.done
    found, done = run()
    assert len(llm_server.requests) == 41 and "mine" in done


def test_what_is_answered_will_do_where_nobody_is_to_be_asked(run, llm_server):
    with pytest.raises(BudgetError):
        run(max_requests=31)
    found, done = run(recorded_only=True)
    assert len(done["annotate"].docs) == 30 and len(llm_server.requests) == 31 and "mine" in done


def test_only_what_has_changed_is_done_again(run, llm_server, tmp_path, review_answers):
    run()
    (tmp_path / "out" / "scores.json").unlink()
    assert list(run()[1]) == ["plan", "evaluate"]
    starred = [Record(str(i), one.text, {"stars": 5}) for i, one in enumerate(review_answers)]
    assert list(run(records=starred)[1]) == ["plan", "annotate", "mine"]  # The answers are the same.
    assert len(llm_server.requests) == 41


def test_a_target_moves_thresholds_and_asks_for_no_more_answers(run, llm_server):
    run(learn=True)
    found, done = run(learn=True, targets=["positive:recall=0.9"])
    (fitted,) = [one for one in done["train"].fitted if one.key == "positive"]
    assert str(fitted.target) == "recall=0.9" and len(llm_server.requests) == 41
    assert list(done) == ["plan", "train", "evaluate", "mine"]


def test_a_target_for_a_step_that_is_not_planned_costs_no_answers(run, llm_server):
    with pytest.raises(PlanError, match="for 'nothing'. Expected a step that asks about texts: positive"):
        run(targets=["nothing:recall=0.9"])
    assert len(llm_server.requests) == 1


def test_texts_that_failed_are_asked_again_on_demand_only(run, llm_server, tmp_path, review_answers):
    records = [Record(str(i), one.text + (" riddle" if i == 3 else "")) for i, one in enumerate(review_answers)]
    run(records=records)
    n_sent = len(llm_server.requests)
    assert run(records=records)[0].done_before and len(llm_server.requests) == n_sent
    ask_failed_again(tmp_path / "out" / "answers.db")
    _, done = run(records=records)
    assert "annotate" in done and len(llm_server.requests) == n_sent + 3


def test_more_texts_cost_what_they_add(run, llm_server):
    run(n_texts=30)
    assert len(llm_server.requests) == 31
    _, done = run(n_texts=40)
    assert len(llm_server.requests) == 41 and "train" in done


def test_another_sentence_needs_a_folder_of_its_own(run, llm_server, tmp_path):
    run()
    before = times(tmp_path / "out")
    with pytest.raises(
        PlanError, match=r"out' holds the run of another sentence, .*over.*; this .*else.*another --output"
    ):
        run("Something else")
    assert times(tmp_path / "out") == before and len(llm_server.requests) == 41
    assert "mine" in run(SENTENCE.upper() + " ")[0].done_before  # The same sentence.


def test_a_plan_of_ones_own_goes_on_in_its_folder_and_another_one_does_not(run, llm_server, review_plan, tmp_path):
    own, other = tmp_path / "plan.json", tmp_path / "other.json"
    write_plan(review_plan, own)
    write_plan(review_plan.model_copy(update={"instruction": "All prices"}), other)
    run(plan=own)
    assert "mine" in run(plan=own)[0].done_before
    with pytest.raises(PlanError, match="another sentence, 'Prices of loved things'; this one is 'All prices'"):
        run(plan=other)
    with pytest.raises(PlanError, match="another sentence"):
        run()


def edit_plan(folder, **changes):
    write_plan(read_plan(folder / "plan.json").model_copy(update=changes), folder / "plan.json")
    return read_plan(folder / "plan.json")


def read_words(folder):
    """What a report says."""
    return re.sub("<[^>]*>", "", make_page(read_run(folder), {}))


def test_what_an_earlier_plan_led_to_is_never_shown_for_an_edited_one(run, llm_server, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run()
    positive, price = read_plan(out / "plan.json").steps
    edited = edit_plan(out, steps=(positive, price.model_copy(update={"instruction": "Sums of money."})))
    with pytest.raises(BudgetError):
        run(max_requests=5)
    said = read_words(out)
    assert (out / "rows.jsonl").exists()  # Whoever takes the edit back has them again.
    assert "rows.jsonl is of another plan than plan.json" in said and "scores.json is of another plan" in said

    with monkeypatch.context() as patch:
        patch.setattr("spacy_falconer.workflow.induce_steps.evaluate", stop)
        with pytest.raises(KeyboardInterrupt):
            run()
    left = {path.name for path in out.iterdir()}
    assert find_composed(out / "pipeline") == edited and "answers.db" in left
    assert not left & {"rows.jsonl", "rows.manifest.json", "rows.seen.db", "scores.json"}

    assert list(run()[1]) == ["plan", "evaluate", "mine"] and len(llm_server.requests) == 41 + 40
    assert find_mined_by(out / "rows.jsonl") == edited and "of another plan" not in read_words(out)


def test_a_pipeline_of_an_edit_that_was_taken_back_is_not_kept(run, llm_server, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run()
    first = read_plan(out / "plan.json")
    edit_plan(out, steps=(first.steps[0].model_copy(update={"instruction": "It is bad."}), first.steps[1]))
    with monkeypatch.context() as patch:  # Stopped when the new pipeline stands there, and nothing says so yet.
        patch.setattr(
            "spacy_falconer.workflow.induce_steps.note_time", lambda _, step, took: step == "train" and stop()
        )
        with pytest.raises(KeyboardInterrupt):
            run()
    edit_plan(out, steps=first.steps)
    found, done = run()
    assert "train" in done and found.nlp.get_pipe("falconer_label").cfg["instructions"] == {
        "positive": "The reviewer is satisfied."
    }


@pytest.mark.parametrize("step", ["evaluate", "mine"])
def test_what_a_target_led_to_that_was_taken_back_is_not_kept(step, run, llm_server, monkeypatch):
    run()
    with monkeypatch.context() as patch:  # Stopped when the new file stands there, and nothing says so yet.
        patch.setattr("spacy_falconer.workflow.induce_steps.note_time", lambda _, name, took: name == step and stop())
        with pytest.raises(KeyboardInterrupt):
            run(targets=["positive:recall=0.9"])
    assert step in run()[1]


def stop(*_, **__):
    raise KeyboardInterrupt


def test_what_a_plan_makes_of_the_answers_is_edited_without_training(run, llm_server, tmp_path):
    out, weights = tmp_path / "out", ["transformer/model", "falconer_label/model", "falconer_span/model"]
    before = run(learn=True)[0].nlp
    kept = len(list(run(learn=True)[0].rows()))
    trained = [(out / "pipeline" / name).read_bytes() for name in weights]
    edit_plan(out, keep="not positive")
    found, done = run(learn=True)
    assert list(done) == ["plan", "compose", "evaluate", "mine"] and found.done_before == ("annotate", "train")
    assert [(out / "pipeline" / name).read_bytes() for name in weights] == trained and len(llm_server.requests) == 41
    assert len(list(found.rows())) == 40 - kept and "kept" in found.scores["rows"]
    text = "the bad price broke"
    assert before(text)._.mined is None and found.nlp(text)._.mined is not None
    edit_plan(out, steps=tuple(step.model_copy(update={"when": None}) for step in found.plan.steps))
    assert list(run(learn=True)[1]) == ["plan", "compose", "evaluate", "mine"]


def test_a_report_is_written_at_the_end_and_anew_where_something_has_changed(run, llm_server, tmp_path):
    out, page = tmp_path / "out", tmp_path / "out" / "report.html"
    run(learn=True)
    assert '"pieces":' in page.read_text(encoding="utf8")  # With the corpus's texts.
    written = page.stat().st_mtime_ns
    assert run() and page.stat().st_mtime_ns == written
    edit_plan(out, keep="true")
    run()
    new = page.read_text(encoding="utf8")
    assert "keep: true" in new and "40</b> rows mined from 40 texts" in new
    page.unlink()
    assert list(run()[1]) == ["plan"] and page.read_text(encoding="utf8") == new


def test_a_run_that_a_limit_stopped_reports_what_there_is(run, llm_server, tmp_path):
    with pytest.raises(BudgetError):
        run(max_requests=10)
    said = re.sub("<[^>]*>", "", (tmp_path / "out" / "report.html").read_text(encoding="utf8"))
    assert "no rows were mined yet" in said and SENTENCE in html.unescape(said)


def test_no_report_stands_where_nobody_was_asked(run, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ServerError, match="OPENAI_BASE_URL"):
        run()
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_report_that_fails_never_hides_what_stopped_the_run(run, llm_server, monkeypatch):
    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("spacy_falconer.workflow.page.render.write_page", fail)
    warned = []
    with pytest.raises(BudgetError, match="--recorded-only"):
        run(max_requests=10, warn=warned.append)
    assert "The report was not written: No space left on device" in warned
    with pytest.raises(OSError, match="No space"):
        run()


def test_an_old_report_does_not_outlive_what_it_shows(run, llm_server, tmp_path, monkeypatch):
    run()
    edit_plan(tmp_path / "out", keep="true")
    for name in ("find_texts", "write_page"):
        monkeypatch.setattr(f"spacy_falconer.workflow.page.render.{name}", lambda *_: pytest.fail("a page is made"))
    with monkeypatch.context() as patch:
        patch.setattr("spacy_falconer.workflow.induce_steps.evaluate", stop)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert not (tmp_path / "out" / "report.html").exists()


def test_the_corpus_is_read_in_the_precision_and_by_the_processes_that_are_named(run, llm_server, tmp_path):
    before = [row["id"] for row in run(learn=True)[0].rows()]
    found, done = run(precision="bf16", n_process=2)
    assert list(done) == ["plan", "mine"] and [row["id"] for row in found.rows()] == before
    assert srsly.read_json(tmp_path / "out" / "rows.manifest.json")["options"]["precision"] == "bf16"
    assert "mine" in run(precision="bf16")[0].done_before  # How many processes read makes no difference.


def test_a_precision_that_there_is_not_costs_nothing(run, llm_server):
    with pytest.raises(ModelError, match="no precision 'fp1'"):
        run(precision="fp1")
    assert llm_server.requests == []


def test_earlier_answers_are_learned_again(run, llm_server, tmp_path, review_answers, monkeypatch):
    run(learn=True)
    source, replay, seen = tmp_path / "out" / "pipeline", tmp_path / "earlier.jsonl", []
    write_exchange(review_answers[:12], replay)

    def spy(source, plan, docs, replay, *, silent, seed):
        seen.append(len(replay))
        return list(docs)

    monkeypatch.setattr("spacy_falconer.workflow.train.remember", spy)
    again = {"folder": "again", "source": source}
    run(**again)
    assert "train" in run(**again, replay=replay)[1] and set(seen) == {0, 12}
    assert "train" in run(**again, replay=replay)[0].done_before
    write_exchange(review_answers[:13], replay)
    assert "train" in run(**again, replay=replay)[1] and 13 in seen


def test_earlier_answers_that_fit_no_pipeline_are_told_before_anything_is_asked(
    run, llm_server, review_answers, tmp_path
):
    write_exchange(review_answers, tmp_path / "earlier.jsonl")
    with pytest.raises(AnswerError, match="earlier.jsonl.*--source.*leave --replay out"):
        run(replay=tmp_path / "earlier.jsonl")
    assert llm_server.requests == []


def test_what_cannot_be_planned_costs_one_request(run, llm_server):
    with pytest.raises(UnsupportedPlanError, match="A count"):
        run("How many?")
    assert len(llm_server.requests) == 1


def test_recorded_answers_are_not_asked_for(run, llm_server, review_answers, review_plan, tmp_path):
    write_exchange(review_answers, tmp_path / "answers.jsonl")
    srsly.write_json(tmp_path / "plan.json", review_plan.model_dump(mode="json"))
    found, done = run(plan=tmp_path / "plan.json", answers=[tmp_path / "answers.jsonl"])
    assert llm_server.requests == [] and done["annotate"].models == ["a model"] and "mine" in done


def test_records_that_can_be_read_only_once(run, llm_server, review_answers):
    records = (Record(str(i), one.text) for i, one in enumerate(review_answers))
    assert run(records=records)[1]["mine"].n_texts == 40


def test_no_key_stays(run, llm_server, tmp_path):
    run()
    assert llm_server.keys == {KEY}
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("mark", ["answers.db", "pipeline"])
def test_a_run_that_was_killed_goes_on(mark, run, llm_server, tmp_path, review_answers, tiny_config):
    """Killed as soon as a file is there; what was asked before is not asked again."""
    out, corpus = tmp_path / "out", tmp_path / "corpus.jsonl"
    srsly.write_jsonl(corpus, [{"id": str(i), "text": one.text} for i, one in enumerate(review_answers)])
    command = [
        sys.executable, "-m", "spacy_falconer", "induce", SENTENCE, corpus, "--output", out, "--config", tiny_config,
        "--sample", "40", "--max-in-flight", "2", "--quiet",
    ]  # fmt: skip
    process = subprocess.Popen(list(map(str, command)), env={**os.environ, **llm_server.environment})
    while not (out / mark).exists() and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert run()[1]["mine"].n_texts == 40 and 41 <= len(llm_server.requests) <= 41 + 3


@pytest.mark.parametrize("name", ["pipeline/own_code.py", "report.html", "test.spacy"])
def test_a_folder_with_files_of_ones_own_is_left_alone(run, llm_server, tmp_path, name):
    own = tmp_path / "out" / name
    own.parent.mkdir(parents=True)
    own.write_text("my only copy")
    with pytest.raises(CorpusError, match="would be replaced, and does not look like a run's.*another --output"):
        run()
    assert own.read_text() == "my only copy" and not llm_server.requests


def test_rows_with_large_numbers_are_read_as_they_are(tmp_path):
    (tmp_path / "rows.jsonl").write_text(f'{{"id": "a", "labels": {{}}, "spans": {{}}, "fields": {{"n": {2**70}}}}}\n')
    assert next(Induced(None, tmp_path, ()).rows())["fields"] == {"n": 2**70}
