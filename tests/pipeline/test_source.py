"""The components beside a user's own."""

from __future__ import annotations

import copy
import gc
import pickle

import pytest
import spacy

from spacy_falconer import get_span
from spacy_falconer.errors import ModelError
from spacy_falconer.pipeline.source import add_falconer, find_parts, load_pipeline
from spacy_falconer.types import ScoredSpan

LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "grad_factor": 1.0,
    "upstream": "transformer",
}


@pytest.fixture
def own(transformer_settings):
    """A user's pipeline: a transformer, a tagger and an ner that listen to it."""
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer", config=transformer_settings)
    tok2vec = {**LISTENER, "pooling": {"@layers": "reduce_mean.v1"}}
    nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec}}).add_label("X")
    nlp.add_pipe(
        "ner",
        config={
            "model": {
                "@architectures": "spacy.TransitionBasedParser.v2", "state_type": "ner", "extra_state_tokens": False,
                "hidden_width": 8, "maxout_pieces": 2, "use_upper": False, "tok2vec": tok2vec,
            }
        },
    ).add_label("PRODUCT")  # fmt: skip
    nlp.initialize()
    return nlp


def count_reads(nlp, monkeypatch):
    """How many texts each transformer reads."""
    counts = {}
    for name, pipe in nlp.pipeline:
        if hasattr(pipe, "listening_components"):
            predict = pipe.predict

            def counted(docs, name=name, predict=predict):
                counts[name] = counts.get(name, 0) + len(docs)
                return predict(docs)

            monkeypatch.setattr(pipe, "predict", counted)
    return counts


def test_both_answer_beside_the_users_own(own, make_nlp, monkeypatch):
    falconer, texts = make_nlp(threshold=0.06), ["I paid 25 dollars", "It broke.", "the price is nice"]
    alone, tags = list(falconer.pipe(texts)), [[token.tag_ for token in doc] for doc in own.pipe(texts)]
    ents = [[(ent.start, ent.end) for ent in doc.ents] for doc in own.pipe(texts)]
    add_falconer(own, falconer)
    counts = count_reads(own, monkeypatch)
    both = list(own.pipe(texts))
    assert own.pipe_names == ["transformer", "tagger", "ner", "falconer_transformer", "falconer_label", "falconer_span"]
    assert counts == {"transformer": 3, "falconer_transformer": 3}
    assert [doc.cats for doc in both] == [pytest.approx(doc.cats) for doc in alone]
    assert [len(doc.spans["sc"]) for doc in both] == [len(doc.spans["sc"]) for doc in alone]
    assert [[token.tag_ for token in doc] for doc in both] == tags
    assert [[(ent.start, ent.end) for ent in doc.ents] for doc in both] == ents


def test_the_encoders_weights_are_stored_once(own, make_nlp, tmp_path):
    add_falconer(own, make_nlp())
    own.to_disk(tmp_path)
    sizes = {path.parent.name: path.stat().st_size for path in tmp_path.glob("*/model")}
    assert max(sizes["falconer_label"], sizes["falconer_span"]) < sizes["falconer_transformer"]
    loaded = spacy.load(tmp_path)
    assert loaded("I paid 25 dollars").cats == pytest.approx(own("I paid 25 dollars").cats)
    assert loaded.get_pipe("falconer_transformer").listening_components == ["falconer_label", "falconer_span"]
    assert loaded.get_pipe("transformer").listening_components == ["tagger", "ner"]


def test_an_instruction_added_after_sourcing_is_read_by_the_right_encoder(own, make_nlp):
    falconer = make_nlp()
    expected = falconer.get_pipe("falconer_label").read_instruction("It was a gift.")
    add_falconer(own, falconer)
    label = own.get_pipe("falconer_label")
    assert label.read_instruction("It was a gift.", nlp=own) == pytest.approx(expected, abs=1e-5)


def test_a_sourced_component_asks_for_its_pipeline(make_nlp):
    falconer, nlp = make_nlp(), spacy.blank("en")
    add_falconer(nlp, falconer)
    del falconer
    with pytest.raises(ModelError, match="Pass the pipeline that it is in: nlp=nlp"):
        nlp.get_pipe("falconer_label").add_instruction("gift", "It was a gift.")


def test_nothing_to_source(own):
    with pytest.raises(ModelError, match="no falconer component that listens"):
        add_falconer(spacy.blank("en"), own)


PLAN = {
    "instruction": "Mine it",
    "steps": [
        {"id": "positive", "op": "get_label", "instruction": "The reviewer is satisfied."},
        {"id": "price", "op": "get_span", "instruction": "Amounts of money."},
    ],
    "output": ["price"],
}


@pytest.fixture
def planned(make_nlp):
    nlp = make_nlp(threshold=0.06)
    nlp.add_pipe("falconer_plan", config={"plan": PLAN})
    return nlp


