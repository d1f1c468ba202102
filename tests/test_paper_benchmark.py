"""The benchmark of the paper's tables: which sentences are learned from, what is counted, and what is kept."""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections import Counter
from pathlib import Path

import pytest
import spacy
import srsly

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.endtoend.corpora import read_corpora
from benchmarks.page import ROOT
from benchmarks.paper import amount, consecutive, ner, number
from benchmarks.paper.__main__ import TABLES
from benchmarks.paper.kept import keep, shorten
from benchmarks.paper.learned import join, score, take_steps
from benchmarks.paper.shots import draw_shots, mark, read_marked
from spacy_falconer.llm.exchange import write_exchange
from spacy_falconer.metamodel.pretrain.data import Row
from spacy_falconer.plan import write_plan
from spacy_falconer.workflow.scoring.said import Said, read_answers

TEXT = "Ada saw Paris."


def make_rows():
    """Forty sentences: all of a place, every fourth of a person too, two of a ship; and one of nothing."""
    rows = []
    for place in range(40):
        spans = {"Loc": ((0, 5),)} | ({"PER": ((6, 9),)} if place % 4 == 0 else {})
        rows.append(Row(f"Paris Ada {place}", "mine", spans=spans | ({"Ship": ((0, 5),)} if place in (4, 5) else {})))
    return [*rows, Row("Nothing.", "mine")]


def test_shots_are_so_many_for_each_type_and_by_the_seed():
    rows, labels = make_rows(), ["Loc", "PER", "Ship"]
    shots = draw_shots(rows, labels, 5, seed=1)
    assert len(shots) == len({row.text for row in shots}) == 12  # There are but two with a ship.
    counts = Counter(label for row in shots for label in row.spans)
    assert counts["Ship"] == 2 and counts["PER"] >= 5 and counts["Loc"] == 12
    assert shots == draw_shots(rows, labels[::-1], 5, seed=1) != draw_shots(rows, labels, 5, seed=2)
    assert len(draw_shots(rows, labels, 1, seed=1)) == 3


@pytest.fixture
def data(tmp_path):
    """A folder with one set, as the catalogue has them, and what its labels mean."""
    rows = [{"text": row.text, "source": "mine", "spans": [
        {"start": start, "end": end, "label": label} for label, found in row.spans.items() for start, end in found
    ]} for row in make_rows()]  # fmt: skip
    (tmp_path / "mine").mkdir()
    for part, some in {"train": rows[:30], "test": rows[30:]}.items():
        with gzip.open(tmp_path / "mine" / f"{part}.jsonl.gz", "wt", encoding="utf8") as file:
            file.write("".join(json.dumps(row) + "\n" for row in some))
    srsly.write_json(tmp_path / "label_meanings.json", {"mine": {"Loc": "places", "PER": "people"}})
    (tmp_path / "detok.py").write_text("def detok_row(row, join_hyphens=False):\n    return row\n")
    return tmp_path


def test_a_set_is_asked_by_what_its_labels_mean(data):
    one = read_marked(data, "mine", n_test=4)
    assert one.instructions == {"Loc": "places", "PER": "people", "Ship": "ship"}
    assert [step.id for step in one.plan.steps] == ["loc", "per", "ship"]
    assert len(one.train) == 30 and len(one.test) == 4 and one.test == read_marked(data, "mine", n_test=4).test


def test_what_people_marked_is_asked_of_every_sentence(data):
    one = read_marked(data, "mine", n_test=4)
    rows = [Row(TEXT, "mine", spans={"PER": ((0, 3),), "Loc": ((8, 11),)}), Row("Nothing.", "mine")]
    docs, n_between = mark(rows, one.instructions, one.plan)
    assert n_between == 1  # "Par" is no token.
    assert read_answers(docs[0]).spans == {"loc": {(8, 11)}, "per": {(0, 3)}, "ship": frozenset()}
    assert set(read_answers(docs[1]).spans) == {"loc", "per", "ship"}


