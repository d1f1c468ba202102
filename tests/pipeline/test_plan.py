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
    text = "the price is nice and the cost is good " * 3
    row = nlp(text)._.mined
    passages = [span["text"] for span in row["spans"]["price"]]
    assert [one["for"]["text"] for one in row["labels"]["about"]] == passages and passages
    label, span = nlp.get_pipe("falconer_label"), nlp.get_pipe("falconer_span")
    doc = nlp.get_pipe("transformer")(nlp.make_doc(text))
    for one in row["labels"]["about"]:
        vector = label.read_instruction(f"The review praises {one['for']['text']}.").reshape(1, -1)
        assert one["score"] == pytest.approx(float(label.predict_vectors([doc], vector)[0, 0]), abs=1e-4)
    expected = []
    for passage in passages:
        vector = span.read_instruction(f"What is said of {passage}.").reshape(1, -1)
        found = span.find_spans(span.predict_vectors([doc], vector), [len(doc)], ["more"])
        expected += [(doc[start:end].text, passage) for start, end in zip(found.start, found.end, strict=True)]
    assert [(one["text"], one["for"]["text"]) for one in row["spans"]["more"]] == expected and expected


def watch(pipe, read):
    """Note what a component reads as instructions, call by call."""
    read_instructions = pipe.read_instructions
    pipe.read_instructions = lambda texts, nlp: read.append(list(texts)) or read_instructions(texts, nlp=nlp)


ABOUT = {"id": "about", "op": "get_label", "instruction": "The review praises {span}.", "for_each": "price"}
MORE = {"id": "more", "op": "get_span", "instruction": "What is said of {span}.", "for_each": "price"}
WELL = {"id": "well", "op": "get_label", "instruction": "{span} is meant well.", "for_each": "price", "when": "more"}
TEXTS = ["the price is nice and the cost is good " * 3, "i love it. i paid 5 dollars.", "", "it broke. bad cost", "a"]


@pytest.mark.parametrize("unit", ["document", "sentence"])
def test_rows_are_equal_at_any_batch_size(planned, unit):
    plan = plan_of({**PRICE, "when": "true"}, ABOUT, MORE, WELL, output=["price", "about", "more"], unit=unit)
    nlp = planned(plan, threshold=0.06)
    nlp.add_pipe("sentencizer", first=True)
    alone = [nlp(text)._.mined for text in TEXTS]
    together = [doc._.mined for doc in nlp.pipe(TEXTS)]
    assert flatten(together) == [
        value if isinstance(value, str) else pytest.approx(value, abs=1e-4) for value in flatten(alone)
    ]
    assert any(isinstance(value, float) for value in flatten(alone))


def flatten(value):
    """All that a row says, in its order."""
    if isinstance(value, dict):
        value = [part for pair in value.items() for part in pair]
    return (
        [part for one in value for part in flatten(one)]
        if isinstance(value, list)
        else [value if value is not None else "none"]
    )


def test_what_all_texts_of_a_batch_ask_of_passages_is_read_together_and_once(planned):
    nlp = planned(plan_of({**PRICE, "when": "true"}, ABOUT, MORE, WELL, output=["price", "more"]), threshold=0.06)
    read = {name: [] for name in ("falconer_label", "falconer_span")}
    for name, calls in read.items():
        watch(nlp.get_pipe(name), calls)
    rows = [doc._.mined for doc in nlp.pipe(TEXTS * 2, batch_size=len(TEXTS))]
    passages = {span["text"] for row in rows for span in row["spans"]["price"]}
    calls = [texts for texts in read["falconer_label"] if texts]
    assert [len(calls), len([texts for texts in read["falconer_span"] if texts])] == [2, 1]
    assert sorted(calls[0]) == sorted(f"The review praises {text}." for text in passages)


def test_passages_are_asked_about_by_the_encoder_of_now(planned):
    """Not by one that has learned since, or that another precision stood for."""
    nlp = planned(plan_of({**PRICE, "when": "true"}, ABOUT, output=["price"]), threshold=0.06)
    list(nlp.pipe(TEXTS))
    for weights in nlp.get_pipe("transformer").model.transformer.parameters():
        weights.data *= 1.1
    since = flatten([doc._.mined for doc in nlp.pipe(TEXTS)])
    alone = flatten([nlp(text)._.mined for text in TEXTS])
    assert since == [value if isinstance(value, str) else pytest.approx(value, abs=1e-4) for value in alone]
    assert any(isinstance(value, float) for value in alone)