def test_a_plan_stays_in_each_pipeline_that_it_was_added_to(planned):
    first, second, text = spacy.blank("en"), spacy.blank("en"), "I paid 25 dollars"
    expected = planned(text)._.mined
    add_falconer(first, planned)
    add_falconer(second, planned)
    del second
    gc.collect()
    assert planned(text)._.mined == first(text)._.mined == expected
    del planned
    gc.collect()
    assert first(text)._.mined == expected


def test_a_copied_pipeline_is_one_of_its_own(planned):
    text = "I paid 25 dollars"
    expected, copied = planned(text)._.mined, copy.deepcopy(planned)
    copied.get_pipe("falconer_span").cfg["thresholds"]["price"] = 1.0
    assert copied(text)._.mined["spans"] == {"price": []} and planned(text)._.mined == expected
    del planned
    gc.collect()
    assert copied(text)._.mined["labels"] == expected["labels"]
    copied.get_pipe("falconer_label").add_instruction("gift", "It was a gift.")


@pytest.mark.parametrize("whole", [True, False])
def test_a_pipeline_is_pickled_as_for_another_process(planned, whole):
    """A process that is spawned gets the components, and no pipeline beside them."""
    text = "I paid 25 dollars"
    expected = planned(text)._.mined
    if whole:
        assert pickle.loads(pickle.dumps(planned))(text)._.mined == expected
        return
    pipes, doc = pickle.loads(pickle.dumps([pipe for _, pipe in planned.pipeline])), planned.make_doc(text)
    gc.collect()
    for pipe in pipes:
        doc = next(pipe.pipe([doc]))
    assert doc._.mined == expected


def test_what_cannot_be_added_leaves_the_pipeline_as_it_was(planned):
    names = planned.pipe_names
    with pytest.raises(ModelError, match="has 'falconer_label' already.*nlp.remove_pipe"):
        add_falconer(planned, planned)
    assert planned.pipe_names == names


def test_spans_of_the_users_own_are_not_overwritten(own, planned):
    own.add_pipe("span_ruler", config={"spans_key": "sc"}).add_patterns([{"label": "MINE", "pattern": "paid"}])
    names = own.pipe_names
    with pytest.raises(ModelError, match=r"'span_ruler' writes to doc.spans\['sc'\].*spans_key='falconer'"):
        add_falconer(own, planned)
    assert own.pipe_names == names
    add_falconer(own, planned, spans_key="falconer")
    doc = own("I paid 25 dollars")
    assert [span.label_ for span in doc.spans["sc"]] == ["MINE"]
    assert len(doc._.mined["spans"]["price"]) == sum(span.label_ == "price" for span in doc.spans["falconer"]) > 0


def test_beside_a_second_component_the_first_is_meant(planned):
    expected = planned("I paid 25 dollars")._.mined
    planned.add_pipe("falconer_span", name="more", config={"spans_key": "more"}, before="falconer_plan")
    planned.get_pipe("more").initialize(list, nlp=planned)
    assert planned("I paid 25 dollars")._.mined == expected
    assert list(get_span(["I paid 25 dollars"], "price", planned)) == [
        [
            ScoredSpan(one["text"], one["start"], one["end"], pytest.approx(one["score"]))
            for one in expected["spans"]["price"]
        ]
    ]


# A pipeline's place.


def test_a_pipeline_is_found_by_its_folder_or_its_name(nlp, tmp_path, monkeypatch):
    nlp.to_disk(tmp_path / "pipeline")
    assert load_pipeline(tmp_path / "pipeline").pipe_names == nlp.pipe_names
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "en_mine").mkdir()
    (tmp_path / "en_mine" / "__init__.py").write_text(
        f"import spacy\n\ndef load(**options):\n    return spacy.load({str(tmp_path / 'pipeline')!r}, **options)\n"
    )
    info = tmp_path / "en_mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: en_mine\nVersion: 1.0\n")
    assert load_pipeline("en_mine").pipe_names == nlp.pipe_names


@pytest.mark.parametrize("load", [load_pipeline, find_parts])
def test_a_folder_around_a_pipeline_names_the_one_in_it(nlp, tmp_path, load):
    for name in ("pipeline", "model-best"):
        (tmp_path / name).mkdir()
        nlp.to_disk(tmp_path / name / name)
        with pytest.raises(ModelError, match=f"No pipeline can be loaded.*It holds one: name '.*{name}/{name}'"):
            load(tmp_path / name)


@pytest.mark.parametrize("name", ["nowhere", "empty", "damaged", "of another plugin"])
def test_what_cannot_be_loaded_is_said_in_words(nlp, tmp_path, name):
    for folder in ("damaged", "of another plugin"):
        nlp.to_disk(tmp_path / folder)
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged" / "falconer_span" / "model").unlink()
    config = tmp_path / "of another plugin" / "config.cfg"
    config.write_text(config.read_text().replace('"falconer_label"', '"unheard_of"'))
    with pytest.raises(ModelError, match="No pipeline can be loaded.*Expected a folder.*Check the path"):
        load_pipeline(tmp_path / name)
