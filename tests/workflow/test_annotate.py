from __future__ import annotations

from dataclasses import replace

import pytest
from server import KEY

from spacy_falconer.errors import AnswerError, BudgetError, CorpusError, ServerError
from spacy_falconer.llm.exchange import write_exchange
from spacy_falconer.llm.ledger import Ledger
from spacy_falconer.llm.redact import Redactor
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.types import Record
from spacy_falconer.workflow.annotate import annotate
from spacy_falconer.workflow.choose import Sampling
from spacy_falconer.workflow.endpoint import Endpoint
from spacy_falconer.workflow.written import hold_out


@pytest.fixture
def store(tmp_path, review_answers):
    with AnswerStore(tmp_path / "answers.db") as opened:
        opened.put_many(review_answers[:20])
        yield opened


@pytest.fixture
def empty(tmp_path):
    with AnswerStore(tmp_path / "empty.db") as opened:
        yield opened


@pytest.fixture
def records(review_answers):
    return [Record(str(i), answer.text) for i, answer in enumerate(review_answers)]


def take(plan, records, store, n=10, seed=0, **settings):
    """The docs of a sample of what the store answers."""
    sampling = Sampling(n_texts=n, seed=seed)
    return annotate(plan, records, store, sampling=sampling, endpoint=Endpoint(), recorded_only=True, **settings).docs


def ask(plan, records, store, n=40, limits=(None, None), **settings):
    """What a language model answers, within limits of dollars and of requests."""
    sampling = Sampling(n_texts=n, **{key: settings.pop(key) for key in list(settings) if key in SAMPLING})
    return annotate(plan, records, store, sampling=sampling, endpoint=Endpoint(ledger=Ledger(*limits)), **settings)


SAMPLING = ("strategy", "n_rounds", "n_shots", "seed", "config")


def test_recorded_answers_are_sampled_in_the_order_of_the_corpus(review_plan, records, store):
    docs = take(review_plan, records, store, seed=1)
    places = [next(int(record.id) for record in records if record.text == doc.text) for doc in docs]
    assert len(docs) == 10 and places == sorted(places) and max(places) < 20
    again = take(review_plan, records, store, seed=1)
    assert [doc.text for doc in again] == [doc.text for doc in docs]
    assert {doc.text for doc in take(review_plan, records, store, seed=2)} != {doc.text for doc in docs}


def test_a_text_without_an_answer_needs_a_language_model(review_plan, records, store, monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ServerError, match="OPENAI_BASE_URL"):
        ask(review_plan, records[20:], store)


def test_other_words_are_another_question(review_plan, records, store):
    steps = [step.model_copy(update={"instruction": step.instruction + "!"}) for step in review_plan.steps]
    with pytest.raises(
        AnswerError, match="for none of the corpus's texts.*The reviewer is satisfied.!.*answers import"
    ):
        plan = review_plan.model_copy(update={"steps": tuple(steps)})
        take(plan, records, store)


def test_sentences_are_answered_where_they_are_the_unit(review_plan, store, review_answers):
    plan = review_plan.model_copy(update={"unit": "sentence"})
    text = f"{review_answers[0].text}. {review_answers[1].text}"
    docs = take(plan, [Record("r", text)], store)
    assert [doc.text for doc in docs] == [review_answers[1].text]  # The first ends in a full stop that was not asked.


def test_no_text_is_learned_from_and_tested_on(review_plan, records, store, review_answers, tmp_path):
    docs = take(review_plan, records, store, 20)
    train, test = hold_out(docs, review_plan, None, seed=0)
    assert (len(train), len(test)) == (16, 4) and not {doc.text for doc in train} & {doc.text for doc in test}
    write_exchange(review_answers[15:25], tmp_path / "test.jsonl")
    train, test = hold_out(docs, review_plan, tmp_path / "test.jsonl", seed=0)
    assert (len(train), len(test)) == (15, 10)


def test_answers_to_other_instructions_are_no_test(review_plan, records, store, review_answers, tmp_path):
    docs = take(review_plan, records, store, 20)
    plan = review_plan.model_copy(
        update={"steps": tuple(step.model_copy(update={"instruction": "Other."}) for step in review_plan.steps)}
    )
    write_exchange(review_answers, tmp_path / "test.jsonl")
    assert len(hold_out(docs, plan, tmp_path / "test.jsonl", seed=0)[1]) == 4


