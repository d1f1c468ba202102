from __future__ import annotations

import pytest
import spacy

from spacy_falconer.corpus.docbin import (
    GroundingReport,
    answer_to_doc,
    fold_docs,
    make_docs,
    read_docbin,
    split_docs,
    write_docbin,
)
from spacy_falconer.errors import AnswerError
from spacy_falconer.plan import parse_plan
from spacy_falconer.types import Answer, Quote

LIKED, BROKE, MONEY, PRAISE = "Satisfied.", "It broke.", "Amounts of money.", "What is praised."
PLAN = parse_plan({
    "instruction": "Prices and praise",
    "steps": [
        {"id": "positive", "op": "get_label", "instruction": LIKED},
        {"id": "defect", "op": "get_label", "instruction": BROKE},
        {"id": "price", "op": "get_span", "instruction": MONEY},
        {"id": "praised", "op": "get_span", "instruction": PRAISE},
        {"id": "cheap", "op": "get_label", "instruction": "{span} is cheap.", "for_each": "price"},
    ],
})  # fmt: skip
TEXT = "Paid $25, then $25 under $300)Recommended. Love it."


def quotes(*words):
    return tuple(Quote(one) for one in words)


def found(group):
    return [(span.label_, span.start_char, span.end_char) for span in group]


@pytest.fixture(scope="module")
def blank():
    return spacy.blank("en")


@pytest.fixture
def answer():
    people = Answer(TEXT, "gold", {LIKED: False}, {MONEY: (Quote("$25", 15),)})
    spans = {MONEY: quotes("$25", "$25", "$300", "$7", "$8"), PRAISE: ()}
    return Answer(TEXT, "some-model", {LIKED: True}, spans, people)


def test_an_answer_as_a_doc(blank, answer):
    doc = answer_to_doc(answer, PLAN, blank)
    group = doc.spans["sc"]
    assert doc.text == TEXT
    assert doc.user_data["model"] == "some-model"
    assert found(group) == [("price", 5, 8), ("price", 15, 18)]
    assert group.attrs == {"asked": ["price", "praised"], "missed": {"price": [[25, 29]]}, "unplaced": {"price": 2}}


def test_what_was_not_asked_is_unknown_not_false(blank):
    doc = answer_to_doc(Answer(TEXT, "m", {BROKE: False}, {PRAISE: ()}), PLAN, blank)
    assert doc.cats == {"defect": 0.0}
    assert doc.spans["sc"].attrs["asked"] == ["praised"]
    assert "gold" not in doc.spans and "gold_cats" not in doc.user_data


def test_what_people_said_is_beside_it(blank, answer):
    doc = answer_to_doc(answer, PLAN, blank)
    assert (doc.cats, doc.user_data["gold_cats"]) == ({"positive": 1.0}, {"positive": 0.0})
    assert found(doc.spans["gold"]) == [("price", 15, 18)]
    assert doc.spans["gold"].attrs == {"asked": ["price"], "missed": {}, "unplaced": {}}


def test_another_spans_key(blank, answer):
    doc = answer_to_doc(answer, PLAN, blank, spans_key="mined")
    assert sorted(doc.spans) == ["gold", "mined"]


def test_everything_survives_the_disk(blank, answer, tmp_path):
    others = [Answer("Nothing asked.", "m"), Answer("", "m", {LIKED: True}, {MONEY: ()})]
    docs, _ = make_docs([answer, *others], PLAN, blank)
    path = tmp_path / "new" / "answers.spacy"
    write_docbin(docs, path)
    for before, after in zip(docs, read_docbin(path, spacy.blank("en")), strict=True):
        assert (after.text, after.cats, after.user_data) == (before.text, before.cats, before.user_data)
        assert set(after.spans) == set(before.spans)
        for key in before.spans:
            assert found(after.spans[key]) == found(before.spans[key])
            assert after.spans[key].attrs == before.spans[key].attrs


def test_every_quote_is_counted_once(blank, answer):
    others = [Answer("Love the $9 pan.", "m", {}, {MONEY: quotes("$9")}), Answer("Meh.", "m", {LIKED: False})]
    _, report = make_docs([answer, *others], PLAN, blank)
    assert report.rows() == [("price", 2, 6, 3, 2, 1), ("praised", 1, 0, 0, 0, 0)]
    assert report.explain() == "3 of 6 quoted passages do not stand in their texts as tokens: price 3."
    assert GroundingReport().rows() == [] and GroundingReport().explain() is None


def test_a_file_that_is_no_docbin(tmp_path, blank):
    (tmp_path / "a.spacy").write_text("no DocBin")
    with pytest.raises(AnswerError, match="a.spacy.*cannot be read as a DocBin"):
        read_docbin(tmp_path / "a.spacy", blank)


def test_a_split_holds_every_doc_once_and_in_order(blank):
    docs = [blank.make_doc(f"Text {i}.") for i in range(50)]
    train, dev = split_docs(docs, dev_share=0.2, seed=0)
    assert (len(train), len(dev)) == (40, 10)
    order = {doc.text: i for i, doc in enumerate(docs)}
    for part in (train, dev):
        assert [order[doc.text] for doc in part] == sorted(order[doc.text] for doc in part)
    assert {doc.text for doc in train} | {doc.text for doc in dev} == set(order)


def test_a_split_depends_on_texts_and_seed_alone(blank):
    docs = [blank.make_doc(f"Text {i}.") for i in range(50)]
    held_out = [{doc.text for doc in split_docs(some, dev_share=0.2, seed=seed)[1]}
                for some, seed in [(docs, 0), (docs[::-1], 0), (docs, 1)]]  # fmt: skip
    assert held_out[0] == held_out[1] != held_out[2]


def test_no_text_is_on_both_sides(blank):
    docs = [blank.make_doc(f"Text {i % 7}.") for i in range(35)]
    for seed in range(10):
        train, dev = split_docs(docs, dev_share=0.2, seed=seed)
        assert not {doc.text for doc in train} & {doc.text for doc in dev}
        assert (len(train), len(dev)) == (30, 5)


def test_of_folds_each_text_is_held_out_once(blank):
    docs = [blank.make_doc(f"Text {i % 20}.") for i in range(40)]
    parts = fold_docs(docs, n_folds=3, seed=0)
    assert sorted(doc.text for _, held_out in parts for doc in held_out) == sorted(doc.text for doc in docs)
    for learned, held_out in parts:
        assert len(learned) + len(held_out) == 40 and not {doc.text for doc in learned} & {doc.text for doc in held_out}


def test_an_answered_text_that_no_pipeline_reads_is_named(blank):
    with pytest.raises(AnswerError, match="'x x x.* has 1,200,000 characters; a pipeline reads at most 1,000,000"):
        answer_to_doc(Answer("x " * 600_000, "a model"), PLAN, blank)
