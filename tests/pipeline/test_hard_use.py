"""What is seldom done to a pipeline, but is done: by several threads, to other tokens, for several tasks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import spacy
import srsly
import torch
from spacy.language import Language
from spacy.training import Example

from spacy_falconer.errors import ModelError
from spacy_falconer.pipeline.source import add_falconer
from spacy_falconer.plan import parse_plan

TEXTS = [f"i paid {n} dollars and love it, the price is nice" * (1 + n % 3) for n in range(48)]
MONEY = {"id": "price", "op": "get_span", "instruction": "Amounts of money."}
POSITIVE = {"id": "positive", "op": "get_label", "instruction": "The reviewer is satisfied."}


def plan_of(*steps, **fields):
    return parse_plan({"instruction": "Mine it", "steps": list(steps), "output": ["price"], **fields})


@pytest.fixture
def eager(make_nlp):
    """With many spans, however low their scores."""
    return make_nlp(threshold=0.05)


@Language.component("test_merge")
def merge(doc):
    with doc.retokenize() as retokenizer:
        if len(doc) > 3:
            retokenizer.merge(doc[0:2])
    return doc


@Language.component("test_cut_at_semicolons")
def cut_at_semicolons(doc):
    for token in doc[1:]:
        token.is_sent_start = doc[token.i - 1].text in ";."
    return doc


def test_several_threads_read_as_one_does(eager):
    alone = [eager(text) for text in TEXTS]
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(eager, TEXTS))
        for doc, other in zip(alone, together, strict=True):
            assert doc.cats == pytest.approx(other.cats, abs=1e-4)
            assert [str(span) for span in doc.spans["sc"]] == [str(span) for span in other.spans["sc"]]


def test_an_instruction_is_added_between_two_updates(eager, answered):
    text = "i paid 7 dollars"
    examples = [Example(eager.make_doc(text), answered(eager, text, {"positive": 1.0}, [("price", "7 dollars")]))]
    optimizer = eager.resume_training()
    eager.update(examples, sgd=optimizer)
    eager.get_pipe("falconer_label").add_instruction("broken", "It broke.")
    eager.update(examples, sgd=optimizer)
    assert "broken" in eager(text).cats


def test_tokens_merged_after_they_were_read_are_refused(eager):
    eager.add_pipe("test_merge", after="transformer")
    with pytest.raises(ModelError, match=r"got a text of 3 tokens that had 4 .* before the transformer, or after"):
        eager("i paid 7 dollars")
    eager.remove_pipe("test_merge")
    eager.add_pipe("test_merge", first=True)
    assert len(eager("i paid 7 dollars")) == 3


@pytest.mark.parametrize("key", ["Größe", "two words", "PRICE?"])
def test_a_key_may_be_any_words(trained, review_answers, tmp_path, key):
    """Also where a pipeline without a plan is evaluated by answers to its instructions."""
    from spacy_falconer.corpus.docbin import make_docs
    from spacy_falconer.workflow.evaluate import evaluate
    from spacy_falconer.workflow.remember import plan_of

    trained[0].to_disk(tmp_path)
    nlp = spacy.load(tmp_path)
    nlp.remove_pipe("falconer_plan")
    nlp.get_pipe("falconer_label").add_instruction(key, "It is large.")
    docs, _ = make_docs(review_answers[:10], plan_of(nlp), nlp)
    assert "positive" in evaluate(nlp, docs)["labels"]["per_instruction"]
    assert plan_of(nlp).steps_by_id[key].op == "get_label"


def test_a_key_is_one_components(eager):
    with pytest.raises(ModelError, match="'falconer_span' has an instruction 'price' already"):
        eager.get_pipe("falconer_label").add_instruction("price", "It names a price.")


@pytest.mark.parametrize("text", ["\u200b", "\u200b \u2060", "\x00"])
def test_an_instruction_has_something_to_read(eager, text):
    with pytest.raises(ModelError, match="expected a statement or request in words"):
        eager.get_pipe("falconer_label").add_instruction("empty", text)


def test_a_plan_may_be_given_as_in_its_file(eager):
    eager.add_pipe("falconer_plan").set_plan(plan_of(MONEY).model_dump(mode="json"))
    assert set(eager(TEXTS[3])._.mined["spans"]) == {"price"}


def test_each_task_of_a_pipeline_reads_its_own_components(eager, make_nlp):
    loved = {**MONEY, "instruction": "What is loved."}
    other = make_nlp(threshold=0.0, spans={"price": loved["instruction"]}, labels={})
    other.add_pipe("falconer_plan").set_plan(plan_of(loved))
    eager.add_pipe("falconer_plan").set_plan(plan_of(MONEY))
    for name in eager.pipe_names:
        eager.rename_pipe(name, f"a_{name}")
    add_falconer(eager, other, spans_key="other")
    found = {}
    for plan, key in (("a_falconer_plan", "sc"), ("falconer_plan", "other")):
        for doc in map(eager, TEXTS[:4]):
            found[key, doc.text] = [span["text"] for span in eager.get_pipe(plan)(doc)._.mined["spans"]["price"]]
            assert found[key, doc.text] == [span.text for span in doc.spans[key] if span.label_ == "price"]
    assert any(found["sc", text] != found["other", text] for text in TEXTS[:4])


@pytest.mark.parametrize("name", ["falconer_label", "falconer_span"])
def test_sentences_are_read_by_each_components_own_encoder(eager, name):
    eager.add_pipe("sentencizer", first=True)
    eager.add_pipe("falconer_plan").set_plan(plan_of(POSITIVE, MONEY, unit="sentence"))
    text = "i paid 7 dollars and love it. the price is nice."
    before = eager(text)._.mined
    eager.replace_listeners("transformer", name, ["model.tok2vec"])
    assert len(before) == 2 and before[0]["spans"]["price"]
    for row, other in zip(before, eager(text)._.mined, strict=True):
        assert row["labels"] == pytest.approx(other["labels"], abs=1e-4)
        assert [one["text"] for one in row["spans"]["price"]] == [one["text"] for one in other["spans"]["price"]]


@pytest.mark.parametrize("text", ["i paid $5. it broke.\n\n", "   ", "", "\n i paid $5."])
def test_blank_sentences_are_none(eager, text):
    eager.add_pipe("sentencizer", first=True)
    eager.add_pipe("falconer_plan").set_plan(plan_of(MONEY, unit="sentence"))
    rows = eager(text)._.mined
    assert all(text[row["sentence"]["start"] : row["sentence"]["end"]].strip() for row in rows)
    assert len(rows) == text.count(".")


def test_a_corpus_is_cut_as_the_pipeline_cuts(eager, tmp_path):
    """Whatever sets its sentence starts: the rows are those of the pipeline itself."""
    from spacy_falconer.types import Record
    from spacy_falconer.workflow.mine import mine

    eager.add_pipe("test_cut_at_semicolons", first=True)
    eager.add_pipe("falconer_plan").set_plan(plan_of(POSITIVE, MONEY, unit="sentence"))
    texts = ["price 5 dollars; it broke; i liked it. fine! and i love it", "i love it? yes; and no"]
    mine(eager, [Record(str(n), text) for n, text in enumerate(texts)], tmp_path / "rows.jsonl")
    rows = list(srsly.read_jsonl(tmp_path / "rows.jsonl"))
    expected = [{"id": str(n), **row} for n, text in enumerate(texts) for row in eager(text)._.mined]
    assert [(row["id"], row["sentence"]) for row in rows] == [(row["id"], row["sentence"]) for row in expected]
    assert [row["spans"]["price"] for row in rows] == [
        [pytest.approx(span, abs=1e-4) for span in row["spans"]["price"]] for row in expected
    ]
    assert len(rows) == 6


def test_a_head_is_loaded_whatever_torchs_default_is(eager, tmp_path):
    eager.to_disk(tmp_path)
    torch.set_default_dtype(torch.float64)
    try:
        assert spacy.load(tmp_path)(TEXTS[0]).cats == pytest.approx(eager(TEXTS[0]).cats, abs=1e-4)
    finally:
        torch.set_default_dtype(torch.float32)


def test_passages_are_learned_wherever_they_are_written(
    make_nlp, review_plan, review_answers, training_overrides, tmp_path
):
    """And the pipeline goes on to write them there."""
    from spacy_falconer.corpus.docbin import make_docs
    from spacy_falconer.workflow.thresholds import fit_thresholds
    from spacy_falconer.workflow.train import train

    own = spacy.blank("en")
    add_falconer(own, make_nlp(labels={}, spans={}), spans_key="falconer")
    own.to_disk(tmp_path / "source")
    docs, _ = make_docs(review_answers, review_plan, spacy.blank("en"))
    settings = {key: value for key, value in training_overrides.items() if key.startswith("training.")}
    nlp, report = train(review_plan, docs, source=tmp_path / "source", overrides=settings, quiet=True)
    assert {one.key for one in report.fitted if one.choice} >= {"positive", "price"}
    nlp.to_disk(tmp_path / "trained")
    doc = spacy.load(tmp_path / "trained")("i paid 7 dollars and love it 7")
    assert [span.text for span in doc.spans["falconer"]] == ["7 dollars"] and "sc" not in doc.spans
    assert {one.key for one in fit_thresholds(nlp, docs)} >= {"positive", "price"}


def rows_of(nlp, texts, path):
    from spacy_falconer.types import Record
    from spacy_falconer.workflow.mine import mine

    mine(nlp, [Record(str(n), text) for n, text in enumerate(texts)], path)
    return [(row["id"], row["sentence"]["start"], row["sentence"]["end"]) for row in srsly.read_jsonl(path)]


def sentences_of(nlp, texts):
    rows = [(str(n), row["sentence"]) for n, text in enumerate(texts) for row in nlp(text)._.mined]
    return [(name, place["start"], place["end"]) for name, place in rows]


def test_a_text_that_a_component_fails_on_stops_no_other(eager, tmp_path):
    eager.add_pipe("sentencizer", first=True)
    eager.add_pipe("test_fails_on", config={"word": "bad"}, after="sentencizer")
    eager.add_pipe("falconer_plan").set_plan(plan_of(POSITIVE, MONEY, unit="sentence"))
    texts = ["i love it. fine.", "it is bad. it broke.", "i paid 5 dollars."]
    assert rows_of(eager, texts, tmp_path / "rows.jsonl") == sentences_of(eager, [texts[0], "", texts[2]])
    assert len(list(srsly.read_jsonl(tmp_path / "rows.rejects.jsonl"))) == 1


@pytest.mark.parametrize(
    "where", [{"first": True}, {"after": "transformer"}, {"after": "falconer_label"}, {"last": True}]
)
@pytest.mark.parametrize("other", [None, "entity_ruler"])
def test_a_corpus_is_cut_alike_wherever_the_cutter_stands(eager, tmp_path, where, other):
    eager.add_pipe("sentencizer", config={"punct_chars": ["!"]}, **where)
    if other:
        eager.add_pipe(other, first=True)
    eager.add_pipe("falconer_plan").set_plan(plan_of(POSITIVE, MONEY, unit="sentence"))
    texts = ["i love it. fine! i paid 5 dollars.", "it broke! bad"]
    found = rows_of(eager, texts, tmp_path / "rows.jsonl")
    assert found == sentences_of(eager, texts) and len(found) == 4


def test_a_component_without_a_transformer_says_so():
    nlp = spacy.blank("en")
    nlp.add_pipe("falconer_label")
    with pytest.raises(ModelError, match="encoder has no width yet. Expected a transformer before it"):
        nlp.initialize()