def test_only_what_is_missing_is_asked_and_only_once(review_plan, records, store, llm_server):
    annotated = ask(review_plan, records, store)
    assert len(annotated.docs) == 40 and len(llm_server.annotated) == 20
    assert annotated.models == ["a model", "gpt-4.1-mini"] and not annotated.failed and annotated.stopped is None
    ask(review_plan, records, store)
    assert len(llm_server.requests) == 20


def test_answers_of_the_language_model_are_docs(review_plan, records, empty, llm_server):
    doc = next(doc for doc in ask(review_plan, records, empty).docs if "7 dollars" in doc.text)
    assert doc.cats == {"positive": 1.0, "gift": 1.0} and [span.text for span in doc.spans["sc"]] == ["7 dollars"]
    assert doc.user_data["model"] == "gpt-4.1-mini" and doc.user_data["chosen"] == "random"


def test_another_model_asks_everything_anew(review_plan, records, store, llm_server):
    sampling = Sampling(n_texts=40)
    annotated = annotate(review_plan, records, store, sampling=sampling, endpoint=Endpoint(model="other"))
    assert len(llm_server.requests) == 40 and annotated.models == ["other"]


def test_a_limit_stops_and_another_run_goes_on(review_plan, records, empty, llm_server):
    first = ask(review_plan, records, empty, limits=(None, 12))
    assert isinstance(first.stopped, BudgetError) and "12 of 12 requests" in str(first.stopped)
    assert len(first.docs) == len(llm_server.requests) == 12 and first.n_chosen == 40
    second = ask(review_plan, records, empty)
    assert second.stopped is None and len(second.docs) == len(llm_server.requests) == 40


def test_the_price_stops_it_too(review_plan, records, empty, llm_server):
    stopped = ask(review_plan, records, empty, limits=(0.0005, None))
    assert isinstance(stopped.stopped, BudgetError) and 0 < len(stopped.docs) < 40


def test_nothing_at_all_is_an_error(review_plan, records, empty, llm_server):
    with pytest.raises(BudgetError, match="0 of 0 requests"):
        ask(review_plan, records, empty, limits=(None, 0))


def test_a_text_that_fails_costs_one_text_and_says_why(review_plan, records, empty, llm_server):
    riddle = Record("r", "a riddle")
    annotated = ask(review_plan, [*records[:5], riddle], empty)
    assert len(annotated.docs) == 5 and list(annotated.failed) == ["a riddle"]
    assert "no JSON object: 'I cannot tell.'" in annotated.failed["a riddle"]
    n_sent = len(llm_server.requests)
    assert ask(review_plan, [*records[:5], riddle], empty).failed == annotated.failed
    assert len(llm_server.requests) == n_sent


def test_where_every_text_fails_it_says_why(review_plan, empty, llm_server):
    with pytest.raises(AnswerError, match="no answer to any of the 2 texts.*'I cannot tell.'.*--failures"):
        ask(review_plan, [Record("1", "a riddle"), Record("2", "another riddle")], empty)


def test_a_corpus_without_texts(review_plan, empty, llm_server):
    with pytest.raises(CorpusError, match="holds no text"):
        ask(review_plan, [], empty)


def test_texts_that_say_nothing_are_not_paid_for(review_plan, records, empty, llm_server):
    blank = [Record(f"blank {i}", " \n" * i) for i in range(30)]
    assert len(ask(review_plan, [*blank, *records], empty).docs) == len(llm_server.requests) == 40
    with pytest.raises(CorpusError, match="no text to choose from"):
        ask(review_plan, blank, empty)


def test_sentences_are_asked_where_they_are_the_unit(review_plan, empty, llm_server):
    plan = review_plan.model_copy(update={"unit": "sentence"})
    docs = ask(plan, [Record("r", "i love it. it cost 3 dollars.")], empty).docs
    assert [doc.text for doc in docs] == ["i love it.", "it cost 3 dollars."] and len(llm_server.requests) == 2


def test_ticks_come_to_the_number_of_texts(review_plan, records, store, llm_server):
    ticks = []
    ask(review_plan, records, store, n_shots=2, tick=ticks.append)
    assert sum(ticks) == 40


