"""`mine --guarantee`: the language model answers what the pipeline is not sure of, and its answers stand in the rows."""

from __future__ import annotations

import json
import sys
from functools import partial
from types import SimpleNamespace

import pytest
import spacy
import srsly
from batch_server import BatchServer
from server import make_reply
from spacy.language import Language
from typer.testing import CliRunner

from spacy_falconer.cli.app import app
from spacy_falconer.llm.batch import ask_in_batch
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import parse_plan
from spacy_falconer.types import Answer, CharSpan, Quote
from spacy_falconer.workflow.endpoint import Endpoint
from spacy_falconer.workflow.guarantee.reading import make_reading, read_sayings
from spacy_falconer.workflow.mining.parts import read_first_rows

N_TEXTS = 240


def write_texts(i):
    """The tiny pipeline was taught that "love" is good; the scripted model says so of any text with the word."""
    return [f"i paid {i % 10} dollars and love it {i}", f"the bad price broke {i}", f"nice {i} love"][i % 3]


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.jsonl"
    srsly.write_jsonl(path, [{"id": f"r{i}", "text": write_texts(i)} for i in range(N_TEXTS)])
    return path


def run(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def mine(saved, corpus, words, *more, name="rows.jsonl"):
    output, store = corpus.with_name(name), corpus.with_name("answers.db")
    result = run("mine", saved, corpus, "--output", output, "--guarantee", words, "--store", store, *more)
    return result, output, store


def read_rows(path):
    return {row["id"]: row for row in map(json.loads, path.read_text().splitlines())}


def test_rows_of_texts_that_were_read_are_the_language_models(saved, corpus, llm_server):
    result, output, store = mine(saved, corpus, "recall=0.9, precision=0.9, on=positive")
    assert result.exit_code == 0, result.output
    rows = read_rows(output)
    with AnswerStore(store) as opened:
        answers = {answer.text: answer for answer in opened.export()}
    assert 0 < len(answers) == len(llm_server.annotated) <= N_TEXTS
    for i in range(N_TEXTS):
        if (answer := answers.get(write_texts(i))) is not None:
            assert (f"r{i}" in rows) == ("love" in answer.text and "dollars" in answer.text)
    kept = [rows[f"r{i}"] for i in range(N_TEXTS) if f"r{i}" in rows and write_texts(i) in answers]
    assert kept and all(row["labels"]["positive"] == 1.0 for row in kept)
    assert all(one["score"] == 1.0 and "dollars" in one["text"] for row in kept for one in row["spans"]["price"])


def test_what_an_earlier_run_has_read_is_neither_asked_about_nor_promised(saved, corpus, llm_server):
    half = corpus.with_name("half.jsonl")
    half.write_text("".join(corpus.read_text().splitlines(keepends=True)[: N_TEXTS // 2]))
    assert run("mine", saved, half, "--output", corpus.with_name("half.rows.jsonl")).exit_code == 0
    since = corpus.with_name("half.rows.manifest.json")
    result, output, store = mine(saved, corpus, "recall=0.9, on=positive", "--since", since)
    assert result.exit_code == 0, result.output
    promised = json.loads(output.with_suffix(".manifest.json").read_text())["options"]["guarantee"]
    assert promised["n_texts"] == N_TEXTS // 2
    with AnswerStore(store) as opened:
        answered = {answer.text for answer in opened.export()}
    assert answered and answered <= {write_texts(i) for i in range(N_TEXTS // 2, N_TEXTS)}


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet", "rows"])
def test_each_row_says_who_answered(saved, corpus, llm_server, name):
    if name != "rows.jsonl":
        pytest.importorskip("pyarrow")
    result, output, store = mine(saved, corpus, "accuracy=0.8, on=positive", "--part-size", 50, name=name)
    assert result.exit_code == 0, result.output
    with AnswerStore(store) as opened:
        answered = {answer.text for answer in opened.export()}
    rows = {row["id"]: row["by"] for row in read_first_rows(output, N_TEXTS)}
    assert set(rows.values()) == {"llm", "metamodel"}
    assert all((by == "llm") == (write_texts(int(name[1:])) in answered) for name, by in rows.items())
    own = corpus.with_name(f"own-{name}")
    run("mine", saved, corpus, "--output", own, "--quiet")
    assert not any("by" in row for row in read_first_rows(own, N_TEXTS))


def answer_by_rule(text, steps):
    """Knows nothing of every fifth text, and not all of others."""
    if text.endswith("0"):
        return None
    gift = None if text.endswith("5") else False
    return {step.id: {"positive": "love" in text, "gift": gift}.get(step.id, ["love"]) for step in steps}


def test_an_annotator_of_ones_own_answers_in_the_language_models_place(saved, corpus, llm_server, monkeypatch):
    monkeypatch.setitem(sys.modules, "rules", SimpleNamespace(answer=answer_by_rule))
    result, output, store = mine(saved, corpus, "accuracy=0.7, on=positive", "--annotator", "rules:answer")
    said = " ".join(result.output.split())
    assert result.exit_code == 0, said
    assert not llm_server.requests and "No language model is asked" in said
    assert "against the answers of the annotator 'answer_by_rule')" in said and "without an answer" in said
    rows = read_rows(output)
    assert {row["by"] for row in rows.values()} == {"llm", "metamodel"}
    for name, row in rows.items():
        text = write_texts(int(name[1:]))
        if row["by"] == "llm":
            assert text[-1] not in "05" and [one["text"] for one in row["spans"]["price"]] == ["love"]
    manifest = srsly.read_json(output.with_suffix(".manifest.json"))
    assert manifest["options"]["guarantee"]["annotator"] == "answer_by_rule"


def test_an_annotator_and_a_model_do_not_go_together(saved, corpus, monkeypatch):
    monkeypatch.setitem(sys.modules, "rules", SimpleNamespace(answer=answer_by_rule))
    result, _, _ = mine(saved, corpus, "recall=0.9", "--annotator", "rules:answer", "--model", "gpt-5")
    assert result.exit_code == 1 and "Leave one of them out" in " ".join(result.output.split())


def test_how_the_language_model_is_asked_is_as_annotate_has_it(saved, corpus, llm_server, monkeypatch):
    asked, open_chat = [], Endpoint.open_chat

    def watch(endpoint):
        asked.append(endpoint)
        return open_chat(endpoint)

    monkeypatch.setattr(Endpoint, "open_chat", watch)
    more = ["--timeout", 90, "--requests-per-minute", 60_000, "--tokens-per-minute", 90_000_000, "--max-in-flight", 3]
    result, _, _ = mine(saved, corpus, "accuracy=0.8, on=positive", *more)
    assert result.exit_code == 0, result.output
    for one in asked:
        limits = (one.timeout_s, one.requests_per_minute, one.tokens_per_minute, one.max_in_flight)
        assert limits == (90, 60_000, 90_000_000, 3)


def test_it_asks_in_batches(saved, corpus, monkeypatch):
    monkeypatch.setattr("spacy_falconer.workflow.ask.ask_in_batch", partial(ask_in_batch, poll_s=0.01))
    with BatchServer(make_reply) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        result, output, _ = mine(saved, corpus, "accuracy=0.8, on=positive", "--batch")
    assert result.exit_code == 0, result.output
    assert server.sent and not server.chats and {row["by"] for row in read_rows(output).values()} >= {"llm"}


def test_texts_are_read_once_and_rows_of_the_others_are_the_pipelines_own(saved, corpus, llm_server, monkeypatch):
    read, pipe = [], Language.pipe

    def watch(nlp, texts, **options):
        texts = list(texts)
        read.extend(texts)
        return pipe(nlp, texts, **options)

    monkeypatch.setattr(Language, "pipe", watch)
    result, output, store = mine(saved, corpus, "accuracy=0.8, on=positive")
    assert result.exit_code == 0 and sorted(read) == sorted(map(write_texts, range(N_TEXTS)))
    totals = srsly.read_json(output.with_suffix(".manifest.json"))["totals"]
    assert (totals["n_texts"], totals["n_duplicates"]) == (N_TEXTS, 0)
    with AnswerStore(store) as opened:
        answered = {answer.text for answer in opened.export()}
    run("mine", saved, corpus, "--output", corpus.with_name("own.jsonl"), "--quiet")
    rows, own = read_rows(output), read_rows(corpus.with_name("own.jsonl"))
    others = [f"r{i}" for i in range(N_TEXTS) if write_texts(i) not in answered]
    assert any(name in rows for name in others)
    for name in others:
        assert (name in rows) == (name in own)
        if name in rows:
            assert rows[name]["labels"] == pytest.approx(own[name]["labels"], abs=1e-4)
            assert [one["text"] for one in rows[name]["spans"]["price"]] == [
                one["text"] for one in own[name]["spans"]["price"]
            ]


@pytest.mark.parametrize("threshold", [0.0, 1.1])
def test_what_is_promised_of_are_the_passages_that_stand_in_rows(saved, threshold):
    nlp = spacy.load(saved)
    nlp.get_pipe("falconer_span").cfg["thresholds"]["price"] = threshold
    plan = nlp.get_pipe("falconer_plan").plan.model_copy(update={"keep": "true"})
    nlp.get_pipe("falconer_plan").set_plan(plan)
    texts = [write_texts(i) for i in range(9)]
    steps = [plan.steps_by_id["price"]]
    sayings = read_sayings(nlp, texts, steps, batch_size=4, tick=lambda n: None)
    for said, reading in zip(sayings.said[0], sayings.readings, strict=True):
        (row,) = reading.rows
        if "price" in row["spans"]:  # Else `when` has switched it off.
            assert said == {CharSpan(one["start"], one["end"]) for one in row["spans"]["price"]}
    assert any(sayings.said[0]) == (threshold == 0.0)
    assert sayings.questions[0].risk_missed.max() > (0.5 if threshold else 0.0)


def test_a_text_that_the_pipeline_fails_on_says_nothing(saved):
    nlp = spacy.load(saved)
    nlp.add_pipe("test_fails_on", config={"word": "dollars"}, last=True)
    plan = nlp.get_pipe("falconer_plan").plan
    sayings = read_sayings(
        nlp, [write_texts(i) for i in range(3)], plan.text_steps(), batch_size=4, tick=lambda n: None
    )
    assert "fails on it" in sayings.readings[0].failure and sayings.readings[2].failure is None
    assert not any(said[0] for said in sayings.said)
    assert all(question.risk_missed[0] == 1.0 for question in sayings.questions)


def test_nearly_certain_is_not_certain(saved, corpus, llm_server):
    result, _, _ = mine(saved, corpus, "accuracy=0.5, on=positive, delta=0.001")
    assert "Certain, with a chance of 99.9% that all of it holds" in " ".join(result.output.split())


def test_it_says_what_it_will_cost_before_and_what_is_certain_after(saved, corpus, llm_server):
    result, output, _ = mine(saved, corpus, "accuracy=0.8, on=positive")
    said = " ".join(result.output.split())
    assert f"of {N_TEXTS} texts will be asked about" in said and "requests to" in said
    assert said.index("will be asked about") < said.index("Certain, with a chance of 95%")
    manifest = srsly.read_json(output.with_suffix(".manifest.json"))
    (certain,) = [value for value in _walk(manifest) if isinstance(value, dict) and "at_least" in value]
    assert certain["at_least"]["positive"]["accuracy"] >= 0.8
    assert certain["n_asked"] == len(llm_server.annotated)


def _walk(value):
    yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _walk(one)


def test_a_second_run_pays_for_nothing(saved, corpus, llm_server):
    _, first, _ = mine(saved, corpus, "accuracy=0.8, on=positive")
    n_asked = len(llm_server.annotated)
    result, again, _ = mine(saved, corpus, "accuracy=0.8, on=positive", "--fresh")
    assert result.exit_code == 0 and len(llm_server.annotated) == n_asked
    assert read_rows(first) == read_rows(again)


def test_answers_that_are_there_are_used_and_not_asked_for(saved, corpus, llm_server, review_plan):
    store = corpus.with_name("answers.db")
    labels = {step.instruction: True for step in review_plan.text_steps("get_label")}
    spans = {step.instruction: () for step in review_plan.text_steps("get_span")}
    with AnswerStore(store) as opened:
        opened.put_many(Answer(write_texts(i), "a person", labels, spans) for i in range(0, N_TEXTS, 2))
    mine(saved, corpus, "recall=0.9, precision=0.9, on=positive")
    asked = str([body["messages"][-1] for body in llm_server.annotated])
    assert not any(f"{write_texts(i)}\\n" in asked for i in range(0, N_TEXTS, 2))
    assert len(llm_server.annotated) <= N_TEXTS // 2


@pytest.mark.parametrize("n_texts", [0, 12])
def test_where_the_store_answers_everything_nobody_is_asked(saved, corpus, llm_server, review_plan, n_texts):
    srsly.write_jsonl(corpus, [{"id": f"r{i}", "text": write_texts(i)} for i in range(n_texts)])
    labels = {step.instruction: True for step in review_plan.text_steps("get_label")}
    spans = {step.instruction: (Quote("love"),) for step in review_plan.text_steps("get_span")}
    with AnswerStore(corpus.with_name("answers.db")) as opened:
        opened.put_many(Answer(write_texts(i), "a person", labels, spans) for i in range(n_texts))
    result, output, _ = mine(saved, corpus, "recall=0.9, precision=0.9, on=positive")
    assert result.exit_code == 0, result.output
    assert not llm_server.requests and f"0 asked about, {n_texts} answered before" in result.output
    assert [row["labels"]["positive"] for row in read_rows(output).values()] == [1.0] * (n_texts // 3 * 2)


def test_a_budget_that_is_too_small_is_refused_with_what_can_be_had(saved, corpus, llm_server):
    result, output, _ = mine(saved, corpus, "recall=0.99, precision=0.99, label_budget=25, on=positive")
    said = " ".join(result.output.split())
    assert result.exit_code == 1 and "BudgetError" in said and "cannot be met" in said
    assert "label_budget is 25" in said and ("can be reached" in said)
    assert len(llm_server.annotated) <= 25 and not output.exists()


def test_what_was_bought_before_a_stop_is_kept(saved, corpus, llm_server):
    words = "accuracy=0.9, on=positive"
    result, output, store = mine(saved, corpus, words, "--max-requests", 30)
    assert result.exit_code == 1 and not output.exists()
    n_before = len(llm_server.annotated)
    assert 0 < n_before <= 30
    result, output, store = mine(saved, corpus, words)
    assert result.exit_code == 0
    with AnswerStore(store) as opened:
        assert len(list(opened.export())) == len(llm_server.annotated) > n_before


def test_a_text_without_an_answer_stops_nothing(saved, corpus, llm_server):
    texts = [{"id": f"r{i}", "text": write_texts(i) + (" riddle" if i % 20 == 0 else "")} for i in range(N_TEXTS)]
    srsly.write_jsonl(corpus, texts)
    result, output, _ = mine(saved, corpus, "accuracy=0.8, on=positive")
    assert result.exit_code == 0 and output.exists()
    assert "without an answer" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [("recal=0.9", "expected precision, recall"), ("recall=0.9, on=prize", "positive, gift, price")],
)
def test_words_that_say_nothing_cost_nothing(saved, corpus, llm_server, words, message):
    result, _, _ = mine(saved, corpus, words)
    assert result.exit_code == 1 and message in " ".join(result.output.split())
    assert not llm_server.requests


def test_rows_that_would_be_written_over_the_corpus_cost_nothing(saved, corpus, llm_server):
    before = corpus.read_bytes()
    result, _, _ = mine(saved, corpus, "recall=0.9", name=corpus.name)
    assert result.exit_code == 1 and "Choose another output" in " ".join(result.output.split())
    assert corpus.read_bytes() == before and not llm_server.requests


def test_a_guarantee_needs_a_store(saved, corpus):
    result = run("mine", saved, corpus, "--output", corpus.with_name("rows.jsonl"), "--guarantee", "recall=0.9")
    assert result.exit_code == 1 and "--store FILE" in result.output


def test_answers_about_passages_stand_in_the_row():
    steps = [
        {"id": "thing", "op": "get_span", "instruction": "Things."},
        {"id": "praised", "op": "get_label", "instruction": "The text praises {span}.", "for_each": "thing"},
    ]
    plan = parse_plan({"instruction": "x", "steps": steps, "output": ["thing"]})
    about = {CharSpan(9, 14): Answer("", "m", {"The text praises mouse.": True})}
    answer = Answer("A pad, a mouse", "m", {}, {"Things.": (Quote("pad"), Quote("mouse"))}, about=about)
    (row,) = make_reading(answer, plan).rows
    assert [one["text"] for one in row["spans"]["thing"]] == ["pad", "mouse"]
    assert [(one["for"]["text"], one["value"]) for one in row["labels"]["praised"]] == [("pad", False), ("mouse", True)]


def test_the_same_words_may_be_answered_differently_at_each_place():
    steps = [
        {"id": "thing", "op": "get_span", "instruction": "Things."},
        {"id": "praised", "op": "get_label", "instruction": "The text praises {span}.", "for_each": "thing"},
        {"id": "price", "op": "get_span", "instruction": "The price of {span}.", "for_each": "thing"},
    ]
    plan = parse_plan({"instruction": "x", "steps": steps, "output": ["thing", "price"]})
    text, things = "pad for $2; pad for $3", (Quote("pad", 0), Quote("pad", 12))
    about = {
        CharSpan(0, 3): Answer(text, "m", {"The text praises pad.": True}, {"The price of pad.": (Quote("$2"),)}),
        CharSpan(12, 15): Answer(text, "m", {"The text praises pad.": False}, {"The price of pad.": (Quote("$3"),)}),
    }
    (row,) = make_reading(Answer(text, "m", {}, {"Things.": things}, about=about), plan).rows
    assert [one["value"] for one in row["labels"]["praised"]] == [True, False]
    assert [(one["text"], one["for"]["start"]) for one in row["spans"]["price"]] == [("$2", 0), ("$3", 12)]


def test_what_a_guarantee_does_not_use_is_said(saved, corpus, llm_server):
    result, _, _ = mine(saved, corpus, "accuracy=0.5, on=positive", "--n-process", 2)
    assert result.exit_code == 0 and "one process reads the corpus: --n-process is ignored" in " ".join(
        result.output.split()
    )
