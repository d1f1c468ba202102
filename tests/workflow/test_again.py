"""A second reading of the same texts: asked afresh, into a store of its own, for `evaluate --second`."""

from __future__ import annotations

import pytest
import spacy
from typer.testing import CliRunner

from spacy_falconer.cli.app import app
from spacy_falconer.corpus.docbin import make_docs, read_docbin, write_docbin
from spacy_falconer.errors import AnswerError, BudgetError
from spacy_falconer.llm.ledger import Ledger
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import write_plan
from spacy_falconer.types import Answer
from spacy_falconer.workflow.again import annotate_again, find_reader
from spacy_falconer.workflow.choose import Sampling
from spacy_falconer.workflow.endpoint import Endpoint


@pytest.fixture
def docs(review_answers, review_plan):
    return make_docs(review_answers[20:], review_plan, spacy.blank("en"))[0]


@pytest.fixture
def first(tmp_path, review_answers):
    with AnswerStore(tmp_path / "answers.db") as opened:
        opened.put_many(review_answers)
        yield opened


@pytest.fixture
def own(tmp_path):
    with AnswerStore(tmp_path / "again.db") as opened:
        yield opened


def read_again(plan, docs, store, *, n=500, limit=None, **settings):
    endpoint = Endpoint(ledger=Ledger(None, limit))
    return annotate_again(plan, docs, store, **{"sampling": Sampling(n_texts=n), "endpoint": endpoint, **settings})


def test_every_text_is_asked_about_afresh_by_the_model_that_read_it_first(review_plan, docs, own, llm_server):
    docs[3].user_data.update(chosen="held-out", weight=2.5)
    found = read_again(review_plan, docs, own)
    assert [doc.text for doc in found.docs] == [doc.text for doc in docs]
    assert len(llm_server.annotated) == 20 and {body["model"] for body in llm_server.annotated} == {"a model"}
    assert (found.models, found.n_chosen, found.failed) == (["a model"], 20, {})
    assert (found.docs[3].user_data["chosen"], found.docs[3].user_data["weight"]) == ("held-out", 2.5)
    assert {doc.cats["gift"] for doc in docs} == {0.0} and {doc.cats["gift"] for doc in found.docs} == {0.0, 1.0}


def test_a_store_that_answers_is_refused_and_nothing_is_sent(review_plan, docs, first, tmp_path, llm_server):
    with pytest.raises(AnswerError, match="answers 20 of the 20 texts already.*a store of its own.*--store"):
        read_again(review_plan, docs, first, memory=tmp_path / "again.chosen.json")
    with pytest.raises(AnswerError, match="answers 20 of the 20"):  # Not begun, however often it is tried.
        read_again(review_plan, docs, first, memory=tmp_path / "again.chosen.json")
    assert llm_server.requests == []


def test_corrections_of_people_are_no_second_reading(review_plan, docs, own, llm_server):
    own.put(Answer(docs[0].text, "human", {"The reviewer is satisfied.": True}))
    with pytest.raises(AnswerError, match="answers 1 of the 20"):
        read_again(review_plan, docs, own)
    assert llm_server.requests == []


def test_it_goes_on_after_a_stop_and_pays_for_nothing_twice(review_plan, docs, own, tmp_path, llm_server):
    memory = tmp_path / "again.chosen.json"
    stopped = read_again(review_plan, docs, own, limit=8, memory=memory)
    assert isinstance(stopped.stopped, BudgetError) and len(stopped.docs) == len(llm_server.requests) == 8
    found = read_again(review_plan, docs, own, memory=memory)
    assert len(found.docs) == len(llm_server.requests) == 20 and found.stopped is None
    assert len(read_again(review_plan, docs, own, memory=memory).docs) == len(llm_server.requests) == 20


def test_other_texts_in_the_same_store_begin_another_reading(review_plan, docs, own, tmp_path, llm_server):
    memory = tmp_path / "again.chosen.json"
    assert len(read_again(review_plan, docs, own, n=5, memory=memory).docs) == 5
    with pytest.raises(AnswerError, match="answers 5 of the 20"):
        read_again(review_plan, docs, own, memory=memory)
    assert len(llm_server.requests) == 5


def test_nothing_to_read_again(review_plan, own):
    with pytest.raises(AnswerError, match="no answers to the plan's instructions to read again"):
        read_again(review_plan, [], own)


def test_the_reader_is_the_language_model_also_where_people_corrected_it(docs):
    for doc, model in zip(docs, ["human"] * 12 + ["one"] * 3 + ["other"] * 5, strict=True):
        doc.user_data["model"] = model
    assert find_reader(docs) == "other" and find_reader(docs[:12]) is None


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(app, [str(part) for part in arguments])
    assert result.exit_code == exit_code, result.output
    return " ".join(result.output.split())


def test_the_command_and_what_evaluate_makes_of_it(review_plan, docs, saved, tmp_path, llm_server):
    write_plan(review_plan, tmp_path / "plan.json")
    write_docbin(docs, tmp_path / "test.spacy")
    command = ["annotate", tmp_path / "plan.json", "--again", tmp_path / "test.spacy", "--store", tmp_path / "own.db"]
    shown = run(*command, "--output", tmp_path / "again.spacy")
    assert "20 texts read again, by a model." in shown and "true of every text" not in shown
    assert len(read_docbin(tmp_path / "again.spacy", spacy.blank("en"))) == len(llm_server.requests) == 20
    run(*command, "--output", tmp_path / "again.spacy")
    assert len(llm_server.requests) == 20
    shown = run("evaluate", saved, tmp_path / "test.spacy", "--second", tmp_path / "again.spacy")
    assert "LLM again" in shown
    run(*command, "--output", tmp_path / "again.spacy", "--model", "other", exit_code=0)
    assert llm_server.requests[-1]["model"] == "other"  # Its own answers count alone.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either a CORPUS, or --again ANSWERS"),
        (["corpus.jsonl", "--again", "test.spacy"], "either a CORPUS, or --again ANSWERS"),
        (["--again", "test.spacy", "--recorded-only", "--rounds", 2], "--recorded-only, --rounds has no meaning there"),
        (["--again", "test.spacy", "--output", "test.spacy"], "would replace the first"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_sent(
    arguments, message, review_plan, docs, tmp_path, monkeypatch, llm_server
):
    monkeypatch.chdir(tmp_path)
    write_plan(review_plan, tmp_path / "plan.json")
    write_docbin(docs, tmp_path / "test.spacy")
    (tmp_path / "corpus.jsonl").write_text('{"id": "1", "text": "x"}\n')
    shown = run("annotate", "plan.json", "--store", "own.db", "--output", "again.spacy", *arguments, exit_code=1)
    assert message in shown and llm_server.requests == []
