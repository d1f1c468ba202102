"""`falconer_label` and `falconer_span` as spaCy users use them."""

from __future__ import annotations

import tempfile

import numpy
import pytest
import spacy
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.util import fix_random_seed

from spacy_falconer.errors import ModelError
from spacy_falconer.pipeline.primitives import get_label, get_span
from spacy_falconer.pipeline.source import add_falconer

TEXTS = ["I paid $25 for it and love it.", "", "It broke.", "the price is nice " * 30, "bad\n\ncost of 9 dollars 🙂 ok"]


def scores(nlp, texts=TEXTS, **options):
    docs = list(nlp.pipe(texts, **options))
    cats = [[doc.cats[key] for key in nlp.get_pipe("falconer_label").labels] for doc in docs]
    spans = [[(span.start_char, span.end_char, span.label_) for span in doc.spans["sc"]] for doc in docs]
    return numpy.array(cats), spans, [doc.spans["sc"].attrs["scores"] for doc in docs]


def span_scores(found):
    """The score of every span, by its text's number and its place."""
    rows = enumerate(zip(found[1], found[2], strict=True))
    return {(i, place): score for i, (spans, some) in rows for place, score in zip(spans, some, strict=True)}


def assert_equal_scores(found, expected, atol=1e-4):
    assert found[0] == pytest.approx(expected[0], abs=atol)
    assert found[1] == expected[1]
    for one, other in zip(found[2], expected[2], strict=True):
        assert one == pytest.approx(other, abs=atol)


@pytest.fixture
def eager(make_nlp):
    """A pipeline that finds something: thresholds at which even random weights speak."""
    return make_nlp(threshold=0.06)


def test_every_instruction_is_answered(eager):
    cats, spans, span_scores = scores(eager)
    assert cats.shape == (5, 2) and ((cats >= 0) & (cats <= 1)).all()
    assert sum(map(len, spans)) > 0
    assert [len(one) for one in spans] == [len(one) for one in span_scores]


def test_an_empty_text_says_nothing(eager):
    doc = eager("")
    assert doc.cats == {"positive": 0.0, "defect": 0.0}
    assert list(doc.spans["sc"]) == []


@pytest.mark.parametrize("text", ["   ", "\r\n", "\x00", "\u200b", " \u200b \x00"])
def test_a_text_in_which_nothing_can_be_read_says_nothing(nlp, text):
    assert nlp(text).cats == {"positive": 0.0, "defect": 0.0}
    assert min(nlp(f"{text} it").cats.values()) > 0.0
    nlp.replace_listeners("transformer", "falconer_label", ["model.tok2vec"])
    assert min(nlp(f"{text} it").cats.values()) > 0.0


def test_a_component_without_weights_takes_no_instruction(nlp):
    nlp.add_pipe("falconer_span", name="more", config={"spans_key": "more"})
    fresh = nlp.get_pipe("more")
    with pytest.raises(
        ModelError, match=r"'more' has no weights yet.*nlp.get_pipe\('more'\).initialize\(list, nlp=nlp\)"
    ):
        fresh.add_instruction("shop", "Names of shops.")
    fresh.initialize(list, nlp=nlp)
    fresh.add_instruction("shop", "Names of shops.")
    assert "more" in nlp("I paid").spans and nlp.get_pipe("falconer_span").labels == ("price", "praised")


@pytest.mark.parametrize("batch_size", [1, 2, 7, 64])
def test_scores_are_equal_at_any_batch_size(eager, batch_size):
    assert_equal_scores(scores(eager, batch_size=batch_size), scores(eager))


def test_scores_are_equal_after_disk(eager, tmp_path):
    eager.to_disk(tmp_path)
    assert_equal_scores(scores(spacy.load(tmp_path)), scores(eager))


def test_scores_are_equal_after_bytes(eager):
    fresh = spacy.blank("en").from_config(eager.config)
    assert_equal_scores(scores(fresh.from_bytes(eager.to_bytes())), scores(eager))


