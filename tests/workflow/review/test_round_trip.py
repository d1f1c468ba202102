"""Out to each tool and back, in the forms that the tools document."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
import spacy
from reviewers import FINISH, USERS, read_tasks

from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.annotate import read_answer
from spacy_falconer.llm.exchange import write_exchange
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.types import Answer, Quote, Record
from spacy_falconer.workflow.answers import read_answers
from spacy_falconer.workflow.review import export_reviews, take_reviews, write_rejects

LABEL, GIFT, PRICE = "The reviewer is satisfied.", "It was a gift.", "Amounts of money."
TEXTS = ["i paid 5 dollars and love it", "the bad price broke", "nice gift for 7 dollars", "it works"]


@pytest.fixture
def send(reader_nlp, store, tmp_path):
    """Export texts for a tool; its tasks by their texts."""

    def export(tool, texts=TEXTS, **options):
        records = [Record(f"r{number}", text) for number, text in enumerate(texts)]
        done = export_reviews(reader_nlp, records, tmp_path / "review.json", tool=tool, n=50, store=store, **options)
        tasks = read_tasks(tmp_path / "review.json")
        return {find_text(task): task for task in tasks}, done

    return export


@pytest.fixture
def take(review_plan, store, tmp_path):
    """Import records, each list a file."""

    def import_all(*files, plan=review_plan):
        paths = [tmp_path / f"reviewed-{number}.jsonl" for number in range(len(files))]
        for path, records in zip(paths, files, strict=True):
            path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf8")
        return take_reviews(plan, paths, store)

    return import_all


def find_text(task):
    return task["data"]["text"] if "data" in task else task["fields"]["text"] if "fields" in task else task["text"]


@pytest.mark.parametrize("tool", FINISH)
def test_corrections_come_back_and_win(tool, send, take, store, review_plan, tmp_path):
    store.put(Answer(TEXTS[0], "a model", {LABEL: False, GIFT: False}, {PRICE: (Quote("5", 7),)}))
    tasks, _ = send(tool)
    assert set(tasks) == set(TEXTS)
    finish = FINISH[tool]
    reviewed = [finish(tasks[TEXTS[0]], ["positive"], [("price", "5 dollars")]), finish(tasks[TEXTS[1]], [], [])]
    taken = take(reviewed)
    assert (taken.n_texts, taken.n_answers, taken.n_changed, taken.n_new_texts) == (2, 6, 2, 1)
    assert not taken.rejects
    answer = read_answer(TEXTS[0], review_plan, store, model="a model")
    assert answer.labels == {LABEL: True, GIFT: False} and answer.spans == {PRICE: (Quote("5 dollars", 7),)}
    nothing = read_answer(TEXTS[1], review_plan, store, model=None)
    assert nothing.labels == {LABEL: False, GIFT: False} and nothing.spans == {PRICE: ()}
    assert TEXTS[0] not in send(tool)[0]  # It is not shown again.


@pytest.mark.parametrize("tool", FINISH)
def test_a_list_is_read_as_lines_are(tool, send, store, review_plan, tmp_path):
    tasks, _ = send(tool)
    content = json.dumps([FINISH[tool](tasks[text], ["gift"], []) for text in TEXTS], indent=1)
    (tmp_path / "all.json").write_text("\ufeff" + content, encoding="utf8")
    assert take_reviews(review_plan, [tmp_path / "all.json"], store).n_answers == 12


@pytest.mark.parametrize("tool", FINISH)
def test_what_is_skipped_or_not_looked_at_says_nothing(tool, send, take, store):
    tasks, _ = send(tool)
    taken = take([FINISH[tool](tasks[TEXTS[0]], ["gift"], [], answer="ignore"), tasks[TEXTS[1]]])
    assert taken.outcomes == {"skipped": 1, "open": 1} and taken.n_answers == len(store) == 0 and not taken.rejects


def test_a_rejected_task_of_prodigys_is_counted(send, take, store):
    tasks, _ = send("prodigy")
    taken = take([FINISH["prodigy"](tasks[TEXTS[0]], ["gift"], [], answer="reject")])
    assert taken.outcomes["rejected"] == 1 and len(store) == 0


@pytest.mark.parametrize("tool", FINISH)
def test_several_people_vote(tool, send, take, store, review_plan):
    tasks, _ = send(tool)
    task, finish = tasks[TEXTS[2]], FINISH[tool]
    ann = finish(task, ["gift", "positive"], [("price", "7 dollars")])
    bob = finish(task, ["gift"], [("price", "7")], by="bob")
    taken = take([ann, bob])
    assert store.find(TEXTS[2], "get_label", GIFT) is True
    assert store.find(TEXTS[2], "get_label", LABEL) is None and store.find(TEXTS[2], "get_span", PRICE) is None
    assert len(taken.rejects) == 2 and all("disagree" in one.reason for one in taken.rejects)
    assert sorted(map(str, taken.rejects[0].record["said"].values())) == ["False", "True"]


def test_three_people_settle_it(send, take, store):
    tasks, _ = send("prodigy")
    finish = FINISH["prodigy"]
    spans = {"ann": [("price", "7 dollars")], "bob": [("price", "7")], "cem": [("price", "7 dollars")]}
    take([finish(tasks[TEXTS[2]], ["gift"] if by == "ann" else [], said, by=by) for by, said in spans.items()])
    assert store.find(TEXTS[2], "get_label", GIFT) is False
    assert store.find(TEXTS[2], "get_span", PRICE) == (Quote("7 dollars", 14),)


@pytest.mark.parametrize("tool", ["prodigy", "label-studio"])
def test_the_later_decision_of_a_person_counts(tool, send, take, store):
    tasks, _ = send(tool)
    later = FINISH[tool](tasks[TEXTS[3]], ["gift"], [], when=1_700_000_050)
    taken = take([later, FINISH[tool](tasks[TEXTS[3]], [], [], when=1_700_000_010)])
    assert store.find(TEXTS[3], "get_label", GIFT) is True and taken.n_superseded == 3


def test_people_may_change_their_minds_later(send, take, store):
    tasks, _ = send("argilla")
    take([FINISH["argilla"](tasks[TEXTS[3]], ["gift"], [])])
    taken = take([FINISH["argilla"](tasks[TEXTS[3]], [], [])])
    assert store.find(TEXTS[3], "get_label", GIFT) is False and taken.n_changed == 1 and len(store) == 3


def test_files_without_names_are_people(send, take, store):
    tasks, _ = send("prodigy")
    first, second = (FINISH["prodigy"](tasks[TEXTS[3]], labels, []) for labels in (["gift"], []))
    for record in (first, second):
        del record["_annotator_id"], record["_session_id"]
    assert len(take([first], [second]).rejects) == 1


def test_an_answer_keeps_the_words_that_were_asked(send, take, store, review_plan):
    tasks, _ = send("label-studio")
    steps = [step.model_copy(update={"instruction": "It was bought for somebody else."}) if step.id == "gift" else step
             for step in review_plan.steps]  # fmt: skip
    changed = review_plan.model_copy(update={"steps": tuple(steps)})
    taken = take([FINISH["label-studio"](tasks[TEXTS[2]], ["gift"], [])], plan=changed)
    assert taken.foreign == {GIFT: 1} and store.find(TEXTS[2], "get_label", GIFT) is True
    assert store.find(TEXTS[2], "get_label", "It was bought for somebody else.") is None


def test_passages_within_tokens_are_kept_and_counted(send, take, store):
    tasks, _ = send("prodigy")
    taken = take([FINISH["prodigy"](tasks[TEXTS[0]], [], []) | {"spans": [{"start": 7, "end": 12, "label": "price"}]}])
    assert taken.n_misaligned == 1 and store.find(TEXTS[0], "get_span", PRICE) == (Quote("5 dol", 7),)


def spoil(name):
    """A finished Prodigy task, spoiled."""
    changes = {
        "text": {"text": "another text"},
        "label": {"accept": ["defect"]},
        "span label": {"spans": [{"start": 0, "end": 1, "label": "gift"}]},
        "outside": {"spans": [{"start": 20, "end": 99, "label": "price"}]},
        "other words": {"spans": [{"start": 2, "end": 6, "label": "price", "text": "love"}]},
        "blank": {"spans": [{"start": 1, "end": 2, "label": "price"}]},
        "no number": {"spans": [{"start": "2", "end": 6, "label": "price"}]},
        "answer": {"answer": "perhaps"},
        "note": {"falconer": {"asked": "everything"}},
        "list": {"spans": {"price": 1}},
        "half": {"text": "\ud83d broken"},
    }
    return changes[name]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("text", "text has changed since it was exported: 'another text'"),
        ("label", "label 'defect', which was not asked; expected one of: positive, gift"),
        ("span label", "passage 'gift', which was not asked; expected one of: price"),
        ("outside", "characters 20 to 99 as 'price'.*expected words of the text"),
        ("other words", "they are 'paid', expected 'love'"),
        ("blank", "characters 1 to 2 as 'price'; they are ' '"),
        ("no number", "'start' is '2'; expected a number"),
        ("answer", "'answer' is 'perhaps'; expected accept, reject or ignore"),
        ("note", "expected what `review export` wrote there"),
        ("list", "'spans' is .*; expected a list"),
        ("half", "half a character"),
    ],
)
def test_a_bad_record_has_one_reason_and_stops_no_other(name, reason, send, take, store, tmp_path):
    tasks, _ = send("prodigy")
    good, bad = (FINISH["prodigy"](tasks[text], ["gift"], []) for text in (TEXTS[1], TEXTS[0]))
    taken = take([bad | spoil(name), good])
    assert store.find(TEXTS[1], "get_label", GIFT) is True and len(store) == 3
    [reject] = taken.rejects
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(reject.reason)
    listed = write_rejects(taken.rejects, tmp_path / "reviewed-0.jsonl", store=tmp_path / "answers.db")
    [row] = [json.loads(line) for line in listed.read_text(encoding="utf8").splitlines()]
    assert row["where"].endswith("reviewed-0.jsonl, line 1") and row["record"] == bad | spoil(name)
    assert (
        write_rejects([], tmp_path / "reviewed-0.jsonl", store=tmp_path / "answers.db") is None and not listed.exists()
    )


def test_an_instruction_that_no_store_can_hold_has_one_reason_and_stops_no_other(send, take, store):
    tasks, _ = send("prodigy")
    good, bad = (FINISH["prodigy"](tasks[text], ["gift"], []) for text in (TEXTS[1], TEXTS[0]))
    bad["falconer"]["asked"]["gift"]["instruction"] = "half \ud83d"
    [reject] = take([bad, good]).rejects
    assert "expected what `review export` wrote there" in reject.reason
    assert store.find(TEXTS[1], "get_label", GIFT) is True


def test_foreign_lines_are_told_apart(take, send, review_plan, store, tmp_path):
    good = json.dumps(FINISH["prodigy"](send("prodigy")[0][TEXTS[1]], ["gift"], []))
    (tmp_path / "mixed.jsonl").write_text('{"text": \n[1]\n{"id": 1}\n{"text": "a", "annotation_id": 3}\n' + good)
    taken = take_reviews(review_plan, [tmp_path / "mixed.jsonl"], store)
    assert [one.where.rsplit(" ", 1)[1] for one in taken.rejects] == ["1", "2", "3", "4"] and taken.n_texts == 1


def test_a_file_of_something_else(review_plan, store, tmp_path):
    (tmp_path / "else.json").write_text("[1, 2")
    with pytest.raises(AnswerError, match="not JSON.*Expected a complete list of records"):
        take_reviews(review_plan, [tmp_path / "else.json"], store)
    (tmp_path / "else.json").write_text("[1, 2]")
    with pytest.raises(AnswerError, match="None of the 2 records could be read.*record 1: It is not a record"):
        take_reviews(review_plan, [tmp_path / "else.json"], store)


def test_of_a_group_one_label_is_true(take, store, review_plan):
    steps = [
        step.model_copy(update={"one_of": "mood"}) if step.op == "get_label" else step for step in review_plan.steps
    ]
    plan = review_plan.model_copy(update={"steps": tuple(steps)})
    options = [{"id": "positive"}, {"id": "gift"}]
    record = {"text": "a", "options": options, "accept": ["positive", "gift"], "answer": "accept"}
    [reject] = take([record], plan=plan).rejects
    assert "'positive' and 'gift', of which at most one is true (one_of: mood)" in reject.reason


def test_records_of_ones_own(take, store):
    """Without our note, the keys are the plan's, and those that occur nowhere were not asked."""
    taken = take([
        {"text": "a 5 dollars", "spans": [{"start": 2, "end": 11, "label": "price"}], "answer": "accept"},
        {"text": "b", "spans": [], "answer": "accept"},
        {"text": "a 5 dollars", "label": "gift", "answer": "reject"},
        {"text": "b", "label": "gift", "answer": "accept"},
        {"text": "c", "_view_id": "ner", "spans": [], "answer": "accept"},
    ])  # fmt: skip
    assert [store.find(text, "get_span", PRICE) for text in ("a 5 dollars", "b")] == [(Quote("5 dollars", 2),), ()]
    assert [store.find(text, "get_label", GIFT) for text in ("a 5 dollars", "b")] == [False, True]
    assert store.find("b", "get_label", LABEL) is None
    assert [one.where.rsplit(" ", 1)[1] for one in taken.rejects] == ["5"]


