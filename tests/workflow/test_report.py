"""The report's page: what it says of a run, that nothing in a corpus runs in it, and that a browser can read it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import spacy
import srsly
from reports import (
    HOSTILE,
    TEXT,
    TOTALS,
    Page,
    make_full_scores,
    make_hostile,
    make_scores,
    make_span,
    write_mined,
    write_run,
)
from typer.testing import CliRunner

from spacy_falconer.cli.app import app
from spacy_falconer.corpus.docbin import make_docs, write_docbin
from spacy_falconer.errors import CorpusError
from spacy_falconer.llm.store import AnswerStore, Usage
from spacy_falconer.llm.tally import read_tally
from spacy_falconer.plan import parse_plan, write_plan
from spacy_falconer.types import Answer, CharSpan
from spacy_falconer.workflow.page import find_row_texts, make_page, read_run
from spacy_falconer.workflow.page.agreement import find_shares, make_blocks, wilson
from spacy_falconer.workflow.page.cost import find_cost
from spacy_falconer.workflow.page.coverage import find_coverage
from spacy_falconer.workflow.page.curves import draw_learning
from spacy_falconer.workflow.page.diagram import draw_plan
from spacy_falconer.workflow.page.reading import list_readings
from spacy_falconer.workflow.page.run import MAX_ROWS
from spacy_falconer.workflow.times import Took, note_time


@pytest.fixture
def folder(tmp_path, review_plan, review_answers):
    write_run(tmp_path, review_plan, review_answers)
    return tmp_path


def read_page(folder, texts=()):
    return Page(make_page(read_run(folder), dict(texts)))


def test_the_page_says_what_the_run_came_to(folder):
    text = read_page(folder, {"r0": TEXT}).text
    assert "Prices of loved things" in text and "only when positive" in text and "keep: positive and price" in text
    assert "3 rows mined from 100 texts" in text and "40 texts answered by a language model, 50% of all" in text
    for fact in (
        "rejected: rows of the corpus that are not texts, or failed7",
        "damaged files",
        "de 4, ru 1",
        "no text",
    ):
        assert fact in text
    assert "What is not here" not in text


def test_the_command_names_the_page_on_its_last_line(folder):
    srsly.write_jsonl(folder / "corpus.jsonl", [{"key": "r1", "body": TEXT}, {"key": "r2"}, {"key": "r9", "body": "x"}])
    result = CliRunner().invoke(app, ["report", str(folder), "--corpus", str(folder / "corpus.jsonl")])
    assert result.exit_code == 0 and "3 mined rows, the first:" in result.output and "Agreement" in result.output
    assert result.output.rstrip().endswith(str(folder / "report.html"))
    rows = Page((folder / "report.html").read_text(encoding="utf8")).rows["rows"]
    assert ["pieces" in row for row in rows] == [False, True, False]


def test_a_page_loads_nothing_and_runs_one_script(folder):
    html = make_page(read_run(folder), {})
    page = Page(html)
    policy = dict(page.elements[[tag for tag, _ in page.elements].index("meta") + 1][1])["content"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe" not in policy
    assert not re.search(r"https?:|url\((?!#)|@import| style=| on\w+=", html)
    assert not any(name in ("src", "href", "action", "style") for _, attrs in page.elements for name, _ in attrs)
    assert "innerHTML" not in html and "eval" not in page.scripts[1] and len(page.scripts) == 2


def test_the_same_run_makes_the_same_page(folder):
    assert make_page(read_run(folder), {"r0": TEXT}) == make_page(read_run(folder), {"r0": TEXT})


@pytest.mark.parametrize("evil", HOSTILE)
def test_nothing_in_a_corpus_becomes_part_of_the_page(tmp_path, evil):
    tame, hostile = make_hostile(tmp_path, "tame"), make_hostile(tmp_path, evil)
    assert Page(hostile).shape.keys() <= Page(tame).shape.keys()
    shapes = Page(tame).shape, Page(hostile).shape
    lines = ("text", ("class", "x", "y")), ("text", ("x", "y"))  # Long words take more lines of a box.
    assert all(shapes[0][one] == shapes[1][one] for one in shapes[0] if one not in lines)
    assert Page(hostile).scripts[1] == Page(tame).scripts[1]
    assert not re.search("[\x00\x1b\ud800-\udfff\ufffe]", hostile) and hostile.encode("utf8")
    assert "<" not in Page(hostile).scripts[0] and "\u2028" not in Page(hostile).scripts[0]


@pytest.mark.parametrize("evil", HOSTILE)
def test_hostile_words_are_shown_as_they_are(tmp_path, evil):
    page = Page(make_hostile(tmp_path, evil))
    row = page.rows["rows"][0]
    assert (row["id"], row["spans"][0][1], row["fields"], row["pieces"][0][0]) == (evil, evil, [[evil, evil]], evil)
    shown = re.sub("[\x00-\x08\x0e-\x1f\ud800-\udfff\ufffe]", "\ufffd", evil)
    assert page.text.count(re.sub(r"\s+", " ", shown)) > 5


def test_offsets_are_characters_also_after_an_emoji(folder):
    row = read_page(folder, {"r0": TEXT}).rows["rows"][0]
    assert row["pieces"] == [["i paid 😀 ", []], ["3 dollars", [[2, 0.9]]], [" and love it", []]]


def test_spans_that_overlap_are_cut_into_pieces(folder):
    spans = [make_span("a b c", "a b", 0.4), make_span("a b c", "b c", 0.6)]
    write_mined(folder, [{"id": "r0", "labels": {}, "spans": {"price": spans}}], TOTALS)
    pieces = read_page(folder, {"r0": "a b c"}).rows["rows"][0]["pieces"]
    assert pieces == [["a ", [[2, 0.4]]], ["b", [[2, 0.4], [2, 0.6]]], [" c", [[2, 0.6]]]]


def test_a_sentences_row_shows_its_sentence(folder):
    text = "Not this. It cost 3 dollars."
    row = {"id": "r0", "sentence": {"start": 10, "end": 28}, "labels": {}}
    write_mined(folder, [{**row, "spans": {"price": [make_span(text, "3 dollars")]}}], TOTALS)
    pieces = read_page(folder, {"r0": text}).rows["rows"][0]["pieces"]
    assert [piece[0] for piece in pieces] == ["It cost ", "3 dollars", "."]


def test_a_text_that_the_row_is_not_of_is_left_out(folder):
    page = read_page(folder, {"r0": "another text altogether, of other words"})
    assert "pieces" not in page.rows["rows"][0] and "1 rows do not fit the corpus" in page.text


def test_a_page_holds_the_first_rows_and_says_how_many_it_leaves_out(folder):
    rows = [{"id": str(n), "labels": {}, "spans": {}} for n in range(MAX_ROWS + 1234)]
    write_mined(folder, rows, {**TOTALS, "n_rows": len(rows)})
    page = read_page(folder)
    assert len(page.rows["rows"]) == MAX_ROWS and "1,234 more stand in rows.jsonl" in page.text


def test_rows_are_counted_where_there_is_no_manifest(folder):
    (folder / "rows.manifest.json").unlink()
    run = read_run(folder)
    assert run.n_rows == 3 and "how many texts were read is not known" in Page(make_page(run, {})).text


def test_rows_of_parquet_are_shown_too(folder, review_plan):
    pytest.importorskip("pyarrow")
    from spacy_falconer.workflow.mining.tabular import write_parquet

    write_parquet(list(srsly.read_jsonl(folder / "rows.jsonl")), folder / "rows.parquet", review_plan)
    (folder / "rows.jsonl").unlink()
    assert [row["id"] for row in read_page(folder).rows["rows"]] == ["r0", "r1", "r2"]
    assert "3 mined rows" in CliRunner().invoke(app, ["report", str(folder)]).output


@pytest.mark.parametrize(
    "name", ["plan.json", "scores.json", "train.spacy", "test.spacy", "answers.db", "rows.jsonl", "rows.manifest.json"]
)
@pytest.mark.parametrize("content", [None, b"\xff{not this"])
def test_what_is_missing_or_damaged_is_said_and_stops_nothing(folder, name, content):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    page = read_page(folder)
    assert "What is not here" in page.text and name in page.text.split("What is not here")[1]
    result = CliRunner().invoke(app, ["report", str(folder), "--corpus", str(folder / "rows.rejects.jsonl")])
    assert result.exit_code == 0 and result.output.rstrip().endswith("report.html"), result.output


@pytest.mark.parametrize("row", [[], {"id": 3}, {"id": "x", "labels": {}, "spans": {"price": [{"text": None}]}}])
def test_rows_that_are_none_are_said_and_stop_nothing(folder, row):
    write_mined(folder, [row], TOTALS)
    assert "rows.jsonl cannot be read: no rows can be shown" in read_page(folder).text


def test_a_plan_alone_makes_a_page(tmp_path, review_plan):
    write_plan(review_plan, tmp_path / "plan.json")
    text = read_page(tmp_path).text
    assert "Nothing was evaluated yet" in text and "no rows were mined yet" in text and "only when positive" in text


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="nothing of a run"):
        read_run(tmp_path)


def test_a_report_leaves_no_store_where_there_was_none(folder):
    (folder / "answers.db").unlink()
    read_page(folder)
    assert not (folder / "answers.db").exists()


def test_intervals_are_of_the_counts(folder):
    block = make_blocks(read_run(folder))[0]
    line = {line.key: line for line in block.lines}["positive"]
    assert line.n_answers == 10 and (line.recall.low, line.recall.high) == wilson(8, 10)
    assert line.precision.low is None  # 8 hits are 0.9 of nothing.


def test_the_interval_of_f1_is_that_of_the_hits_in_all(folder):
    precision, recall, f1 = find_shares(0.75, 0.6, 2 / 3, 10)
    low, high = wilson(6, 12)
    assert (precision.low, recall.low) == (wilson(6, 8)[0], wilson(6, 10)[0])
    assert (f1.low, f1.high) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))
    assert f1.low < f1.value < f1.high


@pytest.mark.parametrize(
    ("n_hits", "n", "expected"), [(0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (5, 10, (0.2366, 0.7634))]
)
def test_wilsons_interval(n_hits, n, expected):
    assert wilson(n_hits, n) == pytest.approx(expected, abs=1e-4)


def test_the_agreement_stands_beside_what_it_is_compared_with(folder):
    srsly.write_json(folder / "scores.json", make_full_scores())
    page = read_page(folder)
    assert "F1: keywords" in page.text and "F1: zero-shot" in page.text and "intervals of resampled texts" in page.text
    assert "0.800.61–0.93" in page.text and "rows, values passages in rows" in page.text and "0.41" in page.text
    assert "A note about positive" in page.text and "positive and short" in page.text and "0.77" in page.text


def test_curves_say_in_words_what_they_draw(folder):
    srsly.write_json(folder / "scores.json", make_full_scores())
    page = read_page(folder)
    words = [dict(attrs)["aria-label"] for tag, attrs in page.elements if tag == "svg" and ("class", "curve") in attrs]
    assert words[0].startswith(
        "Learning curve. labels: 0.42 from 0 answers; 0.50 from 10 answers; 0.70 from 20 answers."
    )
    assert words[1] == "Reliability. labels: score 0.20, right 0.10 of 10; score 0.90, right 0.80 of 10."
    assert "from 10 to 20 it is +0.20 (-0.10 to +0.40)" in page.text and "0.123 (0.100 to 0.200)" in page.text


def test_the_curves_points_stand_where_they_should(folder):
    chart = draw_learning(make_full_scores())
    zero, first, last = chart.series[0].points
    assert zero.x < first.x < last.x and zero.y > first.y > last.y  # Up is less.
    assert first.x == pytest.approx((zero.x + last.x) / 2) and last.high < last.y < last.low
    assert chart.series[0].level < last.y  # The pipeline is better than its heads alone.


def test_disagreements_show_who_names_what(folder):
    (one, label) = list_readings(make_full_scores(), {"positive": 3})
    assert [(piece.text, piece.who) for piece in one.pieces] == [
        ("i paid 😀 ", None), ("3 ", "metamodel"), ("dollars", "both"), (" and love it", None),
    ]  # fmt: skip
    assert one.pieces[2].tags == ["metamodel 0.97", "LLM"] and (one.color, one.n_after) == (3, 7)
    assert [piece.text for piece in label.pieces] == [TEXT] and label.kind == "said by the metamodel alone"
    srsly.write_json(folder / "scores.json", make_full_scores())
    assert "they mean other passages" in read_page(folder).text


def write_answers(folder, answers, plan):
    docs, _ = make_docs(answers, plan, spacy.blank("en"))
    for name, some in (("train", docs[:20]), ("test", docs[20:])):
        write_docbin(some, folder / f"{name}.spacy")


def test_where_all_answers_are_peoples_no_language_model_is_named(folder, review_answers, review_plan):
    (folder / "answers.db").unlink()
    write_answers(folder, [replace(one, model="human", gold=None) for one in review_answers], review_plan)
    scores = {**make_full_scores(), "with": "people"}
    scores["disagreements"][1]["kind"] = "less"
    srsly.write_json(folder / "scores.json", scores)
    text = read_page(folder).text
    assert "With people, on 20 texts" in text and "against people's answers" in text
    assert "only the metamodelonly peopleboth" in text and "said by people alone" in text
    assert list_readings(scores, {})[0].pieces[2].tags == ["metamodel 0.97", "people"]
    assert "No answers of a language model are there to count." in text
    told = text.replace("No answers of a language model", "").replace("the language model's second reading", "")
    assert "language model" not in told and "LLM" not in told


@pytest.mark.parametrize("name", ["curve", "reliability", "slices", "disagreements"])
def test_scores_of_another_kind_are_said_and_stop_nothing(folder, name):
    srsly.write_json(folder / "scores.json", {**make_full_scores(), name: [{"labels": 3, "x": [1]}]})
    text = read_page(folder).text
    assert "How far it agrees" in text and "scores.json" in text.split("What is not here")[1]


def test_the_pace_of_both_is_shown_where_it_was_noted(folder):
    assert "How long anything took is not recorded" in read_page(folder).text
    note_time(folder, "annotate", Took(100.0, n_requests=40))
    note_time(folder, "mine", Took(2.0, n_texts=80))
    text = read_page(folder).text
    assert "40.0 texts a second by the metamodel and 0.4 by the language model" in text
    assert "time for all texts≈ 2 s≈ 3 min" in text and "not recorded" not in text


def test_agreement_with_people_stands_apart(folder):
    srsly.write_json(folder / "scores.json", {**make_scores(), "people": {**make_scores(), "n_texts": 1}})
    text = read_page(folder).text
    assert "With the language model, on 20 texts" in text and "With people, on 1 texts" in text


def test_recorded_answers_cost_what_asking_would(folder):
    cost = find_cost(read_run(folder))
    assert cost.sample.is_estimated and cost.sample.n_texts == 40 and cost.corpus.n_texts == 80
    assert cost.corpus.n_tokens == pytest.approx(2 * cost.sample.n_tokens) and cost.share == 0.5
    assert cost.sample.n_tokens > 0 and "estimated" in cost.notes[0]


def test_a_price_that_is_not_known_is_not_made_up(folder):
    text = read_page(folder).text
    assert "$" not in text and "costunknownunknown" in text and "the price of a model is unknown" in text
    assert "tokens of the language model, whose price is not known" in text


def test_dollars_are_at_the_price_of_the_model_that_was_asked(folder, review_answers, review_plan):
    answers = [replace(answer, model="gpt-4.1-mini-2025-04-14") for answer in review_answers]
    write_answers(folder, answers, review_plan)
    sample = find_cost(read_run(folder)).sample
    assert sample.cost_usd == pytest.approx((0.4 * sample.n_input_tokens + 1.6 * sample.n_output_tokens) / 1e6)
    assert "at the prices of gpt-4.1-mini-2025-04-14" in read_page(folder).text


def test_dollars_are_at_a_price_of_ones_own(folder, monkeypatch):
    monkeypatch.setenv("FALCONER_PRICES", "")  # The command sets it; so it is put back after the test.
    srsly.write_json(folder / "my-prices.json", {"models": {"a model": {"input": 1e6, "output": 1e6}}})
    result = CliRunner().invoke(app, ["report", str(folder), "--prices", str(folder / "my-prices.json")])
    assert result.exit_code == 0, result.output
    sample = find_cost(read_run(folder)).sample
    assert sample.cost_usd == pytest.approx(sample.n_tokens) and sample.n_tokens > 0
    assert "at the prices of a model, from a file of your own" in (folder / "report.html").read_text(encoding="utf8")


def ask(store, answers, n_tokens):
    for answer in answers:
        kinds = {"requests": 1, "input": n_tokens, "output": 10}
        store.put(answer, version="1", usage=[Usage("a model", kind, n, n) for kind, n in kinds.items()])


def test_whom_people_corrected_is_still_who_was_asked(folder, review_answers, review_plan):
    """An answer with a person's first step, as of all texts here, is by a person, and by a language model too."""
    (folder / "answers.db").unlink()
    with AnswerStore(folder / "answers.db") as store:
        ask(store, review_answers, 100)
        store.put_many([Answer(one.text, "human", {"The reviewer is satisfied.": True}) for one in review_answers])
        labels, spans = (["The reviewer is satisfied.", "It was a gift."], ["Amounts of money."])
        answers = [store.read(one.text, labels=labels, spans=spans) for one in review_answers]
    assert {one.model for one in answers} == {"human"}
    write_answers(folder, answers, review_plan)
    sample = find_cost(read_run(folder)).sample
    assert (sample.n_texts, sample.n_input_tokens, sample.is_estimated) == (40, 4000, False)