def test_an_added_instruction_is_answered_at_once_and_saved(nlp, tmp_path):
    before = nlp("I love it.").cats
    nlp.get_pipe("falconer_label").add_instruction("gift", "It was a gift.")
    after = nlp("I love it.").cats
    assert set(after) == {"positive", "defect", "gift"}
    assert {key: after[key] for key in before} == pytest.approx(before)
    nlp.to_disk(tmp_path)
    assert spacy.load(tmp_path)("I love it.").cats == pytest.approx(after)


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("positive", "Another.", "has an instruction 'positive' already.*Choose another key"),
        ("", "It broke.", "has the key ''"),
        ("gift", "  ", "The instruction 'gift' .* expected a statement"),
    ],
)
def test_instructions_that_cannot_be_added(nlp, key, text, message):
    with pytest.raises(ModelError, match=message):
        nlp.get_pipe("falconer_label").add_instruction(key, text)


def test_a_threshold_that_is_no_score(make_nlp):
    with pytest.raises(ModelError, match="threshold of 'falconer_label' is 1.5; expected 0 to 1"):
        make_nlp(threshold=1.5)


def test_a_disabled_transformer_is_no_silent_zero(nlp):
    with nlp.select_pipes(disable="transformer"), pytest.raises(ModelError, match="that no transformer has read"):
        nlp("I love it.")


def test_a_passage_far_into_a_long_text_is_read(nlp):
    """Every token of 50,000 characters has vectors of its own: a change at character 40,000 changes what is read there."""
    text = "the price is nice and good " * 1900
    changed = text[:40_000].rstrip() + " broke bad " + text[40_011:]
    span = nlp.get_pipe("falconer_span")
    rows = []
    for one in (text, changed):
        doc = nlp.make_doc(one)
        nlp.get_pipe("transformer")(doc)
        assert "n_unread_tokens" not in doc.user_data
        rows.append((doc, span.predict([doc])))
    for doc, row in rows:
        assert len(row) == len(doc)
    place = rows[0][0].char_span(40_000, 40_001, alignment_mode="expand").start
    near, far = slice(place - 3, place + 3), slice(0, place - 200)
    assert abs(rows[0][1][near] - rows[1][1][near]).max() > 1e-3
    assert rows[0][1][far] == pytest.approx(rows[1][1][far], abs=1e-5)


def test_tokens_that_the_encoder_cannot_read_are_counted(nlp):
    assert nlp("ok \u200b\u200b\u200b ok").user_data["n_unread_tokens"] == 1


def test_training_learns_what_was_asked_and_nothing_else(make_nlp, answered):
    fix_random_seed(0)
    nlp = make_nlp()
    good = answered(nlp, "I paid 25 dollars and love it", {"positive": 1.0}, [("price", "25 dollars")], asked=["price"])
    bad = answered(nlp, "the bad it broke", {"positive": 0.0}, [], asked=["price"])
    losses = {}
    optimizer = nlp.resume_training()
    optimizer.learn_rate = 1e-3
    for _ in range(60):
        examples = [Example(nlp.make_doc(doc.text), doc) for doc in (good, bad)]
        nlp.update(examples, sgd=optimizer, losses=(losses := {}))
    docs = list(nlp.pipe([good.text, bad.text]))
    assert docs[0].cats["positive"] > 0.9 and docs[1].cats["positive"] < 0.1
    assert [span.text for span in docs[0].spans["sc"] if span.label_ == "price"] == ["25 dollars"]
    assert not [span for span in docs[1].spans["sc"] if span.label_ == "price"]
    assert losses["falconer_label"] < 0.1


def test_the_encoder_moves_when_the_last_component_was_asked_nothing(make_nlp, answered):
    """Only the last listener's backprop reaches the encoder; it must be called whatever was asked."""
    nlp = make_nlp()
    doc = answered(nlp, "I love it", {"positive": 1.0}, [], asked=[])
    weights = nlp.get_pipe("transformer").model.transformer.get_input_embeddings().weight
    before = weights.detach().clone()
    optimizer = nlp.resume_training()
    for _ in range(2):  # nlp.update steps the encoder before the gradient comes, so a batch later.
        nlp.update([Example(nlp.make_doc(doc.text), doc)], sgd=optimizer)
    assert (weights != before).any()


