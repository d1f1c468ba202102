"""A function of one's own, asked in the language model's place."""

from __future__ import annotations

import re

import numpy
import pytest

from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.types import Answer, CharSpan, Quote, Record
from spacy_falconer.workflow.annotate import annotate
from spacy_falconer.workflow.answers import ask_failed_again
from spacy_falconer.workflow.choose import Sampling
from spacy_falconer.workflow.endpoint import Endpoint
from spacy_falconer.workflow.own.annotator import Annotator

PRICE = re.compile(r"\d dollars")


class Rule:
    """Answers by rule, remembers what it was asked, and may be told to fail at a text."""

    name = "my rule"

    def __init__(self, fails_at=None, **said):
        self.asked, self.fails_at, self.said = [], fails_at, said

    def __call__(self, text, steps):
        self.asked.append((text, [step.id for step in steps]))
        if text == self.fails_at:
            raise KeyError("no idea")
        love = numpy.bool_("love" in text)
        known = {
            "positive": love,
            "gift": False,
            "price": [match.span() for match in PRICE.finditer(text)],
            **self.said,
        }
        return {step.id: known[step.id] for step in steps}


@pytest.fixture
def ask(review_plan, review_answers, store):
    records = [Record(str(i), one.text) for i, one in enumerate(review_answers)]

    def run(annotator, plan=review_plan, **settings):
        return annotate(plan, records, store, sampling=Sampling(n_texts=40), annotator=annotator, **settings)

    return run


def test_it_answers_and_is_asked_once(ask, review_answers):
    rule = Rule()
    annotated = ask(rule)
    assert (
        len(annotated.docs) == len(rule.asked) == 40 and annotated.models == ["my rule"] and not annotated.is_recorded
    )
    doc = next(doc for doc in annotated.docs if doc.text == review_answers[7].text)
    assert doc.cats == {"positive": 1.0, "gift": 0.0} and [span.text for span in doc.spans["sc"]] == ["7 dollars"]
    ask(rule)
    assert len(rule.asked) == 40


def test_what_others_answered_is_not_asked(ask, store, review_answers):
    store.put(Answer(review_answers[3].text, "human", {"The reviewer is satisfied.": False}))
    rule = Rule()
    doc = next(doc for doc in ask(rule).docs if doc.text == review_answers[3].text)
    assert (review_answers[3].text, ["gift", "price"]) in rule.asked and doc.cats["positive"] == 0.0


def test_a_run_that_failed_goes_on_where_it_was(ask, review_answers):
    failing = Rule(fails_at=review_answers[30].text)
    with pytest.raises(AnswerError, match="'my rule' failed on.*30.*KeyError: 'no idea'.*kept.*run again"):
        ask(failing)
    rule = Rule()
    assert len(ask(rule).docs) == 40
    assert len(failing.asked) + len(rule.asked) == 41 and rule.asked[0][0] == review_answers[30].text


def test_the_steps_are_its_own_to_use_up(ask):
    class Popping(Rule):
        def __call__(self, text, steps):
            reply = super().__call__(text, steps)
            steps.clear()
            return reply

    assert len(ask(Popping()).docs) == 40


def test_one_that_ends_the_program_ends_with_a_message(ask):
    class Ending(Rule):
        def __call__(self, text, steps):
            raise SystemExit(0)

    with pytest.raises(AnswerError, match="'my rule' failed on.*SystemExit: 0"):
        ask(Ending())


def test_what_it_does_not_know_stays_open(ask, review_answers, store):
    silent_on = {review_answers[0].text, review_answers[1].text}

    def unsure(text, steps):
        return None if text in silent_on else {**Rule()(text, steps), "gift": None}

    annotated = ask(unsure)
    assert len(annotated.docs) == 38 and set(annotated.docs[0].cats) == {"positive"}
    assert set(annotated.failed) == silent_on and set(annotated.failed.values()) == {"The annotator gave no answer."}
    assert len(ask(unsure).docs) == 38
    silent_on.clear()
    ask_failed_again(store.path)
    assert len(ask(unsure).docs) == 40


