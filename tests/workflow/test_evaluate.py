"""What `evaluate` measures: beside simpler ways, apart for people, and without a change to the answers."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy
import pytest
import spacy
import srsly
from typer.testing import CliRunner

from spacy_falconer.cli.app import app
from spacy_falconer.corpus.docbin import make_docs
from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.exchange import write_exchange
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import parse_plan
from spacy_falconer.types import Answer, Quote, Record
from spacy_falconer.workflow import answers
from spacy_falconer.workflow.annotate import annotate
from spacy_falconer.workflow.choose import Sampling
from spacy_falconer.workflow.evaluate import evaluate
from spacy_falconer.workflow.page import read_run
from spacy_falconer.workflow.report import format_scores
from spacy_falconer.workflow.scoring.agreement import make_texts
from spacy_falconer.workflow.scoring.baselines import ask_regression, read_second
from spacy_falconer.workflow.scoring.curve import draw_curve, rank
from spacy_falconer.workflow.scoring.disagree import MAX_CHARACTERS, MOST, list_disagreements
from spacy_falconer.workflow.scoring.keywords import ask_dictionary, ask_keywords, find_pattern
from spacy_falconer.workflow.scoring.regression import fit, predict_label
from spacy_falconer.workflow.scoring.said import Said, read_answers, read_llm, read_people
from spacy_falconer.workflow.scoring.slices import slice_agreement
from spacy_falconer.workflow.written import write_annotated


@pytest.fixture(scope="module")
def docs(review_plan, review_answers):
    return make_docs(review_answers, review_plan, spacy.blank("en"))[0]


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory, transformer_settings):
    """An untrained pipeline to start from, with random weights."""
    folder = tmp_path_factory.mktemp("base") / "base"
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer", config=transformer_settings)
    for name in ("falconer_label", "falconer_span"):
        nlp.add_pipe(name)
    nlp.initialize()
    nlp.to_disk(folder)
    return folder


@pytest.fixture(scope="module")
def everything(trained, docs, base_folder):
    return evaluate(trained[0], docs[20:], train_docs=docs[:20], second=docs[25:], curve="heads", source=base_folder)


def test_the_keys_that_programs_read(trained, docs):
    scores = evaluate(trained[0], docs)
    assert scores["n_texts"] == 40 and set(scores["labels"]["per_instruction"]) == {"positive", "gift"}
    line = scores["spans"]["per_instruction"]["price"]
    assert {"p", "r", "f", "n"} <= set(line) and line["p_ci"][0] <= line["p"] <= line["p_ci"][1]
    assert set(scores["rows"]) == {"kept", "values", "whole"}
    assert json.loads(json.dumps(scores)) == scores


def test_it_agrees_with_the_components_own_scorers(trained, docs):
    from spacy.training import Example

    nlp = trained[0]
    scores = evaluate(nlp, docs)
    examples = [
        Example(found, doc) for found, doc in zip(nlp.pipe([nlp.make_doc(d.text) for d in docs]), docs, strict=True)
    ]
    for name, kind, per_type in (
        ("falconer_label", "labels", "cats_f_per_type"),
        ("falconer_span", "spans", "spans_sc_per_type"),
    ):
        for key, own in nlp.get_pipe(name).score(examples)[per_type].items():
            found = scores[kind]["per_instruction"][key]
            assert [found[one] for one in "prf"] == pytest.approx([own[one] for one in "prf"])


def test_people_stand_apart_and_the_model_beside_them(trained, docs):
    """One text has an answer of a person, who contradicts the language model."""
    people = evaluate(trained[0], docs)["people"]
    assert people["n_texts"] == 1 and list(people["labels"]["per_instruction"]) == ["positive"]
    llm = people["baselines"]["llm"]["labels"]["per_instruction"]["positive"]
    assert (llm["p"], llm["n_found"], llm["n_wanted"]) == (0.0, 1, 0)


LABEL, PRICE = "The reviewer is satisfied.", "Amounts of money."


@pytest.fixture
def held_out(review_plan, review_answers, store, tmp_path):
    """What `annotate` writes of twenty texts that the language model has answered."""
    texts = [answer.text for answer in review_answers[20:]]
    store.put_many(review_answers[20:])

    def read(kind=".spacy"):
        if kind == ".jsonl":
            answers.export(store.path, tmp_path / "test.jsonl")
        else:
            records = [Record(text, text) for text in texts]
            found = annotate(review_plan, records, store, sampling=Sampling(n_texts=99), recorded_only=True)
            write_annotated(found, review_plan, tmp_path / "test.spacy", None)
        return answers.read_answers(tmp_path / f"test{kind}", review_plan, spacy.blank("en"))[0]

    return texts, read


def by_people(text, is_satisfied, *quotes):
    """Of prices only those are asked for whom the plan comes to them: the satisfied."""
    labels = {LABEL: is_satisfied, "It was a gift.": False}
    return Answer(text, "human", labels, {PRICE: tuple(map(Quote, quotes))} if is_satisfied else {})


@pytest.mark.parametrize("kind", [".spacy", ".jsonl"])
def test_what_people_corrected_is_no_agreement_with_the_language_model(trained, held_out, store, kind):
    """A person says of three texts the contrary of what the language model said of them."""
    texts, read = held_out
    before = evaluate(trained[0], read(kind))
    assert before["with"] == "the language model" and "people" not in before
    store.put_many([by_people(text, True, "price") for text in texts[:6:2]], replace=True)
    docs = read(kind)
    after = evaluate(trained[0], docs)
    people = after.pop("people")
    assert after == before
    assert people["n_texts"] == 3 and set(people["labels"]["per_instruction"]) == {"positive", "gift"}
    line = people["labels"]["per_instruction"]["positive"]
    assert (line["n_wanted"], line["n_found"], people["rows"]["kept"]["n_wanted"]) == (3, 0, 3)
    assert people["baselines"]["llm"]["labels"]["per_instruction"]["positive"]["f"] == 0.0
    assert people["baselines"]["llm"]["spans"]["per_instruction"]["price"]["n_found"] == 0
    learned = {doc.text: doc for doc in docs}
    assert all(learned[text].cats["positive"] == 1.0 for text in texts[:6:2])  # The correction.
    assert [span.text for span in learned[texts[0]].spans["sc"]] == ["price"]


def test_whom_people_agree_with_is_agreed_with_twice(trained, held_out, store):
    texts, read = held_out
    store.put_many([by_people(texts[0], False), by_people(texts[1], True, texts[1][7:16])])
    scores = evaluate(trained[0], read())
    assert scores["labels"]["per_instruction"]["positive"]["n"] == 20  # Both are agreed with, each by itself.
    people = scores["people"]
    llm = people["baselines"]["llm"]
    assert (people["n_texts"], llm["n_texts"]) == (2, 2)
    assert llm["spans"]["per_instruction"]["price"]["f"] == 1.0
    assert (llm["rows"]["whole"]["f"], llm["rows"]["kept"]["n"]) == (1.0, 2)


def test_texts_that_people_alone_answered_are_theirs(trained, held_out, store, tmp_path):
    texts, read = held_out
    store.put(by_people("a nice gift for 9 dollars", True, "9 dollars"))
    scores = evaluate(trained[0], read(".jsonl"))
    assert (scores["n_texts"], scores["people"]["n_texts"]) == (20, 1)
    with AnswerStore(tmp_path / "people.db") as own:
        own.put_many(by_people(text, "love" in text) for text in texts)
        answers.export(own.path, tmp_path / "people.jsonl")
    docs = answers.read_answers(tmp_path / "people.jsonl", trained[0].get_pipe("falconer_plan").plan, trained[0])[0]
    scores = evaluate(trained[0], docs)
    assert scores["with"] == "people" and "people" not in scores and scores["n_texts"] == 20
    assert format_scores(scores).startswith("Agreement with people, 20 held-out texts")


def test_answers_to_other_instructions_are_none(trained):
    plan = parse_plan({"instruction": "x", "steps": [{"id": "new", "op": "get_label", "instruction": "It is new."}]})
    docs, _ = make_docs([Answer("a text", "a model", {LABEL: True})], plan, spacy.blank("en"))
    with pytest.raises(
        AnswerError,
        match="has an answer to the pipeline's plan. Give answers whose instructions are the plan's, word for word: '",
    ):
        evaluate(trained[0], docs)


def test_files_of_earlier_versions_say_who_answered_by_their_model_alone(review_plan):
    said = {LABEL: True}, {PRICE: (Quote("9 dollars"),)}
    (theirs, llms), _ = make_docs(
        [Answer("a 9 dollars", who, *said) for who in ("human", "a model")], review_plan, spacy.blank("en")
    )
    whole = Said({"positive": True}, {"price": frozenset([(2, 11)])})
    assert (read_people(theirs), read_llm(theirs)) == (whole, Said())
    assert (read_people(llms), read_llm(llms)) == (Said(), whole)


def test_of_a_corrected_quote_without_a_place_the_language_model_found_something(review_plan, store, tmp_path):
    text = "it was $300)Recomme"
    store.put(Answer(text, "a model", {}, {PRICE: (Quote("$300"), Quote("nowhere"))}))
    store.put(Answer(text, "human", {}, {PRICE: ()}))
    (doc,), _ = make_docs([store.read(text, spans=[PRICE])], review_plan, spacy.blank("en"))
    doc = type(doc)(doc.vocab).from_bytes(doc.to_bytes())
    assert read_people(doc).spans == {"price": frozenset()}
    assert read_llm(doc).spans == {"price": {(7, 11), (-1, 1)}}


def test_all_stand_in_the_same_table(everything):
    assert list(everything["baselines"]) == ["second_reading", "keywords", "dictionary", "regression", "zero_shot"]
    again = everything["baselines"]["second_reading"]
    assert again["labels"]["macro_f"] == 1.0 and again["n_texts"] == 15
    assert everything["baselines"]["regression"]["spans"]["per_instruction"] == {}
    table = format_scores(everything)
    heads = next(line for line in table.splitlines() if line.startswith("instruction"))
    assert all(name in heads for name in ("LLM again", "keywords", "seen before", "regression", "zero-shot", "95%"))
    assert any(line.startswith("rows, values") for line in table.splitlines())


def test_what_needs_no_answers_to_learn_from_always_stands_beside(trained, docs, base_folder, everything):
    scores = evaluate(trained[0], docs[20:], source=base_folder)
    assert list(scores["baselines"]) == ["keywords", "zero_shot"]
    assert scores["baselines"]["zero_shot"] == everything["baselines"]["zero_shot"]
    alone = evaluate(trained[0], docs[20:])
    assert list(alone["baselines"]) == ["keywords"] and any("Without zero-shot" in note for note in alone["notes"])


def test_the_curve_grows_and_says_what_the_last_step_brought(everything):
    curve = everything["curve"]
    assert [point["n_texts"] for point in curve["points"]] == [10, 20]
    low, high = curve["gain"]["labels"]["f_ci"]
    assert low <= curve["gain"]["labels"]["f"] <= high
    assert "from 10 to 20 it is" in format_scores(everything)


def test_it_is_the_same_every_time_and_changes_no_answer(trained, docs, base_folder, everything):
    before = [(doc.to_bytes(), dict(doc.user_data), dict(doc.spans["sc"].attrs)) for doc in docs]
    again = evaluate(trained[0], docs[20:], train_docs=docs[:20], second=docs[25:], curve="heads", source=base_folder)
    assert again == everything
    assert [(doc.to_bytes(), dict(doc.user_data), dict(doc.spans["sc"].attrs)) for doc in docs] == before


def test_what_cannot_be_compared_is_said(trained, docs):
    with pytest.raises(AnswerError, match="second reading's 5 texts are none"):
        read_second(docs[:5], docs[5:10])
    with pytest.raises(AnswerError, match="'half'"):
        evaluate(trained[0], docs[:5], curve="half")
    assert "it takes the training answers" in " ".join(evaluate(trained[0], docs[:5], curve="full")["notes"])


def test_reliability_is_of_all_scores(everything):
    labels = everything["reliability"]["labels"]
    assert labels["n"] == 40 == sum(one["n"] for one in labels["bins"])
    assert labels["ece_ci"][0] <= labels["ece"] <= labels["ece_ci"][1]


def test_the_command_writes_what_the_report_shows(tmp_path, trained, review_answers, base_folder):
    trained[0].to_disk(tmp_path / "pipeline")
    write_exchange(review_answers[20:], tmp_path / "test.jsonl")
    write_exchange(review_answers[:20], tmp_path / "train.jsonl")
    command = ["evaluate", tmp_path / "pipeline", tmp_path / "test.jsonl", "--baselines", tmp_path / "train.jsonl"]
    command += [
        "--second",
        tmp_path / "test.jsonl",
        "--quick-curve",
        "--source",
        base_folder,
        "--json",
        tmp_path / "scores.json",
    ]
    result = CliRunner().invoke(app, [str(part) for part in command])
    assert result.exit_code == 0 and "LLM again" in result.output and "Learning curve" in result.output
    scores = srsly.read_json(tmp_path / "scores.json")
    assert read_run(tmp_path).scores == scores and scores["curve"]["kind"] == "heads"


# What stands beside it.


def test_keywords_are_the_plans_words_in_any_form(review_plan):
    said = ask_keywords(review_plan, ["I am very satisfying", "A gift for $3.50 and 12 dollars", "nothing"], [])
    assert [one.labels["positive"] for one in said] == [True, False, False]
    assert [one.labels["gift"] for one in said] == [False, True, False]
    assert said[1].spans["price"] == {(11, 16), (21, 31)}


@pytest.mark.parametrize(
    ("instruction", "text", "expected"),
    [
        ("Names of people.", "then Ann Lee came", "Ann Lee"),
        ("Dates of events.", "on 3.4.2019 or so", "3.4.2019"),
        ("Email addresses.", "to a.b@c.org.", "a.b@c.org"),
        ("Doses of a drug.", "took 20 mg daily", "20 mg"),
        ("Complaints.", "no complaint at all", "complaint"),
    ],
)
def test_patterns_that_an_instruction_names(instruction, text, expected):
    step = parse_plan({"instruction": "x", "steps": [{"id": "a", "op": "get_span", "instruction": instruction}]}).steps[
        0
    ]
    assert find_pattern(step).search(text).group() == expected


def test_passages_seen_before_are_found_again_unless_they_were_mostly_none(review_plan):
    def answer(text, *quotes):
        return Answer(text, "m", {}, {"Amounts of money.": tuple(Quote(quote) for quote in quotes)})

    train = [
        answer("Ten bucks here", "Ten bucks"),
        answer("it was free", "free"),
        answer("free free"),
        answer("so free"),
    ]
    docs, _ = make_docs([*train, answer("I paid ten bucks, free")], review_plan, spacy.blank("en"))
    assert ask_dictionary(review_plan, docs[-1:], docs[:-1])[0].spans == {"price": {(7, 16)}}


def test_regression_is_scikit_learns():
    sklearn = pytest.importorskip("sklearn.linear_model")
    random = numpy.random.default_rng(0)
    vectors = random.normal(size=(200, 20))
    wanted = vectors @ random.normal(size=20) + random.normal(size=200) > 2
    own = fit(vectors, wanted, 3.0)
    theirs = sklearn.LogisticRegression(C=3.0, class_weight="balanced", max_iter=5000, tol=1e-10).fit(vectors, wanted)
    assert own[:-1] == pytest.approx(theirs.coef_[0], abs=1e-4) and own[-1] == pytest.approx(
        theirs.intercept_[0], abs=1e-4
    )


def test_regression_finds_rare_labels_and_bears_none():
    random = numpy.random.default_rng(0)
    vectors = random.normal(size=(400, 10))
    wanted = vectors[:, 0] > 1.5
    found = predict_label(vectors[:300], wanted[:300], vectors[300:], seed=0)
    assert (found & wanted[300:]).sum() >= 0.8 * wanted[300:].sum() and found.sum() < 2 * wanted[300:].sum()
    assert not predict_label(vectors, numpy.zeros(400, dtype=bool), vectors[:3], seed=0).any()


def test_regression_learns_from_those_that_were_asked(review_plan, docs):
    vectors = numpy.array([[1.0, 0.0] if doc.cats["positive"] else [0.0, 1.0] for doc in docs])
    said = ask_regression(review_plan, vectors[:30], docs[:30], vectors[30:], seed=0)
    assert [one.labels["positive"] for one in said] == [doc.cats["positive"] == 1.0 for doc in docs[30:]]


# The curve, slices and disagreements.


def test_parts_of_the_curve_hold_each_other_and_do_not_depend_on_the_order(docs):
    parts = []

    def teach(rows):
        parts.append({docs[row].text for row in rows})
        return [Said({"positive": len(rows) > 10})] * 4

    wanted = [Said({"positive": True})] * 4
    curve = draw_curve(docs, wanted, make_texts(list("abcd"), [1.0] * 4), teach, kind="full", seed=0)
    assert [len(part) for part in parts] == [10, 20, 40] and parts[0] < parts[1] < parts[2]
    assert [point["labels"]["macro_f"] for point in curve["points"]] == [0.0, 1.0, 1.0]
    assert curve["gain"]["labels"]["f"] == 0.0 and curve["gain"]["spans" if "spans" in curve["gain"] else "labels"]
    back = docs[::-1]
    assert [back[row].text for row in rank(back, seed=0)] == [docs[row].text for row in rank(docs, seed=0)]
    assert draw_curve(docs[:9], wanted, make_texts(list("abcd"), [1.0] * 4), teach, kind="full", seed=0) is None


def test_slices_are_thirds_of_the_lengths_and_sides_of_labels():
    words = ["x" * n for n in range(1, 31)]
    wanted = [Said({"good": n < 15, "new": True}) for n in range(30)]
    found = [Said({"good": n < 15, "new": n < 20}) for n in range(30)]
    slices = slice_agreement(words, found, wanted, make_texts(words, [1.0] * 30), seed=0)
    assert [(one["name"], one["n_texts"]) for one in slices] == [
        ("1 to 10 characters", 10), ("11 to 20 characters", 10), ("21 to 30 characters", 10),
        ("good", 15), ("not good", 15), ("new", 30),
    ]  # fmt: skip
    assert [one["labels"]["f"] for one in slices][:4] == [1.0, 1.0, 0.0, 1.0]
    assert slices[4]["labels"]["f"] == pytest.approx(0.5) and slices[0]["spans"] is None


def disagree(found, wanted, text="a" * 40):
    return list_disagreements([text], [found], [wanted])


def test_disagreements_say_who_says_what_and_how_surely():
    found = Said({"good": True}, {}, {"good": 0.9})
    (one,) = disagree(found, Said({"good": False}))
    assert (one["key"], one["kind"], one["confidence"]) == ("good", "more", 0.9)
    (one,) = disagree(replace(found, labels={"good": False}, scores={"good": 0.2}), Said({"good": True}))
    assert one["kind"] == "less" and one["confidence"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("found", "wanted", "kind", "confidence"),
    [
        ({(0, 4): 0.9}, [(2, 4)], "other", 0.9),
        ({(0, 4): 0.9, (8, 9): 0.95}, [(0, 4)], "more", 0.95),
        ({(0, 4): 0.9, (8, 9): 0.3}, [(0, 4), (8, 10)], "less", 0.7),
        ({}, [(8, 10)], "less", 1.0),
        ({(0, 4): 0.9}, [(0, 4)], None, None),
    ],
)
def test_passages_that_differ(found, wanted, kind, confidence):
    kept = frozenset(place for place, score in found.items() if score >= 0.5)
    made = disagree(Said({}, {"price": kept}, {}, {"price": found}), Said({}, {"price": frozenset(wanted)}))
    assert [one["kind"] for one in made] == ([kind] if kind else [])
    if kind:
        assert made[0]["confidence"] == pytest.approx(confidence)
        assert made[0]["wanted"] == [list(place) for place in wanted]


def test_the_surest_of_every_kind_come_in_turn_and_no_more_than_twenty():
    scores = [0.5 + n / 100 for n in range(40)]
    found = [Said({"a": True, "b": False}, {}, {"a": score, "b": score - 0.4}) for score in scores]
    made = list_disagreements([str(n) for n in range(40)], found, [Said({"a": False, "b": True})] * 40)
    assert len(made) == MOST and [one["key"] for one in made[:4]] == ["a", "b", "a", "b"]
    assert made[0]["text"] == "39" and made[1]["text"] == "0"


def test_of_a_long_text_the_passage_is_shown():
    text = "x" * 50_000
    (one,) = disagree(Said({}, {"a": frozenset([(40_000, 40_005)])}), Said({}, {"a": frozenset()}), text)
    assert len(one["text"]) == MAX_CHARACTERS and one["start"] <= 40_000 < one["start"] + MAX_CHARACTERS
    assert one["n_characters"] == 50_000


def test_a_quote_without_a_place_is_shown_nowhere(docs):
    doc = docs[1].copy()
    doc.spans["sc"] = docs[1].spans["sc"].copy(doc=doc)
    doc.spans["sc"].attrs.update(asked=["price"], missed={}, unplaced={"price": 2})
    wanted = read_answers(doc)
    assert len([place for place in wanted.spans["price"] if place[0] < 0]) == 2
    (one,) = disagree(Said({}, {"price": frozenset([(0, 1)])}), wanted, doc.text)
    assert all(start >= 0 for start, _ in one["wanted"]) and math.isclose(one["confidence"], 1.0)