def test_redacted_texts_are_sent_and_answers_are_about_the_originals(review_plan, records, empty, llm_server):
    redactor = Redactor(lambda text: text.replace("love", "LIKE"), "rules")
    docs = ask(review_plan, records, empty, redact=redactor).docs
    assert {doc.text for doc in docs} == {record.text for record in records}
    sent = str(llm_server.requests)
    assert "LIKE" in sent and "love it" not in sent


def test_earlier_answers_are_shown_where_they_are_wanted(review_plan, records, empty, llm_server):
    ask(review_plan, records, empty, n_shots=2)
    assert len(llm_server.annotated) == 40
    shown = [sum(part["role"] == "assistant" for part in body["messages"]) for body in llm_server.annotated]
    assert sorted(shown)[:8] == [0] * 8 and set(shown) == {0, 2}


def test_recorded_answers_are_taken_where_they_answer_the_plan(
    review_plan, records, empty, review_answers, tmp_path, llm_server
):
    write_exchange(review_answers[:15], tmp_path / "recorded.jsonl")
    annotated = ask(review_plan, records, empty, recorded=tmp_path / "recorded.jsonl")
    assert annotated.is_recorded and len(annotated.docs) == 15 and llm_server.requests == []


def test_recorded_answers_to_one_text_may_stand_on_several_lines(
    review_plan, records, empty, review_answers, tmp_path, llm_server
):
    halves = [replace(one, spans={}) for one in review_answers] + [replace(one, labels={}) for one in review_answers]
    write_exchange(halves, tmp_path / "recorded.jsonl")
    annotated = ask(review_plan, records, empty, recorded=tmp_path / "recorded.jsonl")
    assert annotated.is_recorded and len(annotated.docs) == 40 and llm_server.requests == []


@pytest.mark.parametrize("change", ["other texts", "other words"])
def test_recorded_answers_to_something_else_are_left_alone(
    change, review_plan, records, empty, review_answers, tmp_path, llm_server
):
    write_exchange(review_answers[:15], tmp_path / "recorded.jsonl")
    if change == "other texts":
        records = [Record(record.id, record.text + "!") for record in records]
    else:
        steps = tuple(step.model_copy(update={"instruction": step.instruction + "!"}) for step in review_plan.steps)
        review_plan = review_plan.model_copy(update={"steps": steps})
    annotated = ask(review_plan, records, empty, recorded=tmp_path / "recorded.jsonl")
    assert not annotated.is_recorded and len(llm_server.requests) == 40
    assert empty.models() == ["gpt-4.1-mini"]


@pytest.mark.parametrize("only", [True, False])
def test_what_recorded_answers_leave_without_meaning_is_named(
    only, review_plan, records, store, review_answers, tmp_path
):
    write_exchange(review_answers[:15], tmp_path / "recorded.jsonl")
    told = []
    given = {"recorded_only": True} if only else {"recorded": tmp_path / "recorded.jsonl"}
    ask(review_plan, records, store, strategy="balanced", n_rounds=3, warn=told.append, **given)
    assert len(told) == 1 and "'balanced'" in told[0] and "3 rounds" in told[0]
    ask(review_plan, records, store, warn=told.append, **given)
    assert len(told) == 1


def test_changed_prompts_are_told_of_before_they_are_asked_again(review_plan, records, empty, llm_server, monkeypatch):
    ask(review_plan, records, empty)
    for room in ("ask", "annotate", "estimate"):
        monkeypatch.setattr(f"spacy_falconer.llm.{room}.prompt_version", lambda: "a new one", raising=False)
    told = []
    ask(review_plan, records, empty, warn=lambda message: told.append((message, len(llm_server.requests))))
    assert "120 answers" in told[0][0] and "--recorded-only" in told[0][0] and told[0][1] == 40
    assert len(llm_server.requests) == 80


def test_no_key_is_in_the_store(review_plan, records, empty, llm_server, tmp_path):
    ask(review_plan, records, empty)
    assert llm_server.keys == {KEY}
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_strategy_that_there_is_not():
    with pytest.raises(CorpusError, match="'best'; expected one of random, diverse, balanced"):
        Sampling(strategy="best")
