"""The planning benchmark: its recorded answers, how plans are run over them, and how rows are scored."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.planning.ask import Recorder, Reply
from benchmarks.planning.corpora import DATA, Corpus, Primitive, Unit, read_benchmark, read_rows
from benchmarks.planning.judge import JUDGE
from benchmarks.planning.report import print_table
from benchmarks.planning.run import judge_outcomes, plan_items
from benchmarks.planning.score import Meaning, list_choices, make_gold, run_plan, score_tables
from spacy_falconer.corpus.sentences import split_sentences
from spacy_falconer.plan import parse_plan
from spacy_falconer.types import CharSpan, Record, ScoredSpan

BENCHMARK = read_benchmark()
PLANNED = [item for item in BENCHMARK.items if item["pattern"] != "unsupported"]

# "Ann sold it. Bob bought it." and "Cat ran." Whether someone sold, or bought; who; and of each of them, whether they paid.
ANN, BOB, CAT = ScoredSpan("Ann", 0, 3, 1.0), ScoredSpan("Bob", 13, 16, 1.0), ScoredSpan("Cat", 0, 3, 1.0)
PAID = {("name", who): {"labels": {"paid": who == "Bob"}, "spans": {}} for who in ("Ann", "Bob", "Cat")}
CORPUS = Corpus(
    primitives=[
        Primitive("sold", "get_label", "The text tells of a sale."),
        Primitive("bought", "get_label", "The text tells of a purchase."),
        Primitive("name", "get_span", "Names."),
        Primitive("paid", "get_label", "{span} has paid.", source="name"),
    ],
    texts=["Ann sold it. Bob bought it.", "Cat ran."],
    documents=[
        Unit("a", {"sold": 0.7, "bought": 1.0}, {"name": [ANN, BOB]}, PAID),
        Unit("c", {"sold": 0.0, "bought": 0.0}, {"name": [CAT]}, PAID),
    ],
    sentences=[
        Unit("a", {"sold": 1.0, "bought": 0.0}, {"name": [ANN]}, PAID, CharSpan(0, 12), False),
        Unit(
            "a", {"sold": 0.0, "bought": 1.0}, {"name": [ScoredSpan("Bob", 0, 3, 1.0)]}, PAID, CharSpan(13, 27), False
        ),
        Unit("c", {"sold": 0.0, "bought": 0.0}, {"name": [CAT]}, PAID, CharSpan(0, 8), True),
    ],
    noun="text",
)


def make_plan(steps: dict[str, dict], **fields):
    """A plan of steps whose ids begin with the primitives that they mean: `sold` or `sold_2`, `not_sold`."""
    made = [{"id": id, "instruction": "{span}" if "for_each" in step else id, **step} for id, step in steps.items()]
    plan = parse_plan({"instruction": "x", "steps": made, **fields})
    names = {id: id.removeprefix("not_").split("_")[0] for id in steps}
    return plan, {id: Meaning(name, is_opposite=id.startswith("not_")) for id, name in names.items()}


def run(steps: dict[str, dict], **fields):
    return run_plan(*make_plan(steps, **fields), CORPUS)


LABEL, SPAN = {"op": "get_label"}, {"op": "get_span"}
EACH = {"op": "get_label", "for_each": "name"}
CHOICE = {"op": "get_label", "one_of": "deal"}


def test_a_step_runs_for_each_passage():
    table = run({"name": SPAN, "paid": EACH}, keep="paid", output=["name", "paid"])
    assert table == {("a",): {"name": ["Ann", "Bob"], "paid": [("Ann", False), ("Bob", True)]}}


def test_only_the_main_one_of_two_true_labels_is_chosen():
    both = run({"sold": LABEL, "bought": LABEL}, output=["sold", "bought"])
    one = run({"sold": CHOICE, "bought": CHOICE}, output=["sold", "bought"])
    assert both["a",] == {"sold": [True], "bought": [True]}
    assert one["a",] == {"sold": [False], "bought": [True]}
    assert not run({"sold": CHOICE, "bought": CHOICE}, keep="sold")


def test_sentences_are_rows_and_a_text_of_one_sentence_is_the_text():
    assert run({"sold": LABEL}, keep="sold", unit="sentence") == {("a", 0, 12): {}}
    table = run({"name": SPAN}, output=["name"], unit="sentence")
    assert table == {("a", 0, 12): {"name": ["Ann"]}, ("a", 13, 27): {"name": ["Bob"]}, ("c",): {"name": ["Cat"]}}


def test_an_opposite_statement_keeps_the_other_texts_and_shows_the_primitive():
    assert run({"not_sold": LABEL}, keep="not_sold", output=["not_sold"]) == {("c",): {"sold": [False]}}


def test_branches_of_a_condition_share_a_column():
    steps = {"bought": LABEL, "name_1": {**SPAN, "when": "bought"}, "name_2": {**SPAN, "when": "not bought"}}
    assert run(steps, output=["name_1", "name_2"]) == {("a",): {"name": ["Ann", "Bob"]}, ("c",): {"name": ["Cat"]}}


def test_rows_are_scored_by_their_cells():
    gold = {("a",): {"name": ["Ann", "Bob"]}, ("c",): {"name": ["Cat"]}}
    assert score_tables(gold, gold) == 1
    assert score_tables({("a",): {"name": ["Ann", "Bob"]}}, gold) == pytest.approx(2 * 2 / 5)
    assert score_tables({**gold, ("a",): {"name": ["Ann", "Bob"], "place": ["Rome"]}}, gold) == pytest.approx(2 * 3 / 7)
    assert score_tables({**gold, ("a",): {"name": ["Ann", "Bob"], "sold": [True]}}, gold) == 1
    assert score_tables({("a", 0, 12): {"name": ["Ann"]}}, gold) == 0


def test_without_columns_the_texts_are_scored():
    gold = {("a",): {}, ("b",): {}}
    assert score_tables({("a",): {"name": ["Ann"]}}, gold) == pytest.approx(2 / 3)


def test_what_was_not_chosen_is_no_cell():
    gold = {("a",): {"sold": [False], "bought": [True]}, ("c",): {"sold": [False], "bought": [False]}}
    found = {("a",): {"sold": [True], "bought": [True]}}
    assert score_tables(found, gold, {"sold", "bought"}) == pytest.approx(2 / 3)
    assert score_tables(found, gold) == pytest.approx(2 * 1 / 6)


@pytest.mark.parametrize("item", PLANNED, ids=lambda item: item["id"])
def test_every_gold_plan_runs_and_finds_some_rows(item):
    corpus = BENCHMARK.corpora[item["corpus"]]
    plan, meanings = make_gold(item, corpus.primitives)
    table = run_plan(plan, meanings, corpus)
    n_units = len(corpus.sentences if plan.unit == "sentence" else corpus.documents)
    assert 0 < len(table) < n_units or (len(table) == n_units and plan.keep == "true")
    assert score_tables(table, table, list_choices(plan, meanings)) == 1


def test_the_sentences_are_new_varied_and_half_of_them_held_out():
    items = BENCHMARK.items
    by_pattern = {pattern: [item["split"] for item in items if item["pattern"] == pattern] for pattern in
                  {item["pattern"] for item in items}}  # fmt: skip
    assert len({item["instruction"] for item in items}) == len(items) >= 40
    assert all(len(by_pattern[pattern]) >= 6 for pattern in ("for_each", "one_of", "sentence"))
    assert all(splits.count("dev") == splits.count("heldout") for splits in by_pattern.values())


@pytest.mark.parametrize("name", BENCHMARK.corpora)
def test_every_primitive_is_answered_for_every_text_sentence_and_passage(name):
    corpus = BENCHMARK.corpora[name]
    asked = {(p.op, p.source): [q.name for q in corpus.primitives if (q.op, q.source) == (p.op, p.source)]
             for p in corpus.primitives}  # fmt: skip
    sources = {source for _, source in asked if source}
    for unit in [*corpus.documents, *corpus.sentences]:
        assert set(unit.labels) == set(asked["get_label", None]) and set(unit.spans) == set(asked["get_span", None])
        for source in sources:
            for span in unit.spans[source]:
                answers = unit.about[source, span.text]
                assert set(answers["labels"]) == set(asked.get(("get_label", source), []))
                assert set(answers["spans"]) == set(asked.get(("get_span", source), []))


@pytest.mark.parametrize("name", BENCHMARK.corpora)
def test_the_recorded_sentences_are_those_that_the_package_cuts(name):
    rows = list(read_rows(DATA / f"{name}.jsonl"))
    cut: dict[str, list] = {row["id"]: [] for row in rows}
    for record in split_sentences([Record(row["id"], row["text"]) for row in rows]):
        cut[record.id].append([record.place.start, record.place.end])
    for row in rows:
        assert cut[row["id"]] == row["sentences"]
        for value, numbers in zip(row["labels"].values(), row["in_sentences"].values(), strict=True):
            assert value or not numbers  # what is true of a sentence is true of its text


def test_the_judge_is_asked_as_when_the_verdicts_were_recorded():
    for row in list(read_rows(DATA.parent / "judgements.jsonl"))[:119]:  # the ones before {span} and sentences
        ours, gold = row["id"].split(" | ")
        contents = [JUDGE.render(op=op, ours=ours, gold=gold).strip() for op in ("get_label", "get_span")]
        requests = [
            sha256(json.dumps([{"role": "user", "content": content}]).encode()).hexdigest() for content in contents
        ]
        assert row["request"] in {request[:16] for request in requests}


@dataclass
class GoldPlanner:
    """Plans as the gold does, with ids of its own."""

    asked: list[str] = field(default_factory=list)

    async def ask(self, messages, *, schema=None, step=""):
        self.asked.append(messages[-1]["content"])
        [item] = [item for item in BENCHMARK.items if f"\n{item['instruction']}\n" in messages[-1]["content"]]
        return Reply(json.dumps({"plan": self.plan(item)}), "scripted")

    def plan(self, item):
        if item["gold"].get("unsupported"):
            return item["gold"]
        corpus = BENCHMARK.corpora[item["corpus"]]
        plan = make_gold(item, corpus.primitives)[0].model_dump(mode="json", exclude={"instruction"})
        for step in plan["steps"]:
            if plan["unit"] == "sentence":
                step["instruction"] = step["instruction"].replace(f"The {corpus.noun}", "The sentence")
        return plan


@dataclass
class LiteralJudge:
    """Finds only the very same words to mean the same."""

    asked: list[str] = field(default_factory=list)

    async def ask(self, messages, *, schema=None, step=""):
        lines = messages[-1]["content"].splitlines()
        self.asked.append(messages[-1]["content"])
        ours, gold = (next(line[3:] for line in lines if line.startswith(mark)) for mark in ("A: ", "B: "))
        return Reply(json.dumps({"verdict": "same" if ours == gold else "different"}), "scripted")


def score_all(folder: Path, planner=None, judge=None):
    async def score():
        replies, verdicts = Recorder(folder / "replies.jsonl", planner), Recorder(folder / "judgements.jsonl", judge)
        return await judge_outcomes(await plan_items(BENCHMARK.items, BENCHMARK, replies), BENCHMARK, verdicts)

    return asyncio.run(score())


@pytest.fixture(scope="module")
def scripted(tmp_path_factory):
    """All sentences, planned as the gold plans are: the folder of the records, who was asked, and the outcomes."""
    folder, planner, judge = tmp_path_factory.mktemp("records"), GoldPlanner(), LiteralJudge()
    return folder, planner, judge, score_all(folder, planner, judge)


def test_gold_plans_reach_one_and_are_scored_again_from_the_files(scripted, capsys):
    folder, planner, _, outcomes = scripted
    assert [outcome.f1 for outcome in outcomes] == [1.0] * len(BENCHMARK.items)
    assert len(planner.asked) == len(BENCHMARK.items)
    again = score_all(folder)
    assert [outcome.f1 for outcome in again] == [1.0] * len(BENCHMARK.items)
    print_table(again)
    lines = capsys.readouterr().out.splitlines()
    assert "| heldout | one_of | 4 | 4 | 4 | 1.000 |" in lines and "| dev | all | 26 | 26 | 26 | 1.000 |" in lines
    rows = [json.loads(line) for line in (folder / "replies.jsonl").read_text().splitlines()]
    assert {row["model"] for row in rows} == {"scripted"} and all(row["date"] for row in rows)


def test_the_planner_sees_no_gold_and_the_judge_two_instructions(scripted):
    _, planner, judge, _ = scripted
    assert not any("The passage tells of a change of owner" in content for content in planner.asked)
    assert not any(item["instruction"] in content for item in BENCHMARK.items for content in judge.asked)
    assert any("A: The sentence says" in content and "B: The sentence says" in content for content in judge.asked)


class LazyPlanner(GoldPlanner):
    """Takes every text for one unit, runs nothing for each passage, and lets labels stand beside each other."""

    def plan(self, item):
        plan = super().plan(item)
        if "steps" not in plan:
            return plan
        steps = [{**step, "one_of": None} for step in plan["steps"] if not step["for_each"]]
        known = {step["id"] for step in steps}
        keep = plan["keep"] if plan["keep"] not in ("scholar",) else "person"
        return {**plan, "steps": steps, "keep": keep, "unit": "document",
                "output": [id for id in plan["output"] if id in known]}  # fmt: skip


class NounlessJudge(LiteralJudge):
    async def ask(self, messages, *, schema=None, step=""):
        content = messages[-1]["content"].replace("The sentence ", "The text ").replace("The passage ", "The text ")
        return await super().ask([{"content": content.replace("The message ", "The text ")}])


def test_plans_that_miss_for_each_one_of_and_sentences_score_less(tmp_path):
    outcomes = score_all(tmp_path, LazyPlanner(), NounlessJudge())
    by_pattern = {}
    for outcome in outcomes:
        by_pattern.setdefault(outcome.item["pattern"], []).append(outcome.f1)
    assert max(by_pattern["for_each"]) < 1 and max(by_pattern["sentence"]) < 1 and min(by_pattern["one_of"]) < 1
    assert set(by_pattern["filter"] + by_pattern["extract"] + by_pattern["combine"]) == {1.0}


def test_what_is_not_recorded_is_left_out_of_the_table(tmp_path, capsys):
    unplanned = score_all(tmp_path)
    assert {outcome.note for outcome in unplanned} == {"not planned yet"}
    unjudged = score_all(tmp_path, planner=GoldPlanner())
    assert {outcome.note for outcome in unjudged if outcome.plan} == {"not judged yet"}
    print_table(unjudged)
    assert "| dev | all | 1 |" in capsys.readouterr().out  # the unsupported one needs no judge
