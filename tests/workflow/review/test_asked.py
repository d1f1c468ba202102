"""A person is asked only what the plan comes to: the price of a thing that is not loved is nobody's question."""

from __future__ import annotations

import json
import re

import pytest
from reviewers import FINISH, read_tasks

from spacy_falconer.plan import parse_plan
from spacy_falconer.types import Answer, Quote, Record
from spacy_falconer.workflow.review import export_reviews, take_reviews
from spacy_falconer.workflow.review.asked import find_questions
from spacy_falconer.workflow.scoring.said import Said

LABEL, GIFT, PRICE = "The reviewer is satisfied.", "It was a gift.", "Amounts of money."
LOVED, BAD = "i paid 5 dollars and love it", "the bad price broke"


@pytest.fixture
def strict_nlp(reader_nlp):
    """A pipeline that says of no text that the reviewer is satisfied."""
    reader_nlp.get_pipe("falconer_label").cfg["thresholds"] = {"positive": 0.999}
    return reader_nlp


@pytest.fixture
def send(strict_nlp, store, tmp_path):
    """Export both texts for a tool; its tasks by their texts."""

    def export(tool):
        records = [Record(text, text) for text in (LOVED, BAD)]
        export_reviews(strict_nlp, records, tmp_path / "review.json", tool=tool, n=9, store=store)
        return {read_note(task)[0]: task for task in read_tasks(tmp_path / "review.json")}

    return export


@pytest.fixture
def take(review_plan, store, tmp_path):
    def import_all(*records):
        (tmp_path / "done.json").write_text(json.dumps(records))
        return take_reviews(review_plan, [tmp_path / "done.json"], store)

    return import_all


def read_note(task):
    """The text, the keys that are asked of it, and why it is shown."""
    if "data" in task:
        text, note, why = (task["data"][name] for name in ("text", "falconer", "why"))
    elif "fields" in task:
        text, why = task["fields"]["text"], task["metadata"]["why"]
        note = json.loads(task["metadata"]["falconer"])
    else:
        text, note, why = task["text"], task["falconer"], task["meta"]["why"]
    return text, set(note["asked"]), why


@pytest.mark.parametrize("tool", FINISH)
def test_a_step_that_the_plan_does_not_come_to_is_not_asked(tool, send, store):
    """By the pipeline neither text is of a satisfied person; by the language model one is."""
    store.put(Answer(LOVED, "a model", {LABEL: True, GIFT: False}, {PRICE: (Quote("5 dollars"),)}))
    store.put(Answer(BAD, "a model", {LABEL: False, GIFT: False}, {PRICE: (Quote("price"),)}))
    tasks = send(tool)
    assert read_note(tasks[LOVED])[1] == {"positive", "gift", "price"}
    _, asked, why = read_note(tasks[BAD])
    assert asked == {"positive", "gift"} and why.endswith("; not asked here: price")
    assert "price" not in why.split(";")[0]  # Nor is it why the text is shown.
    shown = json.dumps({name: tasks[BAD].get(name) for name in ("spans", "predictions", "suggestions")})
    assert "price" not in shown.replace(BAD, "")


@pytest.mark.parametrize("tool", FINISH)
def test_what_a_correction_makes_worth_asking_is_asked_next(tool, send, take, store, review_plan):
    tasks = send(tool)
    assert all(read_note(task)[1] == {"positive", "gift"} for task in tasks.values())
    finish = FINISH[tool]
    assert take(finish(tasks[LOVED], ["positive"], []), finish(tasks[BAD], [], [])).n_answers == 4
    assert store.find(LOVED, "get_span", PRICE) is None  # Nobody was asked for it.
    [(text, asked, _)] = map(read_note, send(tool).values())  # The other text is done.
    assert (text, asked) == (LOVED, {"price"})
    taken = take(finish(send(tool)[LOVED], [], [("price", "5 dollars")]))
    assert taken.n_answers == 1 and store.find(LOVED, "get_label", LABEL) is True
    assert store.find(LOVED, "get_span", PRICE) == (Quote("5 dollars", 7),)


@pytest.mark.parametrize("tool", FINISH)
def test_what_is_marked_without_being_asked_counts(tool, send, take, store):
    """Tools offer the same passages in all texts; whoever corrects the label may mark the price at once."""
    taken = take(FINISH[tool](send(tool)[LOVED], ["positive"], [("price", "5 dollars")]))
    assert taken.n_answers == 3 and not taken.rejects
    assert store.find(LOVED, "get_span", PRICE) == (Quote("5 dollars", 7),)


@pytest.mark.parametrize("tool", FINISH)
def test_what_people_have_marked_is_marked_still(tool, send, take, store):
    """Whoever adds a passage to a step that is not asked again adds it to what is there."""
    store.put(Answer(LOVED, "human", {LABEL: True}, {PRICE: (Quote("5 dollars", 7),)}))
    task = send(tool)[LOVED]
    assert read_note(task)[1] == {"gift"}
    part = task["spans"] if tool == "prodigy" else task["predictions" if tool == "label-studio" else "suggestions"]
    assert re.findall(r'"start": (\d+), "end": (\d+)', json.dumps(part)) == [("7", "16")]
    take(FINISH[tool](task, [], [("price", "5 dollars"), ("price", "love")]))
    assert store.find(LOVED, "get_span", PRICE) == (Quote("5 dollars", 7), Quote("love", 21))


def test_records_of_earlier_versions_are_read(send, take, store):
    """They asked all."""
    record = FINISH["prodigy"](send("prodigy")[BAD], [], [])
    note = record["falconer"]
    note["asked"] |= note.pop("spared")
    assert take(record).n_answers == 3 and store.find(BAD, "get_span", PRICE) == ()


def test_what_waits_for_passages_is_asked(store):
    """Whether one of them is praised is found out passage by passage: nothing here says that none is."""
    steps = [
        {"id": "product", "op": "get_span", "instruction": "Products."},
        {"id": "praised", "op": "get_label", "instruction": "{span} is praised.", "for_each": "product"},
        {"id": "price", "op": "get_span", "instruction": "Amounts of money.", "when": "praised"},
    ]
    plan = parse_plan({"instruction": "Prices of praised products", "steps": steps, "keep": "praised"})
    asked = find_questions(plan, Said({}, {"product": frozenset()}), LOVED, store)
    assert asked.keys == {"product", "price"}


def test_a_choice_of_which_one_label_is_open_is_asked_as_a_whole(store):
    """Two people said of two labels the contrary of each other, and it is neither, says a third."""
    moods = ("angry", "calm", "glad")
    steps = [{"id": mood, "op": "get_label", "instruction": f"It is {mood}.", "one_of": "mood"} for mood in moods]
    steps.append({"id": "gift", "op": "get_label", "instruction": GIFT})
    plan = parse_plan({"instruction": "Moods", "steps": steps})
    store.put(Answer(LOVED, "human", {"It is glad.": False, GIFT: False}))
    assert find_questions(plan, Said(), LOVED, store).keys == set(moods)
    store.put(Answer(LOVED, "human", {"It is angry.": False, "It is calm.": False}))
    assert find_questions(plan, Said(), LOVED, store).keys == set()