def test_words_that_are_not_in_the_text_are_counted_and_not_learned(ask):
    annotated = ask(Rule(price=["99 pounds"]))
    assert dict((row[0], row[2:5]) for row in annotated.report.rows()) == {"price": (40, 0, 40)}


def test_repeated_words_take_their_occurrences_in_turn(review_plan, store):
    annotated = annotate(
        review_plan, [Record("1", "1 pan, 2 pan")], store, sampling=Sampling(),
        annotator=Annotator(lambda text, steps: {"positive": True, "gift": True, "price": ["pan", "pan"]}, "twice"),
    )  # fmt: skip
    assert [span.start for span in annotated.docs[0].spans["sc"]] == [1, 4]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"positive": 1}, "returns 1 for 'positive'.*True or False"),
        ({"price": "7 dollars"}, "returns '7 dollars' for 'price'.*list of quotes"),
        ({"price": [(0, 999)]}, "999.*'price'.*characters"),
        ({"price": [" "]}, "'price'"),
        ({"price": [(3, 3)]}, "'price'"),
        ({"price": [(True, 3)]}, "'price'"),
    ],
)
def test_an_answer_of_another_form_is_refused(said, words, ask):
    with pytest.raises(AnswerError, match=words):
        ask(Rule(**said))


@pytest.mark.parametrize("reply", [True, {}, {"positive": True, "gift": True, "prise": []}])
def test_every_step_is_to_be_answered(reply, ask):
    with pytest.raises(AnswerError, match="Expected a dict with a value for each of: positive, gift, price"):
        ask(Annotator(lambda text, steps: reply, "short"))


@pytest.mark.parametrize("given", [lambda text, steps: None, "my rule", 7])
def test_it_needs_a_name(given, ask):
    with pytest.raises(AnswerError, match="Expected a callable with a name.*Annotator"):
        ask(given)


def test_what_is_for_a_language_model_does_not_go_with_it(ask):
    with pytest.raises(AnswerError, match="there is --model, --batch, which is for a language model"):
        ask(Rule(), endpoint=Endpoint(model="x", is_batch=True))


def test_it_is_asked_about_each_passage_that_was_found(news_plan, store):
    text, seen = "Bob beats Ada, says Bob.", []

    def rule(text, steps):
        seen.extend((step.instruction, step.passage) for step in steps if step.passage)
        people = [match.span() for match in re.finditer("Bob|Ada", text)]
        known = {"sports": True, "person": people, "place": []}
        return {step.id: step.instruction.startswith("Bob") if step.passage else known[step.id] for step in steps}

    annotate(news_plan, [Record("1", text)], store, sampling=Sampling(), annotator=rule)
    assert seen == [("Bob wins.", CharSpan(0, 3)), ("Ada wins.", CharSpan(10, 13)), ("Bob wins.", CharSpan(20, 23))]
    about = next(store.export()).about
    assert [one.labels for one in about.values()] == [{"Bob wins.": True}, {"Ada wins.": False}, {"Bob wins.": True}]


def test_a_recorded_answer_in_part_will_do_where_there_are_too_few(review_plan, review_answers, tmp_path):
    records = [Record(str(i), one.text) for i, one in enumerate(review_answers)]
    with AnswerStore(tmp_path / "some.db") as store:
        store.put_many(review_answers[:5])
        store.put_many(
            Answer(one.text, "human", spans={"Amounts of money.": (Quote("x"),)}) for one in review_answers[5:20]
        )
        for n, n_full in ((5, 5), (12, 5), (40, 5)):
            docs = annotate(review_plan, records, store, sampling=Sampling(n_texts=n), recorded_only=True).docs
            assert len(docs) == min(n, 20) and sum("positive" in doc.cats for doc in docs) == n_full
