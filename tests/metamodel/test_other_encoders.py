"""Encoders of other families by name or folder: tiny random ones, made here."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy
import torch
from spacy.util import load_config
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import ModernBertConfig, ModernBertModel, PreTrainedTokenizerFast, RobertaConfig, RobertaModel

import spacy_falconer

CONFIGS = Path(spacy_falconer.__file__).parent / "configs"
MARKS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
TEXT = "Paid $25 for this kettle, and 30 more for shipping. " * 40


def make_tokenizer(n_pieces):
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    vocab = {piece: i for i, piece in enumerate([*MARKS, *sorted(alphabet)])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", mask_token="<mask>", model_max_length=n_pieces, **names
    )


def make_roberta(n_pieces, vocab_size):
    config = RobertaConfig(vocab_size=vocab_size, max_position_embeddings=n_pieces + 2, pad_token_id=1, **SIZES)
    return RobertaModel(config)


def make_modernbert(n_pieces, vocab_size):
    config = ModernBertConfig(
        vocab_size=vocab_size, max_position_embeddings=n_pieces, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        cls_token_id=0, sep_token_id=2, local_attention=32, reference_compile=False, **SIZES,
    )  # fmt: skip
    return ModernBertModel(config)


@pytest.fixture(
    scope="module",
    params=[
        ("gpu.cfg", 512, make_roberta),
        ("roberta-large.cfg", 512, make_roberta),
        ("long-texts.cfg", 4096, make_modernbert),
    ],
)
def pipeline(request, tmp_path_factory):
    """A config of ours, with a tiny random encoder of its family in place of the one that it names."""
    config_name, n_pieces, make_encoder = request.param
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    tokenizer = make_tokenizer(n_pieces)
    make_encoder(n_pieces, len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    overrides = {"components.transformer.model.name": str(folder)}
    config = load_config(CONFIGS / config_name, overrides=overrides)
    nlp = spacy.blank("en")
    for name, settings in config["components"].items():
        nlp.add_pipe(settings["factory"], name=name, config={k: v for k, v in settings.items() if k != "factory"})
    nlp.initialize()
    nlp.get_pipe("falconer_label").add_instruction("positive", "The reviewer is satisfied.")
    nlp.get_pipe("falconer_span").add_instruction("price", "Amounts of money.")
    nlp.get_pipe("falconer_span").cfg["threshold"] = 0.0
    return nlp, n_pieces


def test_every_token_is_read(pipeline):
    nlp, _ = pipeline
    doc = nlp(TEXT)
    assert "n_unread_tokens" not in doc.user_data
    assert 0 < doc.cats["positive"] < 1


def test_a_text_is_cut_where_the_encoder_needs_it(pipeline):
    nlp, n_pieces = pipeline
    windows = nlp(TEXT)._.trf_data.model_output.last_hidden_state
    assert (len(windows) > 1) == (n_pieces < len(TEXT))


def test_it_is_the_same_after_saving(pipeline, tmp_path):
    nlp, _ = pipeline
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    assert again(TEXT).cats == pytest.approx(nlp(TEXT).cats, abs=1e-5)
