"""Tiny models with random weights, made here: no test needs a network or a download."""

from __future__ import annotations

import os
import string
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # Before torch: tiny models are slower on more threads.
sys.path.insert(0, str(Path(__file__).parent))  # For what several tests share.

import pytest
import spacy
import torch
from server import ScriptedServer
from spacy.language import Language
from spacy.tokens import Span, SpanGroup

from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import parse_plan
from spacy_falconer.types import Answer, Quote

WORDS = ["the", "a", "i", "paid", "for", "it", "and", "love", "loved", "this", "is", "good", "bad", "broke", "nice"]
WORDS += ["great", "price", "cost", "works", "dollars", "buy"]
LABELS = {"positive": "The reviewer is satisfied.", "defect": "It broke."}
SPANS = {"price": "Amounts of money.", "praised": "Features that are praised."}


@Language.factory("test_fails_on", default_config={"word": ""})
def make_fails_on(nlp, name, word):
    """A component of the user's that fails on texts with a word."""

    def fail(doc):
        if word in doc.text:
            raise ValueError("It cannot be read.")
        return doc

    return fail


def pytest_addoption(parser):
    parser.addoption(
        "--screenshots", type=Path, metavar="FOLDER", help="Keep pictures of the report's page, as Chromium shows it"
    )


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory):
    """A BERT of width 32 and 2 layers that reads 64 pieces at once, as Hugging Face saves it."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = list(string.ascii_lowercase + string.digits + string.punctuation)
    pieces = marks + WORDS + characters + [f"##{character}" for character in characters]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(pieces)))
    tokenizer = BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), model_max_length=64)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def transformer_config(encoder_folder, **settings):
    model = {"@architectures": "spacy-falconer.TransformerModel.v1", "name": encoder_folder}
    setter = {"@annotation_setters": "spacy-falconer.count_unread_tokens.v1"}
    return {"model": {**model, "max_pieces": 64, "overlap": 16, **settings}, "set_extra_annotations": setter}


@pytest.fixture(scope="session")
def transformer_settings(encoder_folder):
    """The transformer component's config, for the tiny encoder."""
    return transformer_config(encoder_folder)


@pytest.fixture
def make_nlp(encoder_folder):
    """Make an initialized pipeline with the transformer and both components."""

    def make(labels=LABELS, spans=SPANS, encoder=encoder_folder, **settings):
        torch.manual_seed(0)
        nlp = spacy.blank("en")
        nlp.add_pipe("transformer", config=transformer_config(encoder))
        nlp.add_pipe("falconer_label", config={"instructions": labels, **settings})
        nlp.add_pipe("falconer_span", config={"instructions": spans, **settings})
        nlp.initialize()
        return nlp

    return make


@pytest.fixture
def nlp(make_nlp):
    return make_nlp()


@pytest.fixture(scope="session")
def make_reference():
    """Make a reference doc: its cats, its spans as (key, quote), and which span instructions were asked."""

    def make(nlp, text, cats, spans, asked=("price", "praised"), **attrs):
        doc = nlp.make_doc(text)
        doc.cats = cats
        places = [(key, text.index(quote), text.index(quote) + len(quote)) for key, quote in spans]
        group = SpanGroup(doc, name="sc", spans=[doc.char_span(start, end, label=key) for key, start, end in places])
        group.attrs.update(asked=list(asked), **attrs)
        doc.spans["sc"] = group
        return doc

    return make


@pytest.fixture
def answered(make_reference):
    return make_reference


@pytest.fixture
def group_of():
    """Write predicted spans with scores on a doc: (key, first token, last token, score)."""

    def write(doc, rows, name="sc"):
        group = SpanGroup(doc, name=name, spans=[Span(doc, start, end, label=key) for key, start, end, _ in rows])
        group.attrs["scores"] = [score for *_, score in rows]
        doc.spans[name] = group
        return doc

    return write


@pytest.fixture(scope="session")
def review_plan():
    steps = [
        {"id": "positive", "op": "get_label", "instruction": "The reviewer is satisfied."},
        {"id": "gift", "op": "get_label", "instruction": "It was a gift."},
        {"id": "price", "op": "get_span", "instruction": "Amounts of money.", "when": "positive"},
    ]
    fields = {"keep": "positive and price", "output": ["price"]}
    return parse_plan({"instruction": "Prices of loved things", "steps": steps, **fields})


@pytest.fixture(scope="session")
def review_answers():
    def answer(i):
        price = f"{i % 10} dollars"
        text = f"i paid {price} and love it {i}" if i % 2 else f"the bad price broke {i}"
        labels = {"The reviewer is satisfied.": bool(i % 2), "It was a gift.": False}
        gold = Answer(text, "gold", {"The reviewer is satisfied.": False}) if i == 1 else None
        return Answer(text, "a model", labels, {"Amounts of money.": (Quote(price),) if i % 2 else ()}, gold)

    return [answer(i) for i in range(40)]


@pytest.fixture(scope="session")
def training_overrides(encoder_folder):
    model = {"name": encoder_folder, "max_pieces": 64, "overlap": 16}
    steps = {"max_steps": 120, "eval_frequency": 60, "optimizer.learn_rate.initial_rate": 0.001}
    overrides = {f"components.transformer.model.{key}": value for key, value in model.items()}
    return {**overrides, **{f"training.{key}": value for key, value in steps.items()}}


@pytest.fixture(scope="session")
def tiny_config(training_overrides, tmp_path_factory):
    """The package's training config, with the tiny encoder, as a file."""
    from spacy.util import load_config

    from spacy_falconer.workflow.train import find_default_config

    path = tmp_path_factory.mktemp("config") / "tiny.cfg"
    load_config(find_default_config(), overrides=training_overrides).to_disk(path)
    return path


@pytest.fixture(scope="session")
def trained(review_plan, review_answers, training_overrides):
    import spacy

    from spacy_falconer.corpus.docbin import make_docs
    from spacy_falconer.workflow.train import train

    docs, _ = make_docs(review_answers, review_plan, spacy.blank("en"))
    return train(review_plan, docs, overrides=training_overrides, quiet=True)


@pytest.fixture
def store(tmp_path):
    with AnswerStore(tmp_path / "answers.db") as opened:
        yield opened


@pytest.fixture(scope="session")
def saved(trained, tmp_path_factory):
    """A trained pipeline on disk, to be read."""
    folder = tmp_path_factory.mktemp("saved") / "pipeline"
    trained[0].to_disk(folder)
    return folder


@pytest.fixture
def llm_server(monkeypatch):
    """A language model that answers by rule (see server.py), where the environment says that one is."""
    with ScriptedServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server
