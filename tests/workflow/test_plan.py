"""Where a plan comes from, and that a language model is asked for it only once."""

from __future__ import annotations

import json
import os

import pytest
import server
from server import KEY, PLAN

from spacy_falconer.errors import CorpusError, PlanError, ServerError, UnsupportedPlanError
from spacy_falconer.llm.redact import Redactor
from spacy_falconer.plan import read_plan, write_plan
from spacy_falconer.types import Record
from spacy_falconer.workflow.corpus_file import CorpusFile
from spacy_falconer.workflow.endpoint import Endpoint
from spacy_falconer.workflow.plan import obtain_plan, read_sentence

SENTENCE = 'prices over $25, "new"'


@pytest.fixture
def find(tmp_path):
    def find_it(sentence=SENTENCE, *, keep=True, model=None, **settings):
        store = tmp_path / "answers.db" if keep else None
        return obtain_plan(sentence, tmp_path / "plan.json", endpoint=Endpoint(model=model), store=store, **settings)

    return find_it


@pytest.fixture
def recorded(review_plan, tmp_path):
    def write(sentence):
        plan = review_plan.model_copy(update={"instruction": sentence}).model_dump(mode="json")
        (tmp_path / "recorded.json").write_text(json.dumps({"model": "a model, 2026", "plan": plan}))
        return tmp_path / "recorded.json"

    return write


def test_a_language_model_is_shown_some_texts_and_asked_once(find, llm_server, tmp_path):
    records = [Record(str(i), f"text number {i}") for i in range(100)]
    found = find(records=records)
    assert (found.origin, found.model, found.plan.instruction) == ("asked", "gpt-4.1-mini", SENTENCE)
    assert read_plan(tmp_path / "plan.json") == found.plan
    shown = llm_server.planned[0]["messages"][1]["content"]
    assert SENTENCE in shown and shown.count("text number") == 5
    assert find(records=records).origin == "kept" and len(llm_server.requests) == 1


def test_a_plan_that_was_edited_stays_as_it_is(find, llm_server, tmp_path):
    find()
    edited = {**json.loads((tmp_path / "plan.json").read_text()), "keep": "price"}
    (tmp_path / "plan.json").write_text(json.dumps(edited))
    found = find(SENTENCE.upper() + " \n")
    assert (found.origin, found.plan.keep) == ("kept", "price")
    assert json.loads((tmp_path / "plan.json").read_text()) == edited and len(llm_server.requests) == 1


def test_a_plan_that_was_edited_is_not_replaced_by_the_one_it_was_taken_from(find, recorded, tmp_path):
    known = recorded(SENTENCE)
    find(known=known)
    edited = {**json.loads((tmp_path / "plan.json").read_text()), "keep": "price"}
    (tmp_path / "plan.json").write_text(json.dumps(edited))
    with pytest.raises(PlanError, match="differs from .*recorded.json.* is the newer one.*leave the other plan out"):
        find(known=known)
    assert find().plan.keep == "price"
    later = (tmp_path / "plan.json").stat().st_mtime_ns + 10**9
    os.utime(known, ns=(later, later))
    assert find(known=known).plan.keep == "positive and price"  # It is the newer one.


def test_a_plan_that_cannot_be_read_may_be_replaced(find, recorded, tmp_path):
    known = recorded(SENTENCE)
    (tmp_path / "plan.json").write_text("broken")
    assert find(known=known).origin == "recorded"


def test_a_recorded_plan_may_begin_with_a_byte_order_mark(find, recorded):
    known = recorded(SENTENCE)
    known.write_text("\ufeff" + known.read_text())
    assert find(known=known).origin == "recorded"


def test_a_sentence_that_was_planned_before_is_not_paid_for_again(find, llm_server):
    plan = find().plan
    find("something else")
    assert find().plan == plan and len(llm_server.requests) == 2
    find(model="another planner", sentence="something else")
    assert len(llm_server.requests) == 3


def test_what_cannot_be_planned_says_why_every_time_and_is_paid_for_once(find, llm_server, tmp_path):
    for _ in range(2):
        with pytest.raises(UnsupportedPlanError, match="'How many.'.*A count over the reviews.*Nothing more was spent"):
            find("How many?")
    assert len(llm_server.requests) == 1 and not (tmp_path / "plan.json").exists()


