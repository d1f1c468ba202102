"""From answers to a pipeline on disk, with the tiny encoder."""

from __future__ import annotations

import copy

import pytest
import spacy
from spacy.cli.train import train as spacy_train

from spacy_falconer.corpus.docbin import make_docs, write_docbin
from spacy_falconer.errors import AnswerError, ModelError
from spacy_falconer.pipeline.score import places
from spacy_falconer.plan import parse_plan
from spacy_falconer.workflow.answers import read_answers
from spacy_falconer.workflow.evaluate import evaluate
from spacy_falconer.workflow.train import count_steps, find_default_config, train, write_inputs


def test_a_pipeline_is_trained_composed_and_saved(trained, review_plan, tmp_path):
    nlp, report = trained
    assert nlp.pipe_names == ["transformer", "falconer_label", "falconer_span", "falconer_plan"]
    assert (report.n_train, report.n_dev) == (32, 8)
    assert nlp.get_pipe("falconer_plan").plan == review_plan
    nlp.to_disk(tmp_path)
    text = "i paid 7 dollars and love it"
    assert spacy.load(tmp_path)(text)._.mined == nlp(text)._.mined is not None


def test_it_learned_the_answers(trained, review_answers, review_plan):
    nlp, _ = trained
    scores = evaluate(nlp, make_docs(review_answers, review_plan, spacy.blank("en"))[0])
    assert scores["labels"]["macro_f"] > 0.9 and scores["spans"]["macro_f"] > 0.9


def test_no_path_of_the_training_stays(trained, tmp_path):
    nlp, _ = trained
    nlp.to_disk(tmp_path)
    assert "/tmp" not in (tmp_path / "config.cfg").read_text().replace(
        nlp.config["components"]["transformer"]["model"]["name"], ""
    )


def test_what_could_not_be_learned_is_named(trained):
    assert trained[1].silent == ["gift"]
    assert "gift" in [one.key for one in trained[1].fitted if one.is_shared]


def test_too_few_answers(review_plan, review_answers):
    docs, _ = make_docs(review_answers[:3], review_plan, spacy.blank("en"))
    with pytest.raises(AnswerError, match="There are 3 answered texts; expected at least 8.*Annotate more"):
        train(review_plan, docs + [spacy.blank("en")("a")] * 9)


def test_answers_to_other_instructions(review_plan, review_answers):
    other = parse_plan({"instruction": "x", "steps": [{"id": "new", "op": "get_label", "instruction": "It is new."}]})
    docs, _ = make_docs(review_answers, review_plan, spacy.blank("en"))
    with pytest.raises(AnswerError, match="to none of the plan's instructions. Expected some to: new: 'It is new.'"):
        train(other, docs)


def test_what_nobody_was_asked_is_named_apart(review_plan, review_answers, training_overrides):
    new = {"id": "new", "op": "get_label", "instruction": "It is new."}
    fields = review_plan.model_dump(mode="json", exclude_none=True)
    plan = parse_plan({**fields, "steps": [*fields["steps"], new]})
    docs, _ = make_docs(review_answers, plan, spacy.blank("en"))
    few = {**training_overrides, "training.max_steps": 2, "training.eval_frequency": 2}
    _, report = train(plan, docs, overrides=few, quiet=True)
    assert (report.silent, report.unasked) == (["gift"], ["new"])


def test_answers_to_a_reworded_instruction_are_refused(review_plan, review_answers, tmp_path):
    docs, _ = make_docs(review_answers, review_plan, spacy.blank("en"))
    write_docbin(docs, tmp_path / "answers.spacy")
    assert read_answers(tmp_path / "answers.spacy", review_plan, spacy.blank("en"))[0]
    fields = review_plan.model_dump(mode="json", exclude_none=True)
    fields["steps"][0]["instruction"] = "The reviewer is unhappy."
    with pytest.raises(AnswerError, match="answers 'positive' as 'The reviewer is satisfied.', but the plan asks"):
        read_answers(tmp_path / "answers.spacy", parse_plan(fields), spacy.blank("en"))


@pytest.mark.parametrize("content", [b'[nlp]\nlang = "en"\n', b"\xff\xfe", b"no config"])
def test_a_config_that_is_none(review_plan, review_answers, tmp_path, content):
    (tmp_path / "own.cfg").write_bytes(content)
    docs, _ = make_docs(review_answers, review_plan, spacy.blank("en"))
    with pytest.raises(ModelError, match="is not a training config"):
        train(review_plan, docs, config=tmp_path / "own.cfg", quiet=True)


def test_few_answers_are_read_more_often():
    assert [count_steps(n, n // 10) for n in (50, 400, 10_000)] == [120, 200, 1200]


def test_evaluating_changes_nothing_and_is_repeatable(trained, review_answers, review_plan):
    nlp, _ = trained
    docs, _ = make_docs(review_answers, review_plan, spacy.blank("en"))
    before = copy.deepcopy([(doc.cats, places(doc.spans["sc"]), dict(doc.spans["sc"].attrs)) for doc in docs])
    assert evaluate(nlp, docs) == evaluate(nlp, docs)
    assert [(doc.cats, places(doc.spans["sc"]), dict(doc.spans["sc"].attrs)) for doc in docs] == before


def test_people_are_kept_apart_from_the_model(trained, review_answers, review_plan):
    nlp, _ = trained
    scores = evaluate(nlp, make_docs(review_answers, review_plan, spacy.blank("en"))[0])
    assert scores["people"]["n_texts"] == 1
    row = scores["people"]["labels"]["per_instruction"]["positive"]
    assert {key: row[key] for key in ("p", "r", "f", "n")} == {"p": 0.0, "r": 0.0, "f": 0.0, "n": 1}


def test_every_instruction_has_its_number_of_texts(trained, review_answers, review_plan):
    nlp, _ = trained
    scores = evaluate(nlp, make_docs(review_answers, review_plan, spacy.blank("en"))[0])
    assert scores["n_texts"] == 40
    assert {key: row["n"] for key, row in scores["labels"]["per_instruction"].items()} == {"positive": 40, "gift": 40}
    assert scores["spans"]["per_instruction"]["price"].keys() >= {"p", "r", "f", "n", "f_ci"}


def test_spacy_train_takes_the_config_as_it_is(review_plan, review_answers, training_overrides, tmp_path):
    """Without our `train`: spaCy's own command, with the paths that it asks for."""
    docs, _ = make_docs(review_answers, review_plan, spacy.blank("en"))
    paths = write_inputs(review_plan, docs[:32], docs[32:], tmp_path)
    steps = {"training.max_steps": 4, "training.eval_frequency": 2}
    spacy_train(find_default_config(), tmp_path / "out", overrides={**training_overrides, **paths, **steps})
    nlp = spacy.load(tmp_path / "out" / "model-last")
    assert nlp.get_pipe("falconer_label").labels == ("positive", "gift")
    assert set(nlp("i love it").cats) == {"positive", "gift"}
