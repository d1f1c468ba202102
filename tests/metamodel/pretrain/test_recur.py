from __future__ import annotations

from random import Random

from spacy_falconer.metamodel.pretrain.data import Row
from spacy_falconer.metamodel.pretrain.recur import BLANK, find_recurring

PASSAGE = (
    "The river Oder rises in the Czech Republic and flows north. Barges carry coal and ore on the Oder to Szczecin. "
    "Few people live there. The harbour of Szczecin was enlarged in 1912. Tourists arrive by train."
)


def test_words_that_occur_again_are_asked_for_where_they_occurred():
    rows = find_recurring([Row(PASSAGE, "a")], Random(0))
    assert rows
    for row in rows:
        ((question, spans),) = row.spans.items()
        (words,) = {row.text[start:end] for start, end in spans}
        assert BLANK in question and words in ("Oder", "Szczecin") and row.worded
        assert question.replace(BLANK, words) in PASSAGE and question.replace(BLANK, words) not in row.text


def test_a_text_without_repetition_or_too_short_asks_nothing():
    assert find_recurring([Row("Kate paid nine dollars. Tom sang a song.", "a")], Random(0), shortest=10) == []
    assert find_recurring([Row(PASSAGE, "a")], Random(0), shortest=1000) == []