def test_what_another_plan_took_is_not_this_ones_cost(folder, review_answers):
    (folder / "answers.db").unlink()
    others = [Answer(f"text {n}", "a model", {"It is blue.": True}) for n in range(500)]
    with AnswerStore(folder / "answers.db") as store:
        ask(store, review_answers[:30], 100)
    alone = find_cost(read_run(folder))
    assert (alone.sample.n_texts, alone.sample.n_input_tokens) == (30, 3000) and not alone.sample.is_estimated
    with AnswerStore(folder / "answers.db") as store:
        ask(store, others, 1_000_000)
        store.put_failure("no", [("get_label", "It is blue.")], model="a model", reason="cut off")
    run = read_run(folder)
    cost = find_cost(run)
    assert cost.sample.n_texts == 30 and cost.sample.is_estimated and 0 < cost.sample.n_input_tokens < 1_000_000
    assert "30 texts by this plan" in cost.notes[0] and run.tally.failed == {}


def test_answers_that_were_paid_for_are_counted_not_estimated(folder, review_answers):
    (folder / "answers.db").unlink()
    with AnswerStore(folder / "answers.db") as store:
        for answer in review_answers:
            usage = [
                Usage("a model", "requests", 1, 2),
                Usage("a model", "input", 90, 100),
                Usage("a model", "output", 9, 10),
            ]
            store.put(answer, version="1", usage=usage)
    sample = find_cost(read_run(folder)).sample
    assert not sample.is_estimated
    assert (sample.n_requests, sample.n_input_tokens, sample.n_output_tokens) == (80, 4000, 400)


