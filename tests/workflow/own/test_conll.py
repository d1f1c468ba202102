"""CoNLL in all its ways of writing tags, as texts that a person could have written."""

from __future__ import annotations

import pytest

from spacy_falconer.errors import AnswerError
from spacy_falconer.workflow.own.bring import bring_answers
from spacy_falconer.workflow.own.spacing import join_tokens

NAMES = ["PER=person", "LOC=place"]
SCHEMES = {
    "bio": "B-PER I-PER B-PER O O B-LOC I-LOC",
    "iob": "I-PER I-PER B-PER O O I-LOC I-LOC",
    "bilou": "B-PER L-PER U-PER O O B-LOC L-LOC",
    "iobes": "B-PER E-PER S-PER O O B-LOC E-LOC",
}
TOKENS = ["Ada", "Lovelace", "Bob", "met", "in", "New", "York"]


def write(path, sentences, columns="{token} {tag}"):
    lines = [
        [columns.format(token=token, tag=tag) for token, tag in zip(tokens, tags, strict=True)]
        for tokens, tags in sentences
    ]
    path.write_text("\n\n".join("\n".join(one) for one in lines) + "\n", encoding="utf8")
    return path


@pytest.mark.parametrize("tags", SCHEMES.values(), ids=SCHEMES)
def test_every_scheme_says_the_same(tags, store, news_plan, said, tmp_path):
    path = write(tmp_path / "train.conll", [(TOKENS, tags.split())])
    bring_answers(path, news_plan, store, names=NAMES)
    people = [("Ada Lovelace", 0), ("Bob", 13)]
    assert said("Ada Lovelace Bob met in New York") == {"person": people, "place": [("New York", 24)]}


@pytest.mark.parametrize("columns", ["{token} {tag}", "{token}\t{tag}", "{tag}  {token}"], ids=repr)
def test_a_space_that_does_not_break_is_part_of_its_token(columns, store, news_plan, said, tmp_path):
    price, blank = "5\u00a0000", "\u00a0"
    path = write(tmp_path / "train.txt", [(["Bob", "paid", price, blank], ["B-PER", "O", "B-LOC", "O"])], columns)
    bring_answers(path, news_plan, store, names=NAMES)
    (text,) = [text for text in (f"Bob paid {price} {blank}", f"Bob paid {price}{blank}") if said(text)]
    assert said(text) == {"person": [("Bob", 0)], "place": [(price, 9)]}


@pytest.mark.parametrize(
    "columns", ["{token} NNP I-NP {tag}", "{token}\t{tag}", "{tag}\t{token}", "{token}\t_\t_\t{tag}"], ids=str
)
def test_columns_may_stand_between_or_the_tags_first(columns, store, news_plan, said, tmp_path):
    path = write(tmp_path / "train.txt", [(TOKENS, SCHEMES["bio"].split())], columns)
    bring_answers(path, news_plan, store, names=NAMES)
    assert said("Ada Lovelace Bob met in New York")["place"] == [("New York", 24)]


def test_a_sentence_without_tags_says_that_there_is_nothing(store, news_plan, said, tmp_path):
    path = write(tmp_path / "train.conll", [(["Bob", "won", "."], ["B-PER", "O", "O"]), (["It", "rained"], ["O", "O"])])
    brought = bring_answers(path, news_plan, store, names=NAMES)
    assert said("Bob won.") == {"person": [("Bob", 0)]} and said("It rained") == {"person": []}
    assert brought.counts == {"person": (2, 1)} and brought.missing == ["LOC"]
    assert brought.unanswered == ["sports", "place"]  # No tag of the file is a place: that says nothing of places.


def test_complete_says_it_of_labels_that_never_occur_and_partial_of_none(store, news_plan, said, tmp_path):
    path = write(tmp_path / "train.conll", [(["Bob", "won"], ["B-PER", "O"]), (["It", "rained"], ["O", "O"])])
    brought = bring_answers(path, news_plan, store, names=NAMES, complete=False)
    assert brought.texts == ["Bob won"] and said("It rained") == {}
    bring_answers(path, news_plan, store, names=NAMES, complete=True)
    assert said("It rained") == {"person": [], "place": []} and "sports" not in said("Bob won")


def test_comments_documents_and_broken_lines(store, news_plan, said, tmp_path):
    path = tmp_path / "train.conll"
    path.write_text(
        "\ufeff-DOCSTART- -X- O\n\n# id 7\nBob B-PER\nwon O\n\nAda\nleft O\n\n# O\n1 O\n\nEve B-PER\r\n\r\n",
        encoding="utf8",
    )
    brought = bring_answers(path, news_plan, store, names=NAMES)
    assert brought.texts == ["Bob won", "#1", "Eve"] and said("Eve") == {"person": [("Eve", 0)]}
    assert [one.where.rpartition(" ")[2] for one in brought.taken.rejects] == ["7"]
    assert "'Ada'; expected a token and a tag" in brought.taken.rejects[0].reason


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("He did n't pay $ 25 , or 3 % , he said .", "He didn't pay $25, or 3%, he said."),
        ('She said : " Go ! " and left', 'She said: "Go!" and left'),
        ("`` It 's John 's '' , -LRB- see p. 3 -RRB- .", "\"It's John's\", (see p. 3)."),
        ("the dogs ' bowl", "the dogs' bowl"),
        ("a ' b ' c", "a 'b' c"),
        ("Well ... yes ; no ?", "Well ... yes; no?"),
        ("東 京 は 大きい 。 ok", "東京は大きい。 ok"),
        ("¿ Qué ?", "¿Qué?"),
    ],
)
def test_tokens_become_a_text_with_its_own_spacing(tokens, text):
    tokens = tokens.split()
    joined, places = join_tokens(tokens)
    assert joined == text
    words = [joined[place.start : place.end] for place in places]
    written = {"``": '"', "''": '"', "-LRB-": "(", "-RRB-": ")"}
    assert words == [written.get(token, token) for token in tokens]


def test_a_file_without_tags_is_refused(store, news_plan, tmp_path):
    path = tmp_path / "train.conll"
    path.write_text("Bob NNP\nwon VBD\n")
    with pytest.raises(AnswerError, match="no column of tags: 'Bob NNP'.*B-LABEL"):
        bring_answers(path, news_plan, store)