def test_of_overlapping_mentions_the_likelier_is_kept(data, monkeypatch):
    one = read_marked(data, "mine", n_test=4)
    docs, _ = mark([Row(TEXT, "mine", spans={"PER": ((0, 3),), "Loc": ((8, 13),)})], one.instructions, one.plan)
    candidates = {"per": {(0, 3): 0.9, (8, 13): 0.6}, "loc": {(8, 13): 0.8}}
    said = Said({}, {key: frozenset(found) for key, found in candidates.items()}, {}, candidates)
    monkeypatch.setattr(ner, "ask_pipeline", lambda nlp, texts: [said])
    assert ner.count(spacy.blank("en"), docs) == {"flat": [2, 2, 2], "alone": [2, 3, 2]}


def test_measures_of_counts():
    assert ner.measure([2, 4, 8]) == pytest.approx((0.5, 0.25, 1 / 3))
    assert ner.measure([0, 0, 0]) == (0.0, 0.0, 0.0)


def test_the_table_of_sets_and_of_scores(data):
    one = read_marked(data, "mine", n_test=4)
    facts = {"in_mix": False, "n_copies": 3, "n_mentions": 5, "n_between": 1}
    assert format_cells(ner.format_sets([one], [facts])) == ["mine", "none", "3", "4", "5", "1", "no", "3"]
    made = [{"n_shots": 12, "seconds": 4.0, "flat": [n, 4, 4], "alone": [n, 8, 4]} for n in (1, 3)]
    cells = format_cells(ner.format_scores([("mine", "pre-trained", made)]))
    assert cells[:5] == ["mine", "pre-trained", "12", "2", "0.500 ± 0.354"] and cells[-2:] == ["0.333 ± 0.236", "4"]


def format_cells(table):
    return re.split(r" {2,}", table.strip("\n").splitlines()[-1].strip())


def test_what_was_in_the_mix_is_remembered(data, monkeypatch):
    monkeypatch.setattr(ner, "list_mix", lambda data, own: ["Paris, Ada 31!", "One two three four five six seven eight nine ten"])  # fmt: skip
    one = read_marked(data, "mine", n_test=11)
    found = ner.describe(one, data, data)
    assert found == {"in_mix": False, "n_copies": 1, "n_mentions": 12, "n_between": 0}


@pytest.fixture
def corpus(tmp_path, review_plan, review_answers):
    """28 answers to learn from, 12 to test on, two sentences."""
    plans = tmp_path / "plans" / "mine"
    plans.mkdir(parents=True)
    write_plan(take_steps(review_plan, ["positive", "gift", "price"]), tmp_path / "mine-plan.json")
    for name in ("prices", "again"):
        write_plan(review_plan, plans / f"{name}.json")
    for part, answers in {"train": review_answers[:28], "test": review_answers[28:]}.items():
        write_exchange(answers, tmp_path / f"mine-{part}.jsonl")
    srsly.write_json(tmp_path / "stated.json", {"mine": {"labels": 0.5}})
    (found,) = read_corpora(None, tmp_path, tmp_path, [])
    return found


def test_instructions_are_parted(corpus, review_plan):
    parts = number.part_instructions(corpus.whole)
    assert parts[number.SHARED] == [["positive", "gift", "price"]]
    assert parts[number.BY_PRIMITIVE] == [["positive", "gift"], ["price"]]
    assert parts[number.BY_INSTRUCTION] == [["positive"], ["gift"], ["price"]]
    spans_alone = take_steps(corpus.whole, ["price"])
    assert number.part_instructions(spans_alone)[number.BY_PRIMITIVE] == [["price"]]


def test_a_whole_corpus_is_scored_with_its_rows(corpus):
    """All prices are missed: labels are right, and rows are where no price is wanted."""
    said = [Said(read_answers(doc).labels, {"price": frozenset()}) for doc in corpus.test]
    found = score(corpus, said, is_whole=True)
    assert found["labels"] == {"positive": 1.0, "gift": 0.0} and found["spans"] == {"price": 0.0}
    assert set(found["rows"]["values"]) == {"prices", "again"} and found["rows"]["kept"]["prices"] == 0.0
    part = score(corpus, [Said(labels={"gift": False})] * len(said), is_whole=False)
    assert part == {"labels": {"gift": 0.0}, "spans": {}}


