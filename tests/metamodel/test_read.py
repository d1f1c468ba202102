"""What is handed to the encoder, and what it hands back."""

from __future__ import annotations

import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_falconer.metamodel.read import texts_of

NLP = spacy.blank("en")
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.lists(st.one_of(WORDS, st.text("ab .,'\u00a0\n\U0001f600", max_size=20)), max_size=6))
def test_the_text_of_a_doc_is_what_it_was_made_of(texts):
    assert texts_of([NLP.make_doc(text) for text in texts]) == texts


def test_docs_of_several_vocabularies_have_their_own_words():
    docs = [NLP.make_doc("it broke"), Doc(spacy.blank("en").vocab, ["unheard", "of"], [True, False])]
    assert texts_of(docs) == ["it broke", "unheard of"]