def test_a_record_says_nothing_of_the_primitive_that_it_does_not_show(take, store):
    options = [{"id": "positive"}, {"id": "gift"}]
    span = {"start": 2, "end": 11, "label": "price"}
    taken = take([
        {"text": "a 5 dollars", "spans": [span], "answer": "accept"},
        {"text": "b 5 dollars", "options": options, "accept": ["gift"], "answer": "accept"},
        {"text": "c 5 dollars", "options": options[1:], "accept": [], "spans": [span], "answer": "accept"},
    ])  # fmt: skip
    asked = [("get_label", LABEL), ("get_label", GIFT), ("get_span", PRICE)]
    found = {text: [store.find(f"{text} 5 dollars", op, words) for op, words in asked] for text in "abc"}
    price = (Quote("5 dollars", 2),)
    assert found == {"a": [None, None, price], "b": [False, True, None], "c": [None, False, price]}
    assert not taken.rejects


EMOJI = "nice \U0001f600 for 7 dollars"


@pytest.mark.parametrize("start", [11, 12])  # As we count, and as browsers do.
def test_label_studios_characters_may_be_those_of_browsers(start, send, take, store):
    task = send("label-studio", [EMOJI])[0][EMOJI]
    record = FINISH["label-studio"](task, [], [("price", "7 dollars")])
    record["annotations"][0]["result"][0]["value"] |= {"start": start, "end": start + 9}
    assert not take([record]).rejects
    assert store.find(EMOJI, "get_span", PRICE) == (Quote("7 dollars", 11),)