@pytest.mark.parametrize(("labels", "spans"), [({}, {"price": "Amounts."}), ({"positive": "Good."}, {})])
def test_a_component_without_instructions_does_not_stop_training(make_nlp, answered, labels, spans):
    nlp = make_nlp(labels=labels, spans=spans)
    doc = answered(nlp, "I paid 25 dollars", {"positive": 1.0}, [("price", "25 dollars")], asked=["price"])
    nlp.update([Example(nlp.make_doc(text), doc) for text in (doc.text,)], sgd=nlp.resume_training())
    assert set(nlp("I paid").cats) == set(labels)


def test_partial_answers_survive_the_docbin(nlp, answered):
    doc = answered(nlp, "I paid 25 dollars", {"defect": 0.0}, [], asked=["price"], missed={"price": [[7, 8]]})
    read = next(DocBin(store_user_data=True, docs=[doc]).get_docs(nlp.vocab))
    assert list(read.spans["sc"].attrs["asked"]) == ["price"]
    assert read.cats == {"defect": 0.0}
    assert [list(place) for place in read.spans["sc"].attrs["missed"]["price"]] == [[7, 8]]


def test_replaced_listeners_answer_the_same(eager):
    before = scores(eager)
    eager.replace_listeners("transformer", "falconer_label", ["model.tok2vec"])
    eager.replace_listeners("transformer", "falconer_span", ["model.tok2vec"])
    assert_equal_scores(scores(eager), before)
    eager.get_pipe("falconer_span").add_instruction("more", "More of it.")


def test_no_path_of_this_machine_is_saved(make_nlp, encoder_folder, tmp_path, monkeypatch):
    """An encoder that is named as on the hub and found in a folder keeps its name."""
    monkeypatch.setattr("spacy_falconer.metamodel.encoder.find_encoder", lambda name: encoder_folder)
    nlp = make_nlp(encoder="some/encoder")
    nlp.to_disk(tmp_path / "once")
    spacy.load(tmp_path / "once").to_disk(tmp_path / "twice")
    saved = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    folders = (encoder_folder.encode(), tempfile.gettempdir().encode() + b"/")
    assert b"some/encoder" in saved and not any(folder in saved for folder in folders)
    assert spacy.load(tmp_path / "twice")("I love it.").cats == pytest.approx(nlp("I love it.").cats)


def test_calibrated_scores_are_written_everywhere_and_saved(eager, tmp_path):
    """They are moved as the calibration says, only where there is one, and so after disk, bytes and sourcing."""
    raw = scores(eager)
    eager.get_pipe("falconer_label").cfg["calibrations"]["positive"] = [0.5, -1.0]
    eager.get_pipe("falconer_span").cfg["calibrations"] = {key: [1.0, 2.0] for key in ("price", "praised")}
    found = scores(eager)
    read = [0, 2, 3, 4]  # Without the empty text.
    odds = numpy.log(raw[0][read, 0] / (1 - raw[0][read, 0]))
    assert found[0][read, 0] == pytest.approx(1 / (1 + numpy.exp(1 - 0.5 * odds)), abs=1e-6)
    assert found[0][:, 1] == pytest.approx(raw[0][:, 1], abs=1e-6) and found[0][1].tolist() == [0.0, 0.0]
    before, after = (span_scores(one) for one in (raw, found))
    assert before and all(after[place] > score for place, score in before.items())
    eager.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    assert_equal_scores(scores(loaded), found)
    assert_equal_scores(scores(spacy.blank("en").from_config(eager.config).from_bytes(eager.to_bytes())), found)
    other = spacy.blank("en")
    add_falconer(other, loaded)
    assert_equal_scores(scores(other), found)


def test_the_two_functions_give_calibrated_answers(eager):
    before = list(get_span(TEXTS, "price", eager))
    eager.get_pipe("falconer_label").cfg["calibrations"]["positive"] = [1.0, -20.0]
    eager.get_pipe("falconer_span").cfg["calibrations"]["price"] = [1.0, -1.0]
    eager.get_pipe("falconer_span").cfg["thresholds"]["price"] = 0.01
    doc = eager(TEXTS[0])
    assert not any(get_label(TEXTS, "positive", eager))
    found = next(get_span(TEXTS[:1], "price", eager))
    group = zip(doc.spans["sc"], doc.spans["sc"].attrs["scores"], strict=True)
    assert [span.score for span in found] == pytest.approx([s for span, s in group if span.label_ == "price"], abs=1e-5)
    assert max(span.score for span in found) < max(span.score for span in before[0])
