"""`falconer_plan` over what the two components found."""

from __future__ import annotations

import pytest
import spacy

from spacy_falconer.errors import ModelError
from spacy_falconer.plan import parse_plan


def plan_of(*steps, **fields):
    return parse_plan({"instruction": "Mine it", "steps": list(steps), **fields})


POSITIVE = {"id": "positive", "op": "get_label", "instruction": "The reviewer is satisfied."}
PRICE = {"id": "price", "op": "get_span", "instruction": "Amounts of money.", "when": "positive"}


@pytest.fixture
def planned(make_nlp):
    def make(plan, **settings):
        nlp = make_nlp(**settings)
        nlp.add_pipe("falconer_plan").set_plan(plan)
        return nlp

    return make


@pytest.fixture
def annotate(planned, group_of):
    """Hand-made component outputs, then the plan alone."""

    def run(plan, text, cats, spans):
        nlp = planned(plan)
        doc = group_of(nlp.make_doc(text), spans)
        doc.cats = cats
        return nlp.get_pipe("falconer_plan")(doc)._.mined

    return run


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (
            0.9,
            {
                "labels": {"positive": 0.9},
                "spans": {"price": [{"text": "25 dollars", "start": 7, "end": 17, "score": 0.75}]},
            },
        ),
        (0.4, None),
    ],
)
def test_what_the_components_found_becomes_a_row(annotate, score, expected):
    plan = plan_of(POSITIVE, PRICE, keep="positive and price", output=["price"])
    found = [("price", 2, 4, 0.75), ("praised", 0, 1, 0.9)]
    assert annotate(plan, "I paid 25 dollars", {"positive": score, "defect": 0.1}, found) == expected


def test_a_step_for_each_passage_reads_its_filled_instruction(planned):
    about = {"id": "about", "op": "get_label", "instruction": "The review praises {span}.", "for_each": "price"}
    more = {"id": "more", "op": "get_span", "instruction": "What is said of {span}.", "for_each": "price"}
    nlp = planned(plan_of({**PRICE, "when": "true"}, about, more, output=["price", "about", "more"]), threshold=0.06)
    read = []
    label = nlp.get_pipe("falconer_label")
    read_instruction = label.read_instruction
    label.read_instruction = lambda text, nlp: read.append(text) or read_instruction(text, nlp=nlp)
    doc = nlp("the price is nice and the cost is good " * 3)
    passages = [span["text"] for span in doc._.mined["spans"]["price"]]
    assert [one["for"]["text"] for one in doc._.mined["labels"]["about"]] == passages
    assert sorted(read) == sorted({f"The review praises {text}." for text in passages})


def test_every_sentence_is_a_text_of_its_own(planned):
    nlp = planned(plan_of(POSITIVE, unit="sentence"))
    nlp.add_pipe("sentencizer", first=True)
    text = "I love it. It broke."
    whole = nlp(text)._.mined
    alone = [nlp(sentence)._.mined[0] for sentence in ("I love it.", "It broke.")]
    assert [row["labels"] for row in whole] == [pytest.approx(row["labels"]) for row in alone]
    assert [text[row["sentence"]["start"] : row["sentence"]["end"]] for row in whole] == ["I love it.", "It broke."]


def test_sentences_need_something_that_finds_them(planned):
    with pytest.raises(ModelError, match="nothing in the pipeline sets sentence starts"):
        planned(plan_of(POSITIVE, unit="sentence"))("I love it.")


def test_the_plan_is_saved_with_the_pipeline(planned, tmp_path):
    nlp = planned(plan_of(POSITIVE, PRICE, keep="true", output=["price"]))
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    assert loaded.get_pipe("falconer_plan").plan == nlp.get_pipe("falconer_plan").plan
    assert loaded("I paid")._.mined["labels"] == pytest.approx(nlp("I paid")._.mined["labels"])


def test_the_encoders_vectors_are_dropped_last(planned):
    assert planned(plan_of(POSITIVE))("I love it.")._.trf_data is None


def test_a_step_that_no_component_knows(planned):
    plan = plan_of({"id": "gift", "op": "get_label", "instruction": "A gift."})
    with pytest.raises(ModelError, match="step 'gift' is no instruction of 'falconer_label'.*positive, defect"):
        planned(plan)("I love it.")