def test_label_studio_writes_line_breaks_its_own_way(send, take, store):
    text = "paid 5\ndollars"
    record = FINISH["label-studio"](send("label-studio", [text])[0][text], [], [("price", "5\ndollars")])
    record["annotations"][0]["result"][0]["value"]["text"] = "5\\ndollars"
    assert not take([record]).rejects
    assert store.find(text, "get_span", PRICE) == (Quote("5\ndollars", 5),)


def test_a_backslash_of_the_text_is_no_line_break(send, take, store):
    text = r"paid 5\nine dollars"
    record = FINISH["label-studio"](send("label-studio", [text])[0][text], [], [("price", r"5\nine dollars")])
    assert not take([record]).rejects
    assert store.find(text, "get_span", PRICE) == (Quote(r"5\nine dollars", 5),)


def test_label_studios_ground_truth_settles(send, take, store):
    task = send("label-studio")[0][TEXTS[3]]
    record, other = (FINISH["label-studio"](task, labels, [], by=by) for labels, by in ((["gift"], "ann"), ([], "bob")))
    record["annotations"] += other["annotations"]
    assert take([record]).n_answers == 2  # "gift" is undecided.
    record["annotations"][0]["ground_truth"] = True
    assert not take([record]).rejects and store.find(TEXTS[3], "get_label", GIFT) is True


