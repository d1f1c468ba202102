"""A pre-trained checkpoint as a pipeline, and tasks that start from it."""

from __future__ import annotations

import json

import pytest
import spacy
import torch

from spacy_falconer.corpus.docbin import make_docs
from spacy_falconer.errors import AnswerError, ModelError
from spacy_falconer.llm.exchange import write_exchange
from spacy_falconer.metamodel.pretrain.checkpoint import read_model, write_checkpoint
from spacy_falconer.pipeline.components import find_instructed
from spacy_falconer.pipeline.score import places
from spacy_falconer.plan import parse_plan
from spacy_falconer.types import Answer
from spacy_falconer.workflow.fitted import list_thresholds
from spacy_falconer.workflow.remember import read_earlier, remember
from spacy_falconer.workflow.ship import make_pipeline, ship
from spacy_falconer.workflow.train import leave_out, train

STATEMENT = "The reviewer is satisfied."


@pytest.fixture(scope="module")
def checkpoint(encoder_folder, tmp_path_factory):
    torch.manual_seed(0)
    sizes = {"hidden_width": 192, "dropout": 0.1, "encoder_dropout": 0.0}
    model, tokenizer = read_model(encoder_folder, **sizes)
    folder = tmp_path_factory.mktemp("run") / "best"
    write_checkpoint(folder, model, tokenizer, sizes, None)
    return folder


