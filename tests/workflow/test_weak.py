"""What `evaluate` warns of: instructions that a pipeline should not answer in the language model's place."""

from __future__ import annotations

import pytest
import spacy

from spacy_falconer.corpus.docbin import make_docs
from spacy_falconer.workflow.evaluate import evaluate
from spacy_falconer.workflow.report import format_scores
from spacy_falconer.workflow.scoring.agreement import agree, make_texts
from spacy_falconer.workflow.scoring.said import Said
from spacy_falconer.workflow.scoring.weak import find_base_f1, find_kappa, note_weak

N = 200


def note(found, wanted, weights=None):
    texts = make_texts([str(number) for number in range(len(wanted))], weights or [1.0] * len(wanted))
    return note_weak(agree(found, wanted, texts, plan=None, seed=0), wanted, texts, behind="the language model")


def labels(*values):
    return [Said({"battery": value}) for value in values]


def spans(*places):
    return [Said({}, {"price": frozenset(one)}) for one in places]


def test_labels_that_say_no_more_than_yes_to_all():
    """Half are true, and it says yes to all: F1 0.67, and nothing learned."""
    wanted = labels(*[True, False] * (N // 2))
    (line,) = note(labels(*[True] * N), wanted)
    assert "battery (F1 0.67" in line and "yes to every text 0.67" in line and "mine --guarantee" in line
    assert note(wanted, wanted) == []


def test_a_label_that_is_mostly_true_is_judged_by_its_share():
    """Nine of ten right is much where half are true, and nothing where nine of ten are."""
    half = labels(*[True, False] * (N // 2))
    found = [Said({"battery": one.labels["battery"] != (number % 10 == 0)}) for number, one in enumerate(half)]
    assert note(found, half) == []
    often = labels(*[number % 10 != 0 for number in range(N)])
    assert note(labels(*[True] * N), often)


def test_passages_that_are_mostly_others():
    wanted = spans(*[{(0, 5)}] * N)
    (line,) = note(spans(*[{(0, 5)} if number % 4 == 0 else {(1, 5)} for number in range(N)]), wanted)
    assert "price (F1 0.25" in line and "yes to every text" not in line
    assert note(spans(*[{(0, 5)} if number % 4 else {(1, 5)} for number in range(N)]), wanted) == []


def test_a_few_texts_prove_no_weakness():
    """Of two passages one is right, of three labels all: it may be anything, and nobody is warned."""
    assert note(spans({(0, 5)}, {(1, 5)}), spans({(0, 5)}, {(0, 5)})) == []
    assert note(labels(True, False, True), labels(True, False, True)) == []


def test_texts_count_by_their_weights():
    said, texts = labels(True, False), make_texts(["a", "b"], [1.0, 3.0])
    assert find_base_f1("battery", said, texts) == pytest.approx(2 * 0.25 / 1.25)
    assert find_base_f1("battery", [*said, Said()], make_texts(["a", "b", "c"], [1.0, 3.0, 9.0])) == pytest.approx(0.4)


def test_evaluate_says_it(trained, review_plan, review_answers):
    """The pipeline is asked about texts whose answers are turned round: nothing that it says is so."""
    docs, _ = make_docs(review_answers, review_plan, spacy.blank("en"))
    right = evaluate(trained[0], docs)
    for doc in docs:
        doc.cats["positive"] = 1.0 - doc.cats["positive"]
    wrong = evaluate(trained[0], docs)
    assert not any("positive (" in one for one in right["notes"])
    assert any("relied on: positive (F1 0." in one for one in wrong["notes"])
    assert "mine --guarantee" in format_scores(wrong)


def test_agreement_beyond_chance_is_told_from_a_yes_to_all():
    assert find_kappa({"n": 200, "n_found": 176, "n_wanted": 161, "r": 155 / 161}) == pytest.approx(0.496, abs=0.001)
    assert find_kappa({"n": 200, "n_found": 200, "n_wanted": 180, "r": 1.0}) == pytest.approx(0.0)
    assert find_kappa({"n": 9, "n_found": 9, "n_wanted": 9, "r": 1.0}) == 1.0