def test_argilla_is_not_given_what_it_would_damage(send, take, store):
    tasks, done = send("argilla", [*TEXTS, EMOJI])
    assert EMOJI not in tasks and done.n_left_out == 1
    values = [{"start": 12, "end": 21, "label": "price"}]
    record = {"fields": {"text": EMOJI}, "responses": {"spans": [{"value": values, "user_id": USERS["ann"]}]}}
    assert "counts as one or as two" in take([record, tasks[TEXTS[0]]]).rejects[0].reason


def test_argillas_nested_records_tell_no_status(send, take, store):
    """Only those count that are said to be checked: what was discarded looks the same."""
    record = send("argilla")[0][TEXTS[3]]
    said = {"labels": [{"value": ["gift"], "user_id": USERS["ann"]}]}
    assert take([record | {"responses": said}]).outcomes["skipped"] == 1
    said["reviewed"] = [{"value": "checked", "user_id": USERS["ann"]}]
    assert take([record | {"responses": said}]).n_answers == 3


def test_prodigy_finds_what_it_needs(send, review_plan):
    tasks, done = send("prodigy")
    for text, task in tasks.items():
        assert "".join(one["text"] + " " * one["ws"] for one in task["tokens"]) == text
        for span in task["spans"]:
            first, last = (task["tokens"][span[name]] for name in ("token_start", "token_end"))
            assert (first["start"], last["end"]) == (span["start"], span["end"])
        assert [one["id"] for one in task["options"]] == ["positive", "gift"] and set(task["accept"]) <= {
            "positive",
            "gift",
        }
    hashes = [(task["_input_hash"], task["_task_hash"]) for task in tasks.values()]
    assert len(set(hashes)) == len(TEXTS) and all(-(2**31) <= one < 2**31 for pair in hashes for one in pair)
    assert json.loads(done.config.read_text())["blocks"][0] == {"view_id": "spans_manual"}


