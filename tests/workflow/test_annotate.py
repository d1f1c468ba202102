from __future__ import annotations

import pytest

from spacy_falconer.errors import AnswerError, ServerError
from spacy_falconer.llm.exchange import write_exchange
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.types import Record
from spacy_falconer.workflow.annotate import annotate, hold_out


@pytest.fixture
def store(tmp_path, review_answers):
    with AnswerStore(tmp_path / "answers.db") as opened:
        opened.put_many(review_answers[:20])
        yield opened


@pytest.fixture
def records(review_answers):
    return [Record(str(i), answer.text) for i, answer in enumerate(review_answers)]


def test_recorded_answers_are_sampled_in_the_order_of_the_corpus(review_plan, records, store):
    options = {"n_sample": 10, "recorded_only": True}
    docs = annotate(review_plan, records, store, **options, seed=1).docs
    places = [next(int(record.id) for record in records if record.text == doc.text) for doc in docs]
    assert len(docs) == 10 and places == sorted(places) and max(places) < 20
    again = annotate(review_plan, records, store, **options, seed=1).docs
    assert [doc.text for doc in again] == [doc.text for doc in docs]
    assert {doc.text for doc in annotate(review_plan, records, store, **options, seed=2).docs} != {doc.text for doc in docs}


def test_a_text_without_an_answer_needs_a_language_model(review_plan, records, store):
    with pytest.raises(ServerError, match="OPENAI_BASE_URL"):
        annotate(review_plan, records, store, n_sample=40, recorded_only=False)


def test_other_words_are_another_question(review_plan, records, store):
    steps = [step.model_copy(update={"instruction": step.instruction + "!"}) for step in review_plan.steps]
    with pytest.raises(AnswerError, match="for none of the corpus's texts.*The reviewer is satisfied.!.*answers import"):
        plan = review_plan.model_copy(update={"steps": tuple(steps)})
        annotate(plan, records, store, n_sample=10, recorded_only=True)


def test_sentences_are_answered_where_they_are_the_unit(review_plan, store, review_answers):
    plan = review_plan.model_copy(update={"unit": "sentence"})
    text = f"{review_answers[0].text}. {review_answers[1].text}"
    docs = annotate(plan, [Record("r", text)], store, n_sample=10, recorded_only=True).docs
    assert [doc.text for doc in docs] == [review_answers[1].text]  # The first ends in a full stop that was not asked.


def test_no_text_is_learned_from_and_tested_on(review_plan, records, store, review_answers, tmp_path):
    docs = annotate(review_plan, records, store, n_sample=20, recorded_only=True).docs
    train, test = hold_out(docs, review_plan, None, seed=0)
    assert (len(train), len(test)) == (16, 4) and not {doc.text for doc in train} & {doc.text for doc in test}
    write_exchange(review_answers[15:25], tmp_path / "test.jsonl")
    train, test = hold_out(docs, review_plan, tmp_path / "test.jsonl", seed=0)
    assert (len(train), len(test)) == (15, 10)


def test_answers_to_other_instructions_are_no_test(review_plan, records, store, review_answers, tmp_path):
    docs = annotate(review_plan, records, store, n_sample=20, recorded_only=True).docs
    plan = review_plan.model_copy(
        update={"steps": tuple(step.model_copy(update={"instruction": "Other."}) for step in review_plan.steps)}
    )
    write_exchange(review_answers, tmp_path / "test.jsonl")
    assert len(hold_out(docs, plan, tmp_path / "test.jsonl", seed=0)[1]) == 4