def test_parts_are_joined():
    parts = [
        {"seconds": 2.0, "labels": {"a": 1.0, "b": 0.5}, "spans": {}},
        {"seconds": 3.0, "labels": {"c": 0.0}, "spans": {"d": 0.25}},
    ]
    assert join(parts) == {"seconds": 5.0, "labels": 0.5, "spans": 0.25}
    assert join(parts[:1])["spans"] is None


def test_the_row_of_a_number_of_metamodels():
    made = [{"seconds": 10.0, "labels": 0.5, "spans": None}, {"seconds": 20.0, "labels": 0.7, "spans": None}]
    speed = {"texts_per_s": 12.34, "n_bytes": 3 * 2**20}
    row = number.format_row("mine", "one for all", 2, made, speed)
    assert row == ["mine", "one for all", "2", "0.600 ± 0.141", "", "15", "12.3", "3"]
    assert "MB of weights" in number.format_table([row])


def test_weights_are_counted_with_the_encoder_once(nlp):
    torch_parameters = nlp.get_pipe("transformer").model.transformer.parameters()
    encoder = sum(one.numel() * 4 for one in torch_parameters)
    heads = number.count_bytes(nlp) - encoder
    assert 0 < heads < 2**23 and number.count_bytes(spacy.blank("en")) == 0


def test_the_row_of_an_amount_of_answers():
    one = {
        "labels": {"a": 0.4, "b": 0.8},
        "spans": {"c": 0.5},
        "rows": {"values": {"x": 0.2, "y": 0.4}},
        "seconds": 7.0,
    }
    row = amount.format_row("mine", 64, [one], {"labels": 0.75})
    assert row == ["mine", "64", "0.600", "80%", "0.500", "", "", "0.300", "", "7"]
    assert len(format_cells(amount.format_table([["x"] * 10]))) == 10


def test_what_a_second_task_gains_and_the_first_loses():
    def make(before, afresh, replay, own):
        ways = {"afresh": [None, afresh], "replay": [before - 0.1, replay], "own findings": [before - 0.2, own]}
        return {"scores": {"before": [before, None], **ways}}

    rows = consecutive.format_rows("a:b", [make(0.8, 0.5, 0.6, 0.4), make(0.6, 0.5, 0.6, 0.4)])
    assert rows[0] == ["a:b", "first task alone", "", "", "0.700 ± 0.141", ""]
    assert rows[1][1:3] == ["new", "0.500 ± 0.000"] and rows[1][3:] == ["", "", ""]
    labelled, unlabelled = rows[2:]
    assert labelled[3].startswith("+0.100 (") and labelled[5].startswith("+0.100 (")
    assert unlabelled[3].startswith("-0.100 (") and unlabelled[5].startswith("+0.200 (")
    assert "gained" in consecutive.format_table(rows)


def test_files_of_a_corpus_are_its_own_or_converted_ones(tmp_path, corpus):
    assert consecutive.find_prefix("mine", None, tmp_path, tmp_path) == str(tmp_path / "mine")


def test_what_is_kept_is_not_made_again(tmp_path, capsys):
    path = tmp_path / "some" / "one.json"
    with pytest.raises(KeyboardInterrupt):
        keep(path, lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert keep(path, lambda: {"f": 0.5}) == keep(path, lambda: {"f": 0.1}) == {"f": 0.5}
    assert "some/one" in capsys.readouterr().err


def test_a_trial_is_short():
    assert shorten(None) == {} and shorten(4)["training.max_steps"] == 4


def test_every_table_has_its_place_on_the_page():
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf8")
    for name, module in TABLES.items():
        assert f"<!-- benchmark: paper-{name} -->" in page
        assert f"python -m benchmarks.paper {name} " in module.__doc__