def test_a_tally_counts_texts_once_and_failures_apart(tmp_path, review_answers):
    asked = [("get_label", "x"), ("get_label", "y")]
    with AnswerStore(tmp_path / "answers.db") as store:
        store.put(review_answers[0], version="1", usage=[Usage("a model", "requests", 1, 3)])
        store.put_many(review_answers[1:3])
        store.put_failure("no", asked, model="a model", reason="cut off")
    tally = read_tally(tmp_path / "answers.db")
    assert tally.answered == {"a model": 3} and tally.asked == {"a model": 2} and tally.failed == {"cut off": 1}
    assert tally.usage == {"a model": {"requests": 3}}


def test_questions_about_passages_are_the_plans_own(tmp_path):
    each = {"id": "each", "op": "get_label", "instruction": "{span} is cheap.", "for_each": "price"}
    steps = [{"id": "price", "op": "get_span", "instruction": "Prices."}, each]
    said = Answer("", "a model", {"3 dollars is cheap.": True})
    with AnswerStore(tmp_path / "answers.db") as store:
        store.put(Answer(TEXT, "a model", spans={"Prices.": ()}, about={CharSpan(9, 18): said}), version="1")
    tallies = [
        read_tally(tmp_path / "answers.db", parse_plan({"instruction": "x", "steps": some}))
        for some in (steps, steps[:1])
    ]
    assert [(tally.asked, tally.mixed) for tally in tallies] == [({"a model": 1}, set()), ({"a model": 1}, {"a model"})]