def test_a_planner_that_made_none_is_asked_again(find, llm_server, monkeypatch):
    monkeypatch.setattr(server, "PLAN", {"steps": []})
    with pytest.raises(PlanError, match="second reply is refused"):
        find()
    monkeypatch.setattr(server, "PLAN", PLAN)
    assert find().origin == "asked" and len(llm_server.requests) == 3


def test_a_recorded_plan_answers_its_own_sentence(find, recorded, llm_server):
    found = find(known=recorded(SENTENCE))
    assert (found.origin, found.model, llm_server.requests) == ("recorded", "a model, 2026", [])


def test_a_recorded_plan_answers_no_other_sentence(find, recorded, llm_server):
    assert find(known=recorded("something else")).plan.instruction == SENTENCE
    assert len(llm_server.planned) == 1


def test_an_own_plan_is_taken_whatever_the_sentence(find, review_plan, tmp_path, llm_server):
    find()
    write_plan(review_plan, tmp_path / "own.json")
    assert find(known=tmp_path / "own.json").origin == "own" and len(llm_server.requests) == 1
    assert read_plan(tmp_path / "plan.json") == review_plan


def test_the_sentence_whose_plan_is_replaced_is_named(find, review_plan, llm_server, tmp_path):
    assert find().replaced is None and find("another sentence").replaced == SENTENCE
    write_plan(review_plan, tmp_path / "own.json")
    assert find(known=tmp_path / "own.json").replaced == "another sentence"
    assert find(known=tmp_path / "own.json").replaced is None


@pytest.mark.parametrize("keep", [True, False])
def test_without_an_endpoint_it_says_what_to_do(keep, find, monkeypatch, tmp_path):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ServerError, match='no plan for the sentence .prices over .25, "new".*OPENAI_BASE_URL.*--plan'):
        find(keep=keep)
    assert not (tmp_path / "plan.json").exists()


def test_a_plan_that_was_edited_into_none_is_not_overwritten(find, llm_server, tmp_path):
    (tmp_path / "plan.json").write_text('{"instruction": ')
    with pytest.raises(PlanError, match="plan.json"):
        find()
    assert (tmp_path / "plan.json").read_text() == '{"instruction": ' and llm_server.requests == []


def test_the_planner_sees_redacted_texts(find, llm_server):
    find(records=[Record("r", "I am Anna.")], redact=Redactor(lambda text: text.replace("Anna", "[NAME]"), "rules"))
    shown = llm_server.planned[0]["messages"][1]["content"]
    assert "I am [NAME]." in shown and "Anna" not in shown


async def plan_in_a_notebook(find):
    return find()


def test_where_an_event_loop_runs_already(find, llm_server):
    import asyncio

    assert asyncio.run(plan_in_a_notebook(find)).origin == "asked"


def test_no_key_stays(find, llm_server, tmp_path):
    find()
    assert llm_server.keys == {KEY}
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize("sentence", ["Prices. " * 60, "Names of files that end in .txt", "Prices\nof all"])
def test_a_sentence_of_any_length_is_no_file(sentence):
    assert read_sentence(sentence) == sentence.strip()


def test_a_sentence_file_from_any_editor(tmp_path):
    path = tmp_path / "sentence.txt"
    path.write_bytes(b"\xef\xbb\xbfprices over $25\r\n")
    assert read_sentence(str(path)) == "prices over $25"
    path.write_bytes("prices over €25".encode("utf16"))
    with pytest.raises(PlanError, match="sentence.txt.*UTF-8"):
        read_sentence(str(path))


def test_a_file_that_is_not_there_is_no_sentence(tmp_path):
    with pytest.raises(PlanError, match="no file .*sentnce.txt"):
        read_sentence(str(tmp_path / "sentnce.txt"))


def test_a_corpus_that_cannot_be_read_is_refused_before_anyone_is_asked(find, llm_server, tmp_path):
    corpus = tmp_path / "tickets.jsonl"
    corpus.write_text('{"id": "a", "body": "It broke."}\n')
    flaws = []
    with pytest.raises(CorpusError, match="tickets.jsonl holds no text.*'text'.*--text-field"):
        find("Which broke?", records=CorpusFile(corpus, ["text"], "id", flaws.append))
    assert len(flaws) == 1 and not llm_server.planned and not (tmp_path / "plan.json").exists()
