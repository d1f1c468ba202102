"""The commands, through spaCy's command line and through our own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import spacy
import srsly
from batch_server import BatchServer
from server import KEY, make_reply
from typer.testing import CliRunner

import spacy_falconer
from spacy_falconer.cli import screen
from spacy_falconer.cli.app import app
from spacy_falconer.llm.batch import ask_in_batch
from spacy_falconer.llm.exchange import read_exchange, write_exchange
from spacy_falconer.llm.ledger import Ledger
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import write_plan
from spacy_falconer.types import Answer, Quote

ROOT = Path(spacy_falconer.__file__).parents[1]
COMMANDS = ["annotate", "answers", "calibrate", "estimate", "evaluate", "induce", "mine", "plan", "report", "train"]


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == exit_code, result.output
    return result.output


@pytest.fixture
def folder(tmp_path, review_plan, review_answers, monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "FALCONER_PRICES"):
        monkeypatch.setenv(name, "")  # --prices sets it; so it is put back after the test.
    write_plan(review_plan, tmp_path / "plan.json")
    write_exchange(review_answers, tmp_path / "answers.jsonl")
    srsly.write_jsonl(tmp_path / "corpus.jsonl", [{"text": answer.text} for answer in review_answers])
    return tmp_path


def test_spacy_knows_the_commands():
    from spacy.cli._util import app as spacy_app

    import spacy_falconer.cli.spacy_command  # noqa: F401

    output = CliRunner().invoke(spacy_app, ["falconer", "--help"]).output
    assert all(command in output for command in COMMANDS)


@pytest.mark.parametrize(
    "command", [*COMMANDS, *(f"answers {name}" for name in ("import", "export", "delete", "batches"))]
)
def test_every_command_has_help_and_an_example(command):
    output = run(*command.split(), "--help")
    assert command == "answers" or f"falconer {command}" in " ".join(output.replace("│", " ").split())


def test_answers_go_in_and_out(folder, review_answers):
    output = run("answers", "import", folder / "answers.jsonl", "--store", folder / "answers.db")
    assert "121 new answers" in output and "a model" in output
    assert "0 new answers" in run("answers", "import", folder / "answers.jsonl", "--store", folder / "answers.db")
    run("answers", "export", folder / "out.jsonl", "--store", folder / "answers.db")
    assert list(read_exchange(folder / "out.jsonl")) == review_answers


def test_recorded_answers_take_no_options_of_labelled_data(folder):
    command = ["answers", "import", folder / "answers.jsonl", "--store", folder / "answers.db"]
    for options in (["--test-output", "x.spacy"], ["--partial"], ["--complete"], ["--map", "A=price"]):
        assert f"expected no {options[0]}. Leave it out" in plain(run(*command, *options, exit_code=1))


def test_answers_are_never_written_over_the_store_or_the_corpus(folder, review_answers, llm_server):
    store, corpus = folder / "answers.db", folder / "corpus.jsonl"
    run("answers", "import", folder / "answers.jsonl", "--store", store)
    assert "is the store itself" in plain(run("answers", "export", store, "--store", store, exit_code=1))
    asked = ["annotate", folder / "plan.json", corpus, "--store", store]
    before = corpus.read_bytes()
    for output in (store, corpus):
        assert "ends in .spacy" in plain(run(*asked, "--output", output, exit_code=1))
        both = ["--output", folder / "a.spacy", "--test-output"]
        assert "ends in .spacy" in plain(run(*asked, *both, output, exit_code=1))
    assert "Name two files" in plain(run(*asked, *both, folder / "a.spacy", exit_code=1))
    assert corpus.read_bytes() == before and llm_server.requests == []
    with AnswerStore(store) as opened:
        assert list(opened.export()) == review_answers


def test_annotate_says_whose_answers_and_what_was_placed(folder):
    run("answers", "import", folder / "answers.jsonl", "--store", folder / "answers.db")
    output = run(
        "annotate", folder / "plan.json", folder / "corpus.jsonl", "--store", folder / "answers.db",
        "--recorded-only", "--sample", 20, "--output", folder / "train.spacy", "--test-output", folder / "test.spacy",
    )  # fmt: skip
    assert "recorded, by a model" in output and "16 answered texts to learn from, 4 to test on" in output
    assert (folder / "train.spacy").exists() and (folder / "test.spacy").exists()


@pytest.mark.parametrize(
    ("recorded_only", "message"),
    [(["--recorded-only"], "answers the plan's instructions for none"), ([], "OPENAI_BASE_URL and OPENAI_API_KEY")],
)
def test_an_empty_store_says_what_to_do(folder, recorded_only, message):
    output = run(
        "annotate", folder / "plan.json", folder / "corpus.jsonl", "--store", folder / "answers.db",
        "--output", folder / "train.spacy", *recorded_only, exit_code=1,
    )  # fmt: skip
    assert message in " ".join(output.split()) and "Traceback" not in output


def test_a_sentence_without_a_plan_needs_a_language_model(folder):
    output = run("plan", 'prices over $25, "new"', "--output", folder / "p.json", exit_code=1)
    assert 'prices over $25, "new"' in " ".join(output.split()) and "OPENAI_BASE_URL" in output


def test_a_malformed_plan_is_one_message(folder):
    srsly.write_json(folder / "bad.json", {"instruction": "x", "steps": [], "keep": "__import__('os')"})
    output = run("plan", "x", "--plan", folder / "bad.json", "--output", folder / "p.json", exit_code=1)
    assert "PlanError" in output and "Traceback" not in output


def plain(output):
    """The words of a screen, without the breaks of its lines."""
    return " ".join(output.split())


@pytest.fixture
def annotate(folder, llm_server):
    """Annotate the corpus by asking; what is on the screen."""

    def run_it(*arguments, exit_code=0):
        return plain(
            run(
                "annotate", folder / "plan.json", folder / "corpus.jsonl", "--store", folder / "answers.db", "--output",
                folder / "train.spacy", "--test-output", folder / "test.spacy", *arguments, exit_code=exit_code,
            )
        )  # fmt: skip

    return run_it


def test_plan_asks_and_says_that_it_may_be_edited(folder, llm_server):
    arguments = ["plan", 'prices over $25, "new"', "--corpus", folder / "corpus.jsonl", "--output", folder / "p.json"]
    output = plain(run(*arguments, "--planner-model", "gpt-5"))
    assert "This plan is by gpt-5." in output and "price = get_span: Amounts of money." in output
    assert "You may edit the file" in output and "cost" in output
    assert "answers this sentence already" in plain(run(*arguments)) and len(llm_server.requests) == 1


def test_plan_says_that_a_language_model_is_asked_where_one_is(folder, llm_server, monkeypatch):
    arguments = ["plan", "x", "--output", folder / "p.json"]
    assert "Planning: gpt-4.1-mini is asked." in run(*arguments) and "Planning" not in run(*arguments)
    assert run("plan", "y", "--output", folder / "q.json", "--quiet") == ""
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert "Planning" not in run("plan", "z", "--output", folder / "r.json", exit_code=1)


def test_that_a_plan_is_waited_for_is_no_part_of_the_output(capsys):
    for step in ("plan", ["positive", "price"]):
        screen.tell_planning(step, "gpt-5")
    assert capsys.readouterr() == ("", "Planning: gpt-5 is asked. This may take a minute.\n")


def test_plan_says_what_cannot_be_planned(folder, llm_server):
    output = run("plan", "How many?", "--output", folder / "p.json", exit_code=1)
    assert "A count over the reviews is needed" in plain(output) and not (folder / "p.json").exists()


def test_annotate_asks_and_shows_the_bill(annotate, llm_server, folder):
    output = annotate("--sample", 20)
    assert "positive 20" in output and "price 20" in output and "in total 20" in output and "$0.0" in output
    assert "16 answered texts to learn from, 4 to test on" in output and len(llm_server.requests) == 20
    assert "in total" not in annotate("--sample", 20) and len(llm_server.requests) == 20


def test_a_limit_writes_what_there_is_and_the_same_command_goes_on(annotate, llm_server, folder):
    output = annotate("--max-requests", 10, exit_code=1)
    assert "10 of 40 texts are answered" in output and "8 answered texts to learn from, 2 to test on" in output
    assert "BudgetError" in output and "Run again to go on, or with a higher limit" in output
    assert (folder / "train.spacy").exists() and len(llm_server.requests) == 10
    assert "32 answered texts to learn from" in annotate() and len(llm_server.requests) == 40


def test_annotate_says_of_how_many_texts_each_instruction_is_true(folder, review_plan):
    """Of 40 answers 20 are positive and name a price, none is about a gift, and all are about what was bought."""
    bought = {"id": "bought", "op": "get_label", "instruction": "It was bought."}
    rows = [
        {**row, "labels": {**row["labels"], "It was bought.": True}}
        for row in srsly.read_jsonl(folder / "answers.jsonl")
    ]
    srsly.write_jsonl(folder / "answers.jsonl", rows)
    fields = review_plan.model_dump(mode="json", exclude_none=True)
    srsly.write_json(folder / "plan.json", {**fields, "steps": [*fields["steps"], bought]})
    run("answers", "import", folder / "answers.jsonl", "--store", folder / "answers.db")
    output = run(
        "annotate", folder / "plan.json", folder / "corpus.jsonl", "--store", folder / "answers.db",
        "--recorded-only", "--output", folder / "train.spacy",
    )  # fmt: skip
    rows = [line.split() for line in output.splitlines()]
    assert ["positive", "40", "20"] in rows and ["gift", "40", "0"] in rows
    assert ["price", "40", "20", "20", "20", "0", "0"] in rows
    assert ["bought", "40", "40"] in rows
    assert "True of no text: gift. What is never true cannot be learned." in plain(output)
    assert "True of every text asked: bought. What is never false cannot be learned." in plain(output)


def test_a_price_that_is_unknown_is_no_limit(annotate, llm_server):
    assert "price of the model 'my-own' is unknown" in annotate("--model", "my-own", "--max-cost", 1, exit_code=1)
    assert llm_server.requests == []


def test_empty_limits_are_none(annotate, llm_server):
    annotate("--max-cost", "", "--max-requests", "", "--model", "")
    assert len(llm_server.requests) == 40


def test_texts_that_failed_are_counted_shown_and_asked_again_on_demand(annotate, llm_server, folder):
    rows = [*srsly.read_jsonl(folder / "corpus.jsonl"), {"text": "a riddle"}]
    srsly.write_jsonl(folder / "corpus.jsonl", rows)
    output = annotate()
    assert "Texts without an answer: 1" in output and "no JSON object" in output and "'a riddle'" in output
    assert "answers delete --failures" in output
    n_sent = len(llm_server.requests)
    annotate()
    assert len(llm_server.requests) == n_sent
    run("answers", "delete", "--failures", "--store", folder / "answers.db")
    annotate()
    assert len(llm_server.requests) > n_sent


def test_rows_that_cannot_be_read_stop_nothing_and_are_told(annotate, folder, llm_server, tiny_config):
    with (folder / "corpus.jsonl").open("a") as rows:
        rows.write('{"text": 3}\n{"text": "i paid 9 dol')
    for output in (
        annotate(),
        plain(run("plan", "x", "--corpus", folder / "corpus.jsonl", "--output", folder / "p.json")),
    ):
        assert "could not be read, and were left out: 2" in output and "line 41" in output
    assert len(llm_server.annotated) == 40
    induced = run(
        "induce", "x", folder / "corpus.jsonl", "--config", tiny_config, "--output", folder / "mined", "--sample", 40
    )  # fmt: skip
    assert "rows.rejects.jsonl" in plain(induced).replace(" ", "") and (folder / "mined" / "rows.jsonl").exists()


def test_a_users_own_function_changes_texts_before_they_are_sent(annotate, llm_server, folder, monkeypatch):
    (folder / "my_rules_of_the_tests.py").write_text("def hide(text): return text.replace('love', 'LIKE')")
    monkeypatch.chdir(folder)
    annotate("--redact", "my_rules_of_the_tests:hide")
    assert len(llm_server.requests) == 40 and "love" not in str(llm_server.requests)
    assert "names no function" in annotate("--redact", "nothing", exit_code=1)


def test_estimate_sends_nothing(folder, llm_server):
    arguments = ["estimate", folder / "plan.json", folder / "corpus.jsonl", "--sample", 20]
    output = plain(run(*arguments))
    assert "requests 20 20" in output and "cost $" in output and "tokens in" in output and "<text-" in output
    output = plain(run(*arguments, "--model", "my-own"))
    assert "price is unknown" in output and "$" not in output.split("One request")[0]
    assert llm_server.requests == []


def test_prices_of_ones_own_are_counted_by(annotate, folder, llm_server):
    prices = folder / "my-prices.json"
    srsly.write_json(prices, {"models": {"my-own": {"input": 1e6, "output": 1e6}}})
    priced = ["--model", "my-own", "--prices", prices]
    output = plain(run("estimate", folder / "plan.json", folder / "corpus.jsonl", *priced))
    assert "cost $" in output and f"Prices from {prices}" in output
    output = annotate(*priced, "--max-cost", 1e6, "--max-requests", 1, exit_code=1)
    assert "--max-requests is reached" in output and f"Prices from {prices}" in output
    total = next(line for line in output.split("Prices from")[0].split("in total ")[1:])
    n_requests, n_input, n_output, cost, *_ = total.replace(",", "").split()
    assert n_requests == "1" and float(cost[1:]) == int(n_input) + int(n_output)
    assert "--max-cost is reached" in annotate(*priced, "--max-cost", 1, "--max-in-flight", 1, exit_code=1)
    assert len(llm_server.requests) == 1  # Another one would exceed it.


def test_prices_of_ones_own_know_no_other_model(annotate, folder, monkeypatch):
    srsly.write_json(folder / "my-prices.json", {"models": {"my-own": {"input": 1, "output": 1}}})
    monkeypatch.setenv("FALCONER_PRICES", str(folder / "my-prices.json"))
    output = annotate("--sample", 5)
    assert "unknown" in output and "price is unknown, and so is the cost" in output and "$" not in output


@pytest.mark.parametrize("command", ["estimate", "annotate", "induce", "report"])
def test_a_bad_price_file_is_one_message_and_nothing_is_sent(command, folder, llm_server):
    (folder / "my-prices.json").write_text('{"my-own": 3}')
    named = {
        "estimate": [folder / "plan.json", folder / "corpus.jsonl"],
        "annotate": [
            folder / "plan.json",
            folder / "corpus.jsonl",
            "--store",
            folder / "a.db",
            "-o",
            folder / "a.spacy",
        ],
        "induce": ["Prices", folder / "corpus.jsonl", "-o", folder / "mined"],
        "report": [folder],
    }
    output = plain(run(command, *named[command], "--prices", folder / "my-prices.json", exit_code=1))
    assert "my-prices.json' cannot be used" in output and 'such as {"models": {"my-model": {"input"' in output
    assert "Traceback" not in output and llm_server.requests == []


@pytest.mark.parametrize(
    ("named", "n_left"),
    [(["--id", "line-2", "--texts", "corpus.jsonl"], 117), (["--model", "gpt-4.1-mini"], 0), (["--texts", "corpus.jsonl"], 0),
     (["--instruction", "Amounts of money."], 80)],
)  # fmt: skip
def test_answers_are_forgotten(named, n_left, annotate, folder, monkeypatch):
    annotate()
    monkeypatch.chdir(folder)
    output = run("answers", "delete", "--store", "answers.db", *named)
    assert f"{120 - n_left} answers forgotten" in output
    with AnswerStore(folder / "answers.db") as store:
        assert len(store) == n_left


def test_what_is_to_be_forgotten_is_named(annotate, folder):
    annotate("--sample", 10)
    store = ["answers", "delete", "--store", folder / "answers.db"]
    assert "Nothing is named" in run(*store, exit_code=1)
    assert "--texts" in run(*store, "--id", "3", exit_code=1)
    assert "cannot be combined" in run(*store, "--failures", "--model", "m", exit_code=1)
    unknown = run(*store, "--id", "nobody", "--texts", folder / "corpus.jsonl", exit_code=1)
    assert "no text with the id 'nobody'" in plain(unknown)


def test_sentences_that_a_pipeline_cut_its_own_way_are_forgotten(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer", config={"punct_chars": [";"]})
    nlp.to_disk(tmp_path / "pipeline")
    srsly.write_jsonl(tmp_path / "corpus.jsonl", [{"id": "1", "text": "A good pad; a bad lamp. It broke."}])
    with AnswerStore(tmp_path / "answers.db") as store:
        store.put_many(
            Answer(text, "m", {"Good.": True}) for text in ("a bad lamp. It broke.", "It broke.", "Another.")
        )
    forget = ["answers", "delete", "--store", tmp_path / "answers.db", "--texts", tmp_path / "corpus.jsonl"]
    assert "1 answers forgotten" in run(*forget)
    assert "1 answers forgotten" in run(*forget, "--pipeline", tmp_path / "pipeline")
    with AnswerStore(tmp_path / "answers.db") as store:
        assert [one.text for one in store.export()] == ["Another."]


def test_no_batches_are_under_way(annotate, folder):
    annotate("--sample", 10)
    assert "No batches are under way" in run("answers", "batches", "--store", folder / "answers.db")


def test_batches_are_asked_in_shown_and_gone_when_they_are_done(annotate, folder, monkeypatch):
    monkeypatch.setattr("spacy_falconer.workflow.ask.ask_in_batch", partial(ask_in_batch, poll_s=0.01))
    with BatchServer(make_reply) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        output = annotate("--batch", "--sample", 20)
        assert len(server.sent) == 20 and server.chats == []
        assert "0 of 20 requests done" in output and "16 answered texts to learn from, 4 to test on" in output
        assert "No batches are under way" in run("answers", "batches", "--store", folder / "answers.db")
        annotate("--sample", 20)
        assert len(server.sent) == 20 and server.chats == []


def test_what_a_batch_asks_is_not_asked_beside_it(annotate, folder, monkeypatch):
    """A run is stopped while its batch is under way."""
    monkeypatch.setattr("spacy_falconer.workflow.ask.ask_in_batch", partial(ask_in_batch, poll_s=0.01))
    with BatchServer(make_reply, n_looks=1000) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("spacy_falconer.cli.annotate.batch_lines", lambda **_: stop)
        annotate("--batch", "--sample", 20, exit_code=130)
        output = annotate("--sample", 20, exit_code=1)
        assert "ask about 20 of these texts already" in output and "--batch" in output and "--cancel" in output
        assert server.chats == [] and len(server.sent) == 20
        forget = ["answers", "delete", "--store", folder / "answers.db", "--texts", folder / "corpus.jsonl"]
        assert "Cancel them first" in plain(run(*forget, exit_code=1))
        annotate("--sample", 20, "--model", "another")
        assert len(server.chats) == 20


def stop(batches):
    raise KeyboardInterrupt


@pytest.mark.parametrize("in_terminal", [True, False])
def test_progress_tells_the_rate_the_time_left_and_the_cost(in_terminal, monkeypatch, capsys):
    monkeypatch.setattr(screen, "LINE_INTERVAL_S", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: in_terminal, raising=False)
    ledger = Ledger()
    with screen.progress("Annotating", 10, quiet=False, note=screen.show_cost(ledger)) as tick:
        ledger.start("price", "gpt-4.1-mini")
        ledger.pay("price", "gpt-4.1-mini", 1_000_000, 0, is_estimated=False)
        tick(4)
        tick(1)
    shown = capsys.readouterr().err
    assert "5" in shown and "10" in shown and "texts/s" in shown and "$0.4000" in shown
    assert ("<" if in_terminal else "s left") in shown


def test_the_key_is_on_no_screen_and_in_no_file(annotate, folder, llm_server):
    screens = [
        annotate(),
        annotate("--max-requests", 0, "--sample", 39),
        plain(run("plan", "x", "--output", folder / "p.json")),
    ]
    assert llm_server.keys == {KEY} and not any(KEY in screen for screen in screens)
    assert not any(KEY.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_induce_goes_the_whole_way_and_not_twice(folder, llm_server, tiny_config):
    arguments = ["induce", 'prices over $25, "new"', folder / "corpus.jsonl", "--config", tiny_config]
    output = run(*arguments, "--output", folder / "mined")
    files = {
        "plan.json",
        "answers.db",
        "train.spacy",
        "test.spacy",
        "pipeline",
        "scores.json",
        "rows.jsonl",
        "report.html",
    }
    assert files <= {path.name for path in (folder / "mined").iterdir()} and len(llm_server.requests) == 41
    assert "Planning: gpt-4.1-mini is asked." in output and "This plan is by" in output
    assert "in total" in output and "texts/s" in output and "get_span" in output
    assert str(folder / "mined" / "rows.jsonl") in output and str(folder / "mined" / "report.html") in output
    again = plain(run(*arguments, "--output", folder / "mined"))
    assert "Done before, and not repeated: annotate, train, evaluate, mine" in again and len(llm_server.requests) == 41
    assert "price" in run("report", folder / "mined")


def test_induce_asks_nobody_where_answers_are_recorded(folder, llm_server, tiny_config):
    output = run(
        "induce", "Prices of loved things", folder / "corpus.jsonl", "--plan", folder / "plan.json", "--answers",
        folder / "answers.jsonl", "--recorded-only", "--config", tiny_config, "--output", folder / "mined", "--quiet",
    )  # fmt: skip
    assert output == "" and llm_server.requests == [] and (folder / "mined" / "rows.jsonl").exists()


@pytest.mark.parametrize("command", ["train", "induce", "evaluate", "calibrate", "mine"])
def test_a_gpu_that_is_not_there_is_said_at_once(command, monkeypatch):
    def refuse(gpu_id: int) -> None:
        raise ValueError(f"No GPU {gpu_id}")

    monkeypatch.setattr(spacy, "require_gpu", refuse)
    result = CliRunner().invoke(app, [command, "--gpu-id", "3"])
    assert result.exit_code == 1
    assert "--gpu-id 3: No GPU 3" in result.output and "-1 for the CPU" in " ".join(result.output.split())


@pytest.mark.parametrize("command", ["mine", "evaluate", "calibrate", "review export", "train"])
def test_the_folder_of_a_run_is_no_pipeline_and_the_one_in_it_is_named(command, folder, saved):
    shutil.copytree(saved, folder / "out" / "pipeline")
    answers, others = folder / "answers.jsonl", ["--output", folder / "rows.jsonl"]
    arguments = {
        "train": ["train", folder / "plan.json", answers, "--source", folder / "out", *others],
        "evaluate": ["evaluate", folder / "out", answers],
    }.get(command, [*command.split(), folder / "out", answers, *others])
    output = " ".join(run(*arguments, exit_code=1).split())
    assert "ModelError" in output and "out/pipeline'" in output.replace(" ", "")


def test_a_review_is_not_written_over_the_corpus(folder, saved):
    before = (folder / "corpus.jsonl").read_bytes()
    output = plain(
        run("review", "export", saved, folder / "corpus.jsonl", "--output", folder / "corpus.jsonl", exit_code=1)
    )
    assert "CorpusError" in output and "Choose another output" in output
    assert (folder / "corpus.jsonl").read_bytes() == before


def test_what_is_to_be_learned_again_needs_a_pipeline_that_learned_it(folder, tiny_config):
    arguments = [folder / "plan.json", folder / "answers.jsonl", "--replay", folder / "answers.jsonl"]
    output = plain(run("train", *arguments, "--config", tiny_config, "--output", folder / "pipeline", exit_code=1))
    assert "a training config does not start from a pipeline" in output and not (folder / "pipeline").exists()


def test_a_language_model_that_mining_would_not_ask_is_named_in_a_warning(folder, saved):
    arguments = ["mine", saved, folder / "corpus.jsonl", "--output", folder / "rows.jsonl", "--quiet"]
    assert run(*arguments) == ""
    assert "No language model is asked without --guarantee" in plain(run(*arguments, "--model", "gpt-5"))


def test_a_source_is_named_by_its_folder_or_as_it_is_installed(folder, saved, monkeypatch):
    package = folder / "site" / "xx_mine"
    shutil.copytree(saved, package / "xx_mine-1.0.0")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(folder / "site")
    arguments = ["train", folder / "plan.json", folder / "answers.jsonl", "--output", folder / "pipeline", "--quiet"]
    run(*arguments, "--source", "xx_mine")
    assert (folder / "pipeline" / "config.cfg").exists()
    assert "no installed pipeline" in plain(run(*arguments, "--source", "xx_other", exit_code=2))


# What is refused before anything is read, asked or trained.


def test_answers_never_replace_what_they_are_made_of(folder):
    run("annotate", folder / "plan.json", folder / "corpus.jsonl", "--recorded", folder / "answers.jsonl", "--store",
        folder / "answers.db", "--output", folder / "train.spacy")  # fmt: skip
    before = (folder / "train.spacy").read_bytes()
    options = ("--plan", folder / "plan.json", "--store", folder / "other.db", "--output", folder / "train.spacy")
    said = run("answers", "import", folder / "train.spacy", *options, exit_code=1)
    assert "would be overwritten" in " ".join(said.split()) and (folder / "train.spacy").read_bytes() == before
    options = ("--store", folder / "train.spacy", "--output", folder / "train.spacy")
    said = run("annotate", folder / "plan.json", folder / "corpus.jsonl", *options, exit_code=1)
    assert "would be overwritten" in " ".join(said.split())


def test_answers_to_test_on_need_a_place(folder):
    options = (
        "--store",
        folder / "answers.db",
        "--output",
        folder / "a.spacy",
        "--test-answers",
        folder / "answers.jsonl",
    )
    assert "--test-output" in run("annotate", folder / "plan.json", folder / "corpus.jsonl", *options, exit_code=1)


@pytest.mark.parametrize("option", ["--workers 4", "--ray-address auto", "--worker-cpus 2", "--worker-gpus 1"])
def test_a_clusters_option_without_a_cluster(folder, saved, option):
    said = run("mine", saved, folder / "corpus.jsonl", "--output", folder / "r.jsonl", *option.split(), exit_code=1)
    assert f"{option.split()[0]} is for a cluster" in said


def test_no_id_column_is_named(folder, saved):
    run("mine", saved, folder / "corpus.jsonl", "--output", folder / "r.jsonl", "--id-field", "", "--quiet")
    assert next(srsly.read_jsonl(folder / "r.jsonl"))["id"].startswith("line-")


def test_scores_go_into_a_folder_of_their_own(folder, saved):
    run("evaluate", saved, folder / "answers.jsonl", "--json", folder / "new" / "scores.json", "--quiet")
    assert srsly.read_json(folder / "new" / "scores.json")["labels"]
    run("evaluate", saved, folder / "answers.jsonl", "--json", "/dev/null", "--quiet")


def test_an_id_column_that_is_not_there(folder, saved):
    options = ("--output", folder / "r.jsonl", "--id-field", "ticket")
    said = run("mine", saved, folder / "corpus.jsonl", *options, exit_code=1)
    assert "there is no id column 'ticket'; the columns: text" in " ".join(said.split())


def test_columns_of_one_name_are_all_kept(folder, saved):
    (folder / "twice.csv").write_text("id,text,note,note\n1,i paid 5 dollars and love it,a,b\n")
    run("mine", saved, folder / "twice.csv", "--output", folder / "r.jsonl", "--quiet")
    assert next(srsly.read_jsonl(folder / "r.jsonl"))["fields"] == {"note": "a", "note.1": "b"}


def test_a_place_that_cannot_be_written_is_found_before_the_work(folder, saved):
    (folder / "file").write_text("")
    for command in (
        ("train", folder / "plan.json", folder / "answers.jsonl", "--output", folder / "file" / "pipeline"),
        ("calibrate", saved, folder / "answers.jsonl", "--output", folder / "file"),
        ("evaluate", saved, folder / "answers.jsonl", "--json", folder),
    ):
        assert "cannot be written" in " ".join(run(*command, exit_code=1).split()), command


def test_folders_on_the_way_are_made(folder, saved):
    run("calibrate", saved, folder / "answers.jsonl", "--output", folder / "a" / "b" / "pipeline", "-q")
    assert (folder / "a" / "b" / "pipeline" / "meta.json").exists()


def test_answers_to_something_else_calibrate_nothing(folder, saved, review_answers):
    write_exchange(
        [replace(one, labels={"It is new.": True}, spans={}) for one in review_answers], folder / "other.jsonl"
    )
    said = run("calibrate", saved, folder / "other.jsonl", "--output", folder / "out", exit_code=1)
    assert "to none of the plan's instructions" in said and not (folder / "out" / "meta.json").exists()


def test_quotes_that_do_not_stand_in_their_texts_are_told(folder, saved, review_answers):
    first = next(iter(review_answers[0].spans))
    lost = [replace(one, spans={**one.spans, first: (Quote("a quote of nothing"),)}) for one in review_answers[:12]]
    write_exchange(lost, folder / "lost.jsonl")
    for command in (["evaluate"], ["calibrate", "--output", folder / "out"]):
        said = " ".join(run(command[0], saved, folder / "lost.jsonl", *command[1:]).split())
        assert "12 of" in said and "quoted passages do not stand in their texts" in said


def test_a_pipeline_without_instructions_has_none_to_evaluate(folder):
    said = " ".join(run("evaluate", ROOT / "assets" / "en_falconer_sm", folder / "answers.jsonl", exit_code=1).split())
    assert "holds no instruction to evaluate" in said


def test_an_estimate_before_anything_was_asked(folder):
    said = run("estimate", folder / "plan.json", folder / "corpus.jsonl", "--store", folder / "answers.db")
    assert "requests" in said and not (folder / "answers.db").exists()


def test_two_targets_for_one_instruction(folder, saved):
    targets = ("--target", "precision=0.9", "--target", "recall=0.8")
    said = run("calibrate", saved, folder / "answers.jsonl", "--output", folder / "out", *targets, exit_code=1)
    assert "two targets for all" in said