def test_coverage_adds_up(folder):
    shares = {fact.name: fact.n for fact in find_coverage(read_run(folder)).shares}
    assert shares == {"in the result": 3, "read, not in the result": 97, "rejected": 7}


def test_a_share_that_is_small_is_not_none(folder):
    write_mined(folder, [], {**TOTALS, "n_texts": 30_020, "n_rows": 0})
    text = read_page(folder).text
    assert "0.13% of all" in text and "rejected 7 (0.023%)" in text and "There are no rows to show" in text


def test_the_diagram_has_an_arrow_for_each_condition(review_plan):
    diagram = draw_plan(review_plan)
    assert [box.key for box in diagram.boxes] == ["positive", "gift", "price", "→ the result"]
    assert [arrow.color for arrow in diagram.arrows] == [0, 0, 2]  # positive to price; both to the result.
    assert all(one.y + one.height < other.y for one, other in zip(diagram.boxes, diagram.boxes[1:], strict=False))


def test_texts_are_found_by_the_columns_that_they_were_mined_by(folder):
    srsly.write_jsonl(folder / "c.jsonl", [{"key": "r1", "body": "one"}, {"key": "r9", "body": "two"}])
    assert find_row_texts(read_run(folder), folder / "c.jsonl") == {"r1": "one"}


def test_no_text_is_shown_where_several_have_its_id(folder):
    srsly.write_jsonl(folder / "c.jsonl", [{"key": "r1", "body": one} for one in ("one", "one", "two")])
    assert find_row_texts(read_run(folder), folder / "c.jsonl") == {}
