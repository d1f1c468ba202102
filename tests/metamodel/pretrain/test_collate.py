from __future__ import annotations

import pytest
import spacy
from transformers import AutoTokenizer

from spacy_falconer.metamodel.decode import B, I, O
from spacy_falconer.metamodel.pretrain.collate import UNKNOWN, batch_groups, collate, make_targets
from spacy_falconer.metamodel.pretrain.draw import Example
from spacy_falconer.metamodel.pretrain.read import TextReader


@pytest.fixture(scope="module")
def reader(encoder_folder):
    return TextReader(spacy.blank("en"), AutoTokenizer.from_pretrained(encoder_folder))


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], [O, O, O, O]),
        ([(5, 13)], [O, B, I, O]),
        ([(0, 4), (5, 9)], [B, B, O, O]),
        ([(5, 9), (5, 13)], [O, B, I, O]),  # The longest of overlapping spans counts.
        ([(6, 13)], [O, UNKNOWN, UNKNOWN, O]),  # It fits no tokens.
    ],
)
def test_targets_are_b_i_o_of_tokens(reader, spans, expected):
    assert make_targets(reader.read("paid nine big coins"), spans).tolist() == expected


def test_an_instruction_of_several_texts_is_read_once(reader):
    examples = [
        Example("Kate paid.", "a", spans={"people": ((0, 4),)}, labels={"It is good.": False}),
        Example("It is nice", "a", labels={"It is good.": True}),
    ]
    batch = collate(examples, reader)
    assert len(batch.instructions.lengths) == 2
    assert batch.texts.lengths.tolist() == [3, 3]
    assert (batch.spans.text.tolist(), batch.spans.instruction.tolist()) == ([0], [0])
    assert (batch.spans.token.tolist(), batch.span_targets.tolist()) == ([0, 1, 2], [B, O, O])
    assert (batch.labels.text.tolist(), batch.labels.instruction.tolist()) == ([0, 1], [1, 1])
    assert (batch.labels.token.tolist(), batch.labels.pair.tolist()) == ([0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 1, 1])
    assert batch.label_targets.tolist() == [0.0, 1.0]


def test_every_token_of_a_text_longer_than_the_encoder_reads_has_pieces(reader):
    text = "the price is good and " * 30
    pieces, _ = reader.read_all(["nice", text])
    assert len(pieces.input_ids) > 2
    read = [token.i + 1 for token in reader.nlp(text) if not token.is_space]
    assert sorted(set(pieces.token_of.tolist())) == [0, *read]
    pad = pieces.input_ids == reader.tokenizer.pad_token_id
    assert (pad == (pieces.mask == 0)).all() and (pieces.mask.flatten()[pieces.piece_of] == 1).all()


def test_batches_hold_as_many_whole_groups_as_fit(reader):
    groups = [[Example("good " * n, "a") for n in lengths] for lengths in ((1, 3), (29,), (2,), (4, 2), (28, 30))]
    batches = list(batch_groups(groups, reader, max_texts=3, max_pieces=40))
    assert [[len(example.text) // 5 for example in batch] for batch in batches] == [[2, 1, 3], [4, 2], [29], [28, 30]]