def test_passages_are_not_asked_about_where_a_condition_says_no(planned):
    """Also where the condition is the answer about a passage that is not known before."""
    never, always = {**MORE, "when": "about"}, {**MORE, "id": "all", "when": "not about"}
    nlp = planned(plan_of({**PRICE, "when": "true"}, ABOUT, never, always, output=["more", "all"]), threshold=0.06)
    label, read = nlp.get_pipe("falconer_label"), []
    watch(nlp.get_pipe("falconer_span"), read)
    label.cfg["thresholds"]["about"] = 0.0
    assert "more" in nlp(TEXTS[0])._.mined["spans"]
    assert nlp(TEXTS[0])._.mined["spans"].keys() == {"more"}
    label.cfg["thresholds"]["about"] = 1.0
    read.clear()
    assert nlp(TEXTS[0])._.mined["spans"].keys() == {"all"}
    list(nlp.pipe(TEXTS))
    nlp.get_pipe("falconer_plan").set_plan(plan_of({**PRICE, "when": "true"}, ABOUT, never, output=["more"]))
    read.clear()
    list(nlp.pipe(TEXTS))
    assert not [texts for texts in read if texts]


def test_every_sentence_is_a_text_of_its_own(planned):
    nlp = planned(plan_of(POSITIVE, unit="sentence"))
    nlp.add_pipe("sentencizer", first=True)
    text = "I love it. It broke."
    whole = nlp(text)._.mined
    alone = [nlp(sentence)._.mined[0] for sentence in ("I love it.", "It broke.")]
    assert [row["labels"] for row in whole] == [pytest.approx(row["labels"]) for row in alone]
    assert [text[row["sentence"]["start"] : row["sentence"]["end"]] for row in whole] == ["I love it.", "It broke."]


def test_without_a_kept_sentence_nothing_is_mined(planned):
    nlp = planned(plan_of(POSITIVE, unit="sentence", keep="positive and not positive"))
    nlp.add_pipe("sentencizer", first=True)
    assert nlp("I love it. It broke.")._.mined == [] == nlp("")._.mined


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
    with pytest.raises(ModelError, match="step 'gift' is not an instruction of 'falconer_label'.*positive, defect"):
        planned(plan)("I love it.")


@pytest.mark.parametrize("name", ["falconer_label", "falconer_span"])
def test_a_disabled_component_is_named(planned, name):
    nlp = planned(plan_of({**PRICE, "when": "true"}, POSITIVE, output=["price"]))
    with nlp.select_pipes(disable=[name]), pytest.raises(ModelError, match=f"answered by '{name}'.*Enable '{name}'"):
        nlp("I love it.")


def test_errors_go_where_the_pipeline_sends_them(planned):
    nlp, seen = planned(plan_of(POSITIVE)), []
    nlp.set_error_handler(lambda name, pipe, docs, error: seen.append((name, len(docs), type(error))))
    with nlp.select_pipes(disable=["falconer_label"]):
        assert list(nlp.pipe(["I love it.", "It broke."])) == []
    assert seen == [("falconer_plan", 2, ModelError)]
    assert len(list(nlp.pipe(["I love it.", "It broke."]))) == 2


def test_a_component_that_replaces_the_plans_passages_is_named(planned):
    nlp = planned(plan_of({**PRICE, "when": "true"}, output=["price"]))
    found = nlp("i paid 5 dollars")._.mined
    nlp.add_pipe("falconer_span", name="other", before="falconer_plan").initialize(list, nlp=nlp)
    with pytest.raises(ModelError, match=r"'other' replaces what 'falconer_span' finds.*'sc'.*another spans_key"):
        nlp("i paid 5 dollars")
    nlp.get_pipe("other").cfg["spans_key"] = "others"
    assert nlp("i paid 5 dollars")._.mined == found


def test_without_a_plan_it_warns(make_nlp):
    nlp = make_nlp()
    nlp.add_pipe("falconer_plan")
    with pytest.warns(UserWarning, match="'falconer_plan' has no plan.*set_plan"):
        assert nlp("i paid 5 dollars")._.mined is None
