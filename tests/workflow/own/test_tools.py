"""Exports of annotation tools whose labels were never ours."""

from __future__ import annotations

import json

import pytest

from spacy_falconer.errors import AnswerError
from spacy_falconer.workflow.own.bring import bring_answers

TEXT = "Bob won in New York."
BOB = {"start": 0, "end": 3, "token_start": 0, "token_end": 0, "label": "PER"}
LABELLED = {"text": TEXT, "spans": [BOB], "answer": "accept", "_view_id": "ner_manual"}
NAMES = ["PER=person", "LOC=place", "Sport=sports"]


@pytest.fixture
def bring(store, news_plan, tmp_path):
    def write(records, name="data.jsonl", **settings):
        path = tmp_path / name
        lines = "\n".join(json.dumps(one) for one in records)
        path.write_text(json.dumps(records) if name.endswith(".json") else lines, encoding="utf8")
        return bring_answers(path, news_plan, store, **{"names": NAMES, **settings})

    return write


def test_prodigys_spans_and_what_was_not_accepted(bring, said):
    others = [{**LABELLED, "text": f"{TEXT} {answer}", "answer": answer} for answer in ("reject", "ignore")]
    brought = bring([LABELLED, {**LABELLED, "text": "It rained.", "spans": []}, *others])
    assert brought.form == "prodigy" and brought.taken.outcomes == {"answered": 2, "rejected": 1, "skipped": 1}
    assert said(TEXT) == {"person": [("Bob", 0)]} and said("It rained.") == {"person": []}


def test_prodigys_choices_are_about_their_options(bring, said):
    options = [{"id": "Sport", "text": "Sports"}, {"id": "Arts", "text": "Arts"}]
    tasks = [
        {"text": TEXT, "options": options, "accept": ["Sport"], "answer": "accept"},
        {"text": "It rained.", "options": options, "accept": ["Arts"], "answer": "accept"},
    ]
    brought = bring(tasks)
    assert said(TEXT) == {"sports": True} and said("It rained.") == {"sports": False} and brought.foreign["Arts"] == 2


def test_prodigys_spans_deny_no_labels_and_foreign_options_none(bring, said):
    options = [{"id": "Arts", "text": "Arts"}]
    tasks = [
        LABELLED,
        {"text": "Ada ran.", "options": [{"id": "Sport"}], "accept": ["Sport"], "answer": "accept"},
        {**LABELLED, "text": f"{TEXT} Bravo.", "options": options, "accept": ["Arts"]},
    ]
    bring(tasks)
    assert said(TEXT) == said(f"{TEXT} Bravo.") == {"person": [("Bob", 0)]} and said("Ada ran.") == {"sports": True}
    bring(tasks, complete=True)
    assert said(TEXT) == {"sports": False, "person": [("Bob", 0)], "place": []}


def test_prodigys_yes_or_no_is_about_its_label_alone(bring, said):
    tasks = [
        {"text": TEXT, "label": "Sport", "answer": "accept"},
        {"text": "It rained.", "label": "Sport", "answer": "reject"},
        {"text": "A play.", "label": "Arts", "answer": "accept"},
    ]
    brought = bring(tasks)
    assert (said(TEXT), said("It rained."), said("A play.")) == ({"sports": True}, {"sports": False}, {})
    assert brought.foreign == {"Arts": 1} and brought.taken.outcomes["open"] == 1


def test_prodigys_single_spans_do_not_say_what_else_there_is(bring):
    with pytest.raises(AnswerError, match="accepts single spans"):
        bring([{**LABELLED, "_view_id": "ner"}])


def label_studio(text, regions, choices, field="text", **data):
    result = [
        {"type": "labels", "from_name": "ner", "to_name": "t", "value": {"start": s, "end": e, "text": text[s:e], "labels": [n]}}
        for s, e, n in regions
    ]  # fmt: skip
    result += (
        [{"type": "choices", "from_name": "topic", "to_name": "t", "value": {"choices": choices}}] if choices else []
    )
    return {"id": 1, "data": {field: text, **data}, "annotations": [{"result": result, "completed_by": 1}]}


def test_label_studios_export_with_a_text_field_of_its_own(bring, said):
    tasks = [
        label_studio(TEXT, [(0, 3, "PER"), (11, 19, "LOC")], ["Sport"], "body", id=3),
        label_studio("It rained.", [], [], "body"),
    ]
    with pytest.raises(AnswerError, match="no 'text', but: body, id. Name the field of the text by --text-field"):
        bring(tasks, "export.json")
    brought = bring(tasks, "export.json", text_field="body")
    assert brought.form == "label-studio" and brought.taken.outcomes == {"answered": 2}
    assert said(TEXT) == {"sports": True, "person": [("Bob", 0)], "place": [("New York", 11)]}
    assert said("It rained.") == {"sports": False, "person": [], "place": []}


def test_partial_takes_only_what_is_labelled(bring, said):
    bring([label_studio(TEXT, [(0, 3, "PER")], []), label_studio("Ada ran.", [], ["Sport"])], "e.json", complete=False)
    assert said(TEXT) == {"person": [("Bob", 0)]} and said("Ada ran.") == {"sports": True}


def test_several_people_settle_it_by_majority(bring, said):
    task = label_studio(TEXT, [(0, 3, "PER")], [])
    other = label_studio(TEXT, [(0, 7, "PER")], [])["annotations"][0]
    task["annotations"] = [{**task["annotations"][0], "completed_by": n} for n in (1, 2)] + [
        {**other, "completed_by": 3}
    ]
    bring([task], "export.json")
    assert said(TEXT) == {"person": [("Bob", 0)]}


def test_a_record_that_does_not_fit_its_text_stops_no_other(bring, said):
    wrong = {**LABELLED, "text": "Bo", "spans": [{**BOB, "text": "Bob"}]}
    brought = bring([wrong, LABELLED])
    assert said(TEXT) == {"person": [("Bob", 0)]} and len(brought.taken.rejects) == 1


@pytest.mark.parametrize("record", [{"review": "x", "y": 1}, [1]])
def test_what_it_is_may_have_to_be_said(record, bring):
    with pytest.raises(AnswerError, match="is not clear.*docbin, conll, .*--format"):
        bring([record])
    with pytest.raises(AnswerError, match="'csv'; expected one of recorded, docbin"):
        bring([record], form="csv")