@pytest.fixture(scope="module")
def base(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "en_falconer_xs"
    ship([checkpoint], folder, meta={"name": "falconer_xs", "version": "0.0.1"})
    return folder


@pytest.fixture(scope="module")
def later(trained, review_answers, tmp_path_factory, training_overrides):
    """A second task that starts from the pipeline of a first."""
    first = tmp_path_factory.mktemp("first")
    trained[0].to_disk(first)
    plan = parse_plan(
        {"instruction": "What broke", "steps": [{"id": "defect", "op": "get_label", "instruction": "It broke."}]}
    )
    nlp = spacy.blank("en")
    docs = [nlp.make_doc(f"the bad thing {'broke' if i % 2 else 'works'} {i}") for i in range(40)]
    for i, doc in enumerate(docs):
        doc.cats = {"defect": float(i % 2)}
        doc.spans["sc"] = []
        doc.spans["sc"].attrs["asked"] = []
    overrides = {key: value for key, value in training_overrides.items() if key.startswith("training.")}
    write_exchange(review_answers, first / "answers.jsonl")
    earlier = read_earlier(first / "answers.jsonl", first)
    return plan, docs, train(plan, docs, source=first, replay=earlier, overrides=overrides, quiet=True)


def test_what_is_shipped_reads_in_the_batches_that_it_was_trained_in(base):
    assert spacy.load(base).batch_size == 64


def test_what_is_shipped_answers_at_once(base, checkpoint):
    nlp, live = spacy.load(base), make_pipeline([checkpoint])
    for one in (nlp, live):
        one.get_pipe("falconer_label").add_instruction("positive", STATEMENT)
        one.get_pipe("falconer_span").add_instruction("price", "Amounts of money.")
    text = "i paid 7 dollars and love it"
    assert nlp(text).cats["positive"] == pytest.approx(live(text).cats["positive"], abs=2e-3)


def test_what_is_shipped_is_half_as_large_and_names_no_folder(base, checkpoint, tmp_path):
    live = make_pipeline([checkpoint])
    live.to_disk(tmp_path / "live")
    sizes = [(folder / "transformer" / "model").stat().st_size for folder in (base, tmp_path / "live")]
    assert sizes[0] < 0.75 * sizes[1]
    files = [path.read_bytes() for path in base.rglob("*") if path.is_file()]
    assert not [content for content in files if str(checkpoint).encode() in content]
    assert json.loads((base / "meta.json").read_text())["name"] == "falconer_xs"


def test_a_task_starts_from_what_was_shipped(base, review_plan, review_answers, training_overrides):
    docs, _ = make_docs(review_answers, review_plan, spacy.blank("en"))
    overrides = {key: value for key, value in training_overrides.items() if key.startswith("training.")}
    nlp, report = train(review_plan, docs, source=base, overrides={**overrides, "training.max_steps": 20}, quiet=True)
    assert nlp.pipe_names == ["transformer", "falconer_label", "falconer_span", "falconer_plan"]
    assert nlp.get_pipe("falconer_label").labels == ("positive", "gift")
    assert report.silent == ["gift"]
    assert (report.n_members, report.n_train, report.n_dev) == (3, len(docs), len(docs))


def test_few_answers_all_speak_for_the_thresholds(base, review_plan, review_answers, capsys):
    """Those of one member alone would be a third."""
    docs, _ = make_docs(review_answers, review_plan, spacy.blank("en"))
    overrides = {"training.max_steps": 2, "training.eval_frequency": 2}
    n_wanted = sum(doc.cats["positive"] for doc in docs)
    _, report = train(review_plan, docs, source=base, overrides=overrides)
    assert {one.key: one.choice for one in report.fitted}["positive"].n == n_wanted
    assert "Training 3 of 3, on 2" in capsys.readouterr().out


def read_encoder(nlp):
    return nlp.get_pipe("transformer").model.transformer.state_dict()


@pytest.mark.parametrize(("counts", "stays"), [(1e12, True), (12, False)])
def test_few_answers_leave_a_share_of_what_was_known(base, review_plan, review_answers, monkeypatch, counts, stays):
    monkeypatch.setattr("spacy_falconer.workflow.train.START_COUNTS", counts)
    docs, _ = make_docs(review_answers, review_plan, spacy.blank("en"))
    overrides = {"training.max_steps": 2, "training.eval_frequency": 2}
    nlp, _ = train(review_plan, docs, source=base, overrides=overrides, quiet=True)
    before, after = read_encoder(spacy.load(base)), read_encoder(nlp)
    assert all(torch.allclose(after[name], value, atol=1e-6) for name, value in before.items()) == stays


def test_what_no_answer_says_yes_to_is_not_learned(review_plan, review_answers):
    docs, _ = make_docs(review_answers, review_plan, spacy.blank("en"))
    left = leave_out(docs[1], ["gift", "price"])
    assert (set(left.cats), left.spans["sc"].attrs["asked"]) == ({"positive"}, [])
    assert (set(docs[1].cats), docs[1].spans["sc"].attrs["asked"]) == ({"positive", "gift"}, ["price"])


def test_a_later_task_keeps_the_earlier_instructions(later, trained):
    plan, docs, (nlp, _) = later
    assert nlp.get_pipe("falconer_label").labels == ("positive", "gift", "defect")
    assert nlp.get_pipe("falconer_span").labels == ("price",)
    for text in ("i paid 7 dollars and love it 7", "the bad price broke 4"):
        before, after = trained[0](text), nlp(text)
        assert (after.cats["positive"] > 0.5) == (before.cats["positive"] > 0.5)
        assert places(after.spans["sc"]) == places(before.spans["sc"])
    assert nlp("the bad thing broke 9").cats["defect"] > 0.5 > nlp("the bad thing works 8").cats["defect"]


def test_a_later_task_still_knows_what_the_earlier_thresholds_are_for(later, trained):
    before, after = list_thresholds(trained[0]), list_thresholds(later[2][0])
    assert before["positive"]["target"] == "f1" and before["positive"]["is_shared"]
    assert {key: after[key] for key in before} == before and after["defect"]["n"] == 20


def test_without_earlier_answers_the_source_is_asked(later, trained, tmp_path):
    plan, docs, _ = later
    trained[0].to_disk(tmp_path)
    known = [*docs, spacy.blank("en").make_doc("i paid 7 dollars and love it")]
    known[-1].spans["sc"] = []
    remembered = remember(tmp_path, plan, known, [], seed=0)
    assert set(remembered[0].cats) == {"positive", "gift", "defect"}
    assert remembered[0].spans["sc"].attrs["asked"] == ["price"]
    assert places(remembered[-1].spans["sc"]) == {"price": {(7, 16)}}
    assert "positive" not in docs[0].cats


def test_a_pipeline_without_our_components_is_no_source(tmp_path, review_plan, review_answers):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path)
    docs, _ = make_docs(review_answers, review_plan, spacy.blank("en"))
    with pytest.raises(ModelError, match="sentencizer.*no falconer component"):
        train(review_plan, docs, source=tmp_path, quiet=True)


def test_both_components_of_what_was_shipped_have_no_instructions(base):
    nlp = spacy.load(base)
    assert [pipe.labels for pipe in find_instructed(nlp)] == [
        (),
        (),
    ]


def test_answers_to_other_instructions_are_nothing_to_replay(trained, review_answers, tmp_path):
    trained[0].to_disk(tmp_path / "first")
    write_exchange([Answer("a text", "a model", {"Something else.": True})], tmp_path / "other.jsonl")
    with pytest.raises(AnswerError, match="answers none of the instructions.*The reviewer is satisfied"):
        read_earlier(tmp_path / "other.jsonl", tmp_path / "first")


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "own.py").write_text("my only copy")
    with pytest.raises(ModelError, match="something else than a pipeline.*another output"):
        ship([tmp_path / "none"], tmp_path, meta={})
    assert (tmp_path / "own.py").read_text() == "my only copy"