def test_label_studio_finds_what_it_needs(send, store):
    store.put(Answer(TEXTS[0], "a model", {LABEL: True, GIFT: False}, {PRICE: (Quote("5 dollars", 7),)}))
    tasks, done = send("label-studio")
    view = ElementTree.fromstring(done.config.read_text(encoding="utf8"))
    controls = {one.get("name"): [child.get("value") for child in one] for one in view if one.get("toName")}
    assert (
        controls == {"spans": ["price"], "labels": ["positive", "gift"]} and view.find("Text").get("value") == "$text"
    )
    said = tasks[TEXTS[0]]["predictions"][1]
    assert said["model_version"] == "language model"
    assert [one["value"] for one in said["result"]] == [
        {"start": 7, "end": 16, "text": "5 dollars", "labels": ["price"]}, {"choices": ["positive"]}
    ]  # fmt: skip
    for prediction in [one for task in tasks.values() for one in task["predictions"]]:
        assert {one["from_name"] for one in prediction["result"]} <= set(controls)


def test_argilla_finds_what_it_needs(send):
    tasks, done = send("argilla")
    settings = json.loads(done.config.read_text(encoding="utf8"))
    assert [one["name"] for one in settings["questions"] if one["required"]] == ["reviewed"]
    options = {one["name"]: [two["value"] for two in one["settings"]["options"]] for one in settings["questions"]}
    assert options == {"labels": ["positive", "gift"], "spans": ["price"], "reviewed": ["checked", "unsure"]}
    for text, record in tasks.items():
        for name, one in record["suggestions"].items():
            assert len(one["value"]) == len(one["score"]) and name in options
        assert json.loads(record["metadata"]["falconer"])["asked"]["price"]["instruction"] == PRICE
        assert record["fields"] == {"text": text}


def test_only_texts_of_mined_rows(send, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"id": "r1", "labels": {}, "spans": {}}\n')
    assert set(send("prodigy", rows=tmp_path / "rows.jsonl")[0]) == {TEXTS[1]}
    (tmp_path / "rows.jsonl").write_text("no rows\n")
    with pytest.raises(AnswerError, match="cannot be read as mined rows"):
        send("prodigy", rows=tmp_path / "rows.jsonl")


def test_nothing_is_left_to_review(send):
    with pytest.raises(AnswerError, match="There is no text to review"):
        send("prodigy", [" "])
    with pytest.raises(AnswerError, match="The format is 'doccano'; expected one of label-studio, argilla, prodigy"):
        send("doccano")


def test_training_reads_what_people_said(send, take, store, review_plan, tmp_path):
    store.put(Answer(TEXTS[0], "a model", {LABEL: False, GIFT: False}, {PRICE: ()}))
    take([FINISH["prodigy"](send("prodigy")[0][TEXTS[0]], ["positive"], [("price", "5 dollars")])])
    write_exchange(AnswerStore(store.path).export(), tmp_path / "answers.jsonl")
    [doc], _ = read_answers(tmp_path / "answers.jsonl", review_plan, spacy.blank("en"))
    assert doc.cats == {"positive": 1.0, "gift": 0.0}
    assert [(span.text, span.label_) for span in doc.spans["sc"]] == [("5 dollars", "price")]
