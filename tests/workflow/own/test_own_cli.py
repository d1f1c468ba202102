"""From labelled data, or a function of one's own, to a trained pipeline; no language model anywhere."""

from __future__ import annotations

import json
import re

import pytest
import spacy
import srsly
from spacy.tokens import DocBin
from typer.testing import CliRunner

from spacy_falconer.cli.app import app
from spacy_falconer.corpus.docbin import read_docbin
from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.exchange import write_exchange
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import write_plan
from spacy_falconer.types import Record
from spacy_falconer.workflow.choose import Sampling
from spacy_falconer.workflow.endpoint import Endpoint
from spacy_falconer.workflow.induce import induce

RULES = """
import re

def find(text, steps):
    known = {"positive": "love" in text, "gift": None, "price": re.findall("[0-9] dollars", text)}
    return {step.id: known[step.id] for step in steps}
"""


def run(line, exit_code=0):
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == exit_code, f"{line}\n{result.output}\n{result.exception!r}"
    return " ".join(result.output.split())


@pytest.fixture
def folder(tmp_path, review_plan, review_answers, tiny_config, monkeypatch):
    """A plan, a corpus, and a DocBin in which prices are entities and what is loved a category."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    write_plan(review_plan, tmp_path / "plan.json")
    srsly.write_jsonl(tmp_path / "corpus.jsonl", [{"text": answer.text} for answer in review_answers])
    nlp, docs = spacy.blank("en"), DocBin()
    for i, answer in enumerate(review_answers):
        doc = nlp.make_doc(answer.text)
        found = re.search("[0-9] dollars", answer.text)
        doc.ents = [doc.char_span(*found.span(), label="MONEY")] if found else []
        doc.cats = {"positive": float(i % 2)}
        docs.add(doc)
    docs.to_disk(tmp_path / "mine.spacy")
    (tmp_path / "tiny.cfg").write_text(tiny_config.read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_ones_own_docbin_to_a_pipeline(folder):
    output = run(
        "answers import mine.spacy --plan plan.json --map MONEY=price --store answers.db --output train.spacy "
        "--test-output test.spacy"
    )
    assert "price: answered for 40 texts, true or found in 20" in output and "stay open: gift" in output
    assert "80 answers to 40 texts, read as docbin" in output and "32 answered texts to learn from, 8 to test" in output
    trained = run("train plan.json train.spacy --config tiny.cfg --output pipeline")
    assert "Not asked, so answered as before: gift" in trained
    assert "model-last" not in trained  # A folder that is gone by now.
    doc = spacy.load(folder / "pipeline")("i paid 7 dollars and love it")
    assert [span.text for span in doc.spans["sc"] if span.label_ == "price"] == ["7 dollars"]
    run("evaluate pipeline test.spacy --json scores.json")
    scores = srsly.read_json(folder / "scores.json")
    assert scores["spans"]["per_instruction"]["price"]["n"] > 0
    assert scores["labels"]["per_instruction"].get("gift", {"n": 0})["n"] == 0


def test_what_was_imported_is_annotated_without_an_endpoint(folder):
    run("answers import mine.spacy --plan plan.json --map MONEY=price --store answers.db --quiet")
    output = run("annotate plan.json corpus.jsonl --store answers.db --recorded-only --sample 30 --output a.spacy")
    assert "recorded, by human; no language model was asked" in output
    docs = read_docbin(folder / "a.spacy", spacy.blank("en"))
    assert len(docs) == 30 and all(set(doc.cats) == {"positive"} for doc in docs)


def test_only_what_was_not_imported_is_asked(folder, llm_server):
    run("answers import mine.spacy --plan plan.json --map MONEY=price --store answers.db --quiet")
    run("annotate plan.json corpus.jsonl --store answers.db --sample 4 --output a.spacy --quiet")
    asked = [body["messages"][0]["content"] for body in llm_server.annotated]
    assert len(asked) == 4 and all("It was a gift." in one and "Amounts of money." not in one for one in asked)


def test_what_its_owner_should_know_is_told_even_when_quiet(folder, review_answers):
    tasks = [{"text": "Paid $25x.", "spans": [{"start": 5, "end": 8, "label": "price"}], "answer": "accept"}]
    tasks += [{"text": "Bo", "spans": [{"start": 1, "end": 9, "label": "price"}], "answer": "accept"}]
    tasks += [{"text": "A day.", "spans": [{"start": 0, "end": 5, "label": "DATE"}], "answer": "accept"}]
    (folder / "tasks.jsonl").write_text("\n".join(map(json.dumps, tasks)))
    output = run("answers import tasks.jsonl --plan plan.json --map MOONEY=gift --store answers.db --quiet")
    assert (
        "Labels that belong to no step, left out: DATE (1)" in output and "no label MOONEY, which --map names" in output
    )
    assert "1 passages begin or end within a token" in output and "Not taken: 1; all are in" in output
    assert len(list(srsly.read_jsonl(folder / "tasks.rejects.jsonl"))) == 1


def test_labelled_data_needs_a_plan_and_recorded_answers_need_none(folder, review_answers):
    output = run("answers import mine.spacy --store answers.db", exit_code=1)
    assert "is labelled data (docbin)" in output and "--plan" in output
    write_exchange(review_answers[:3], folder / "recorded.jsonl")
    assert "new answers" in run("answers import recorded.jsonl --plan plan.json --store answers.db")
    output = run("answers import recorded.jsonl --plan plan.json --map A=price --store answers.db", exit_code=1)
    assert "holds recorded answers" in output and "no --map" in output


def test_training_data_that_is_not_imported_yet_is_told_the_way(folder):
    output = run("train plan.json mine.spacy --output pipeline", exit_code=1)
    assert "answers import FILE --plan PLAN" in output
    (folder / "broken.spacy").write_bytes(b"nothing")
    assert "cannot be read as a DocBin" in run(
        "answers import broken.spacy --plan plan.json --store answers.db", exit_code=1
    )


def test_a_function_of_ones_own_annotates(folder):
    (folder / "my_rules_of_the_annotator.py").write_text(RULES)
    command = "annotate plan.json corpus.jsonl --store answers.db --output a.spacy"
    run(f"{command} --annotator my_rules_of_the_annotator:find")
    docs = read_docbin(folder / "a.spacy", spacy.blank("en"))
    assert len(docs) == 40 and {doc.user_data["model"] for doc in docs} == {"find"}
    assert sum(len(doc.spans["sc"]) for doc in docs) == 20
    assert "names no function" in run(f"{command} --annotator find", exit_code=1)
    assert "--model" in run(f"{command} --annotator my_rules_of_the_annotator:find --model x", exit_code=1)


def test_from_a_plan_and_a_function_to_rows(folder, review_answers, monkeypatch):
    monkeypatch.setattr("spacy_falconer.workflow.train.count_steps", lambda *_: 4)
    records = [Record(str(i), one.text) for i, one in enumerate(review_answers)]
    asked = []

    def rule(text, steps):
        asked.append(text)
        known = {"positive": "love" in text, "gift": False, "price": re.findall("[0-9] dollars", text)}
        return {step.id: known[step.id] for step in steps}

    settings = {"plan": folder / "plan.json", "sampling": Sampling(n_texts=40, config=folder / "tiny.cfg")}
    found = induce("Prices of loved things", records, folder / "out", annotator=rule, **settings)
    assert (folder / "out" / "rows.jsonl").exists() and len(asked) == 40 and found.done_before == ()
    again = induce("Prices of loved things", records, folder / "out", annotator=rule, **settings)
    assert len(asked) == 40 and again.done_before == ("annotate", "train", "evaluate", "mine")
    with AnswerStore(folder / "out" / "answers.db") as store:
        assert store.models() == ["rule"]


def test_what_does_not_go_with_it_is_told_before_anybody_plans(folder, llm_server):
    with pytest.raises(AnswerError, match="--model.*--planner-model"):
        induce("x", [Record("1", "x")], folder / "out", endpoint=Endpoint(model="m"), annotator=run)
    assert not llm_server.requests
