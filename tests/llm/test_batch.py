from __future__ import annotations

import asyncio
import json
import os
import re

import batch_server
import pytest
from batch_server import KEY, BatchServer, find_text

from spacy_falconer.errors import AnswerError, BudgetError, ServerError
from spacy_falconer.llm import batch, batch_api, batch_file, batch_queue, batch_state
from spacy_falconer.llm.ask import ask_answers
from spacy_falconer.llm.batch import ask_in_batch, batch_prices, cancel_batches, find_open_batches
from spacy_falconer.llm.chat import Chat
from spacy_falconer.llm.ledger import Ledger
from spacy_falconer.llm.prices import Price
from spacy_falconer.llm.redact import Redactor
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import parse_plan
from spacy_falconer.types import Answer, CharSpan, Quote

MODEL = "m"
PRICES = {MODEL: Price(input=1.0, output=10.0)}
GOOD, MONEY, HIGH = "The reviewer is satisfied.", "Amounts of money.", "The review finds {span} too much."
STEPS = [
    {"id": "good", "op": "get_label", "instruction": GOOD},
    {"id": "price", "op": "get_span", "instruction": MONEY},
]
PLAN = parse_plan({"instruction": "Prices of loved things", "steps": STEPS})
TEXTS = [f"i love it and paid {n} dollars" if n % 2 else f"{n} dollars and it broke" for n in range(6)]


def reply(body):
    """By rule: "love" is good, "7 dollars" is a price, and every price is too high where it broke."""
    text = find_text(body)
    numbers = re.findall(r"^price (\d+):", body["messages"][1]["content"], re.MULTILINE)
    if numbers:
        return json.dumps({"price": [{"N": int(number), "high": "broke" in text} for number in numbers]})
    return json.dumps({"good": "love" in text, "price": re.findall(r"\d+ dollars", text)})


def answer_to(text, **changes):
    return Answer(text, MODEL, {GOOD: "love" in text}, {MONEY: find_prices(text)}, **changes)


def find_prices(text):
    return tuple(Quote(match.group(), match.start()) for match in re.finditer(r"\d+ dollars", text))


def is_repair(body):
    return body["messages"][-2]["role"] == "assistant"


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(batch_api, "BACKOFF_S", 0.001)
    monkeypatch.setattr(batch_queue, "QUIET_S", 0.005)
    monkeypatch.setattr(batch, "CLOSED_S", 0.005)


@pytest.fixture
def start(monkeypatch):
    """Start a provider, to which the environment then points."""
    servers = []

    def start(answer=reply, **settings):
        servers.append(BatchServer(answer, **settings).__enter__())
        for name, value in servers[-1].environment.items():
            monkeypatch.setenv(name, value)
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()


@pytest.fixture
def server(start):
    return start()


def ask(store, texts=TEXTS, plan=PLAN, *, ledger=None, **settings):
    settings = {"ledger": ledger or Ledger(), "poll_s": 0.005, **settings}
    asyncio.run(asyncio.wait_for(ask_in_batch(texts, plan, MODEL, store, **settings), 60))


def cancel(store, **settings):
    asyncio.run(asyncio.wait_for(cancel_batches(store, poll_s=0.005, **settings), 60))


def stored(store):
    return {answer.text: answer for answer in store.export()}


def state_file(store):
    return store.path.with_name("answers.db.batches")


# --- what comes back


def test_a_provider_that_counts_no_tokens_is_paid_for_all_that_was_sent(server, store, monkeypatch):
    """The schema, which is sent too, is counted."""
    make = batch_server.make_completion
    monkeypatch.setattr(batch_server, "make_completion", lambda body, said: {**make(body, said), "usage": None})
    ask(store)
    counted = store.usage(MODEL)["input"]
    assert counted.n_billed == counted.n_counted > 0


def test_a_batch_answers_all_texts(server, store):
    ticks = []
    ask(store, tick=ticks.append)
    assert stored(store) == {text: answer_to(text) for text in TEXTS}
    assert sum(ticks) == len(TEXTS)
    [made] = server.batches.values()
    assert (made["endpoint"], made["completion_window"]) == ("/v1/chat/completions", "24h")
    assert {line["url"] for line in made["lines"]} == {"/v1/chat/completions"}
    assert len({line["custom_id"] for line in made["lines"]}) == len(TEXTS)


def test_a_second_run_sends_nothing(server, store):
    ask(store)
    n_calls = len(server.calls)
    ask(store)
    assert len(server.calls) == n_calls


def test_the_provider_keeps_no_files_and_neither_do_we(server, store):
    ask(store)
    assert server.files == {}
    assert not state_file(store).exists()


def test_requests_are_those_of_chat(server, start, store, tmp_path):
    ask(store)
    batch_bodies = server.sent
    one_by_one = start()
    with AnswerStore(tmp_path / "other.db") as other:
        asyncio.run(ask_answers(TEXTS, PLAN, Chat(MODEL, max_in_flight=1), other))
        assert stored(other) == stored(store)
    assert one_by_one.chats == batch_bodies


def test_passages_are_asked_about_in_a_second_batch(server, store):
    plan = parse_plan({"instruction": "x", "steps": [
        *STEPS, {"id": "high", "op": "get_label", "instruction": HIGH, "for_each": "price"}]})  # fmt: skip
    ask(store, plan=plan)
    [first, second] = [len(made["lines"]) for made in server.batches.values()]
    assert (first, second) == (6, 6)
    broken = stored(store)["2 dollars and it broke"]
    assert broken.about[CharSpan(0, 9)].labels == {HIGH.replace("{span}", "2 dollars"): True}


def test_a_long_text_is_one_batch_of_windows(server, store):
    text = "i love it. " * 3000 + "it cost 12 dollars"
    ask(store, [text])
    assert len(server.batches) == 1 and len(server.sent) > 2
    assert stored(store)[text].spans[MONEY] == find_prices(text)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("no JSON", ("12 dollars", 5)),
        ("...", ("12 dollars", 5)),  # cut off, asked again as it was
        ('{"good": true, "price": ["a fortune"]}', ("12 dollars", 5)),
    ],
)
def test_a_reply_that_is_of_no_use_is_asked_for_again(start, store, first, expected):
    said = iter([first])
    server = start(lambda body: next(said, None) or reply(body))
    ask(store, ["paid 12 dollars"])
    assert len(server.batches) == 2
    [quote] = stored(store)["paid 12 dollars"].spans[MONEY]
    assert (quote.quote, quote.start) == expected


def test_a_text_that_gets_no_answer_is_kept_as_failed(start, store):
    server = start(lambda body: "no JSON" if "riddle" in find_text(body) else reply(body))
    ask(store, [*TEXTS, "riddle"])
    assert stored(store).keys() == set(TEXTS)
    assert "no JSON" in store.failures(["riddle"])["riddle"]
    n_batches = len(server.batches)
    ask(store, [*TEXTS, "riddle"])
    assert len(server.batches) == n_batches


def test_nothing_but_the_redacted_text_is_sent(server, store):
    redactor = Redactor(lambda text: text.replace("Anna Smith", "[NAME]"), "rules:names")
    plan = parse_plan({"instruction": "x", "steps": [
        {"id": "good", "op": "get_label", "instruction": GOOD}, {"id": "price", "op": "get_span", "instruction": "Who."},
        {"id": "high", "op": "get_label", "instruction": "About {span}.", "for_each": "price"}]})  # fmt: skip
    server.answer = lambda body: reply(body) if "price 1" in str(body) else '{"good": true, "price": ["NAME"]}'
    examples = [Answer("Anna Smith, too", MODEL, {GOOD: True}, {"Who.": (Quote("Anna Smith", 0),)})]
    ask(store, ["i love Anna Smith"], plan, examples=examples, redact=redactor)
    answer = stored(store)["i love Anna Smith"]
    assert answer.spans["Who."] == (Quote("Anna Smith", 7),)
    assert answer.about.keys() == {CharSpan(7, 17)}
    assert len(server.sent) == 2
    assert "[NAME], too" in json.dumps(server.sent)
    assert not re.search("Anna|Smith", json.dumps(server.sent))


# --- what goes wrong


def test_an_expired_batch_is_paid_for_what_it_did(start, store):
    server = start()
    server.endings, server.drop = {0: "expired"}, (1, 4)
    ask(store)
    assert stored(store).keys() == set(TEXTS)
    assert [len(made["lines"]) for made in server.batches.values()] == [6, 2]
    assert set(server.paid.values()) == {1}


def test_requests_that_expire_again_and_again_end_the_run(start, store):
    server = start()
    server.endings, server.drop = dict.fromkeys(range(9), "expired"), (0,)
    with pytest.raises(ServerError, match=r"3 batches.*window expired.*Run again"):
        ask(store)
    assert len(stored(store)) == 5
    assert len(server.batches) == 3
    assert store.failures(TEXTS) == {}  # It was not the text's fault.
    server.endings = {}
    ask(store)
    assert len(stored(store)) == 6
    assert set(server.paid.values()) == {1}


def test_a_request_without_any_outcome_is_sent_again(start, store):
    lost = [TEXTS[2]]
    server = start(lambda body: lost.pop() and None if find_text(body) in lost else reply(body))
    ask(store)
    assert stored(store).keys() == set(TEXTS)
    assert [len(made["lines"]) for made in server.batches.values()] == [6, 1]


@pytest.mark.parametrize(("status", "n_batches"), [(400, 1), (500, 2), (429, 2)])
def test_a_request_that_failed(start, store, status, n_batches):
    said = iter([status])
    server = start(lambda body: next(said, None) or reply(body) if TEXTS[3] == find_text(body) else reply(body))
    ask(store)
    assert len(server.batches) == n_batches
    assert (TEXTS[3] in stored(store)) == (status != 400)
    assert ("status 400" in store.failures(TEXTS).get(TEXTS[3], "")) == (status == 400)


def test_a_server_without_json_schemas_is_asked_for_json(start, store):
    server = start(lambda body: 400 if "json_schema" in str(body["response_format"]) else reply(body))
    ask(store)
    assert stored(store).keys() == set(TEXTS)
    assert [made["lines"][0]["body"]["response_format"]["type"] for made in server.batches.values()] == [
        "json_schema", "json_object"]  # fmt: skip


def test_requests_that_are_all_refused_are_no_texts_fault(start, store):
    server = start(lambda body: 400)
    with pytest.raises(ServerError, match="status 400"):
        ask(store)
    assert len(server.batches) == 3  # With a schema, as JSON, as text.
    assert store.failures(TEXTS) == {}


def test_a_model_that_is_not_there(start, store):
    start(lambda body: 404)
    with pytest.raises(ServerError, match=r"model 'm'.*status 404"):
        ask(store)
    assert store.failures(TEXTS) == {}


def test_an_endpoint_without_a_batch_api(server, store):
    server.faults = {("POST", "/files"): [404]}
    with pytest.raises(ServerError, match="without --batch"):
        ask(store)
    assert server.batches == {}


def test_a_batch_that_is_not_taken(start, store):
    server = start()
    server.endings, server.codes = {0: "failed"}, ["billing_hard_limit_reached"]
    with pytest.raises(ServerError, match=r"batch_0.*billing_hard_limit_reached.*Run again"):
        ask(store)
    assert server.files == {} and find_open_batches(store) == []
    ask(store)
    assert stored(store).keys() == set(TEXTS)


def test_a_batch_for_which_there_is_no_room_is_halved(start, store):
    server = start()
    server.endings, server.codes = {0: "failed", 1: "failed"}, ["token_limit_exceeded"]
    ask(store)
    assert stored(store).keys() == set(TEXTS)
    assert [len(made["lines"]) for made in server.batches.values()] == [6, 3, 3, 3]
    assert set(server.paid.values()) == {1}


def test_a_batch_for_which_there_is_no_room_beside_others_waits(start, store, monkeypatch):
    monkeypatch.setattr(batch_file, "MAX_REQUESTS", 2)
    server = start(n_looks=3)
    server.endings, server.codes = {1: "failed", 2: "failed"}, ["token_limit_exceeded"]
    ask(store)
    assert stored(store).keys() == set(TEXTS)
    assert {len(made["lines"]) for made in server.batches.values()} == {2}
    assert set(server.paid.values()) == {1}


def test_a_batch_that_is_cancelled_elsewhere_ends_the_run(start, store):
    server = start()
    server.endings, server.drop = {0: "cancelled"}, (0, 2)
    with pytest.raises(ServerError, match=r"batch_0 was cancelled at the provider"):
        ask(store)
    assert len(stored(store)) == 4
    server.endings = {}
    ask(store)
    assert len(stored(store)) == 6
    assert set(server.paid.values()) == {1}


@pytest.mark.parametrize("call", [("POST", "/batches"), ("GET", "/batches/"), ("POST", "/files"), ("GET", "/files/")])
@pytest.mark.parametrize("fault", ["lost", 500, 429])
def test_a_call_that_fails_is_repeated_and_no_batch_made_twice(server, store, call, fault):
    server.faults = {call: [fault]}
    ask(store)
    assert server.faults[call] == [] and stored(store).keys() == set(TEXTS)
    assert len(server.batches) == 1


def test_an_endpoint_that_is_gone_is_said_and_nothing_is_lost(server, store):
    server.faults = {("GET", "/batches/"): [None, *[500] * 6]}
    with pytest.raises(ServerError, match=r"fault 500.*run again to go on"):
        ask(store)
    [under_way] = find_open_batches(store)
    assert (under_way.batch_id, under_way.n_requests) == ("batch_0", 6)
    ask(store)
    assert stored(store).keys() == set(TEXTS)
    assert set(server.paid.values()) == {1} and len(server.paid) == 6


def test_a_batch_that_the_endpoint_does_not_know(server, store):
    server.faults = {("GET", "/batches/"): [None, *[500] * 6]}
    with pytest.raises(ServerError):
        ask(store)
    server.batches.clear()
    with pytest.raises(ServerError, match=r"does not know the batch 'batch_0'.*OPENAI_BASE_URL"):
        ask(store)


# --- limits and money


def test_large_batches_are_split(server, store, monkeypatch):
    monkeypatch.setattr(batch_file, "MAX_REQUESTS", 4)
    ask(store)
    assert [len(made["lines"]) for made in server.batches.values()] == [4, 2]


def test_no_file_is_larger_than_the_provider_takes(server, store, monkeypatch):
    monkeypatch.setattr(batch_file, "MAX_BYTES", 5_000)
    sizes = []
    upload = batch_api.BatchApi.upload

    async def watch(self, name, lines):
        sizes.append(lines.seek(0, os.SEEK_END))
        return await upload(self, name, lines)

    monkeypatch.setattr(batch_api.BatchApi, "upload", watch)
    ask(store)
    assert len(sizes) > 1 and max(sizes) <= 5_000
    assert stored(store).keys() == set(TEXTS)


def test_the_ledger_counts_half_the_price(server, store):
    ledger = Ledger(prices=PRICES)
    ask(store, ledger=ledger)
    assert (ledger.total.n_requests, ledger.total.n_input_tokens, ledger.total.n_output_tokens) == (6, 6000, 600)
    assert ledger.total.cost_usd == pytest.approx(0.5 * (6000 * 1.0 + 600 * 10.0) / 1e6)
    assert {row.step for row in ledger.rows()} == {"good", "price"}
    assert batch_prices(PRICES) == {MODEL: Price(0.5, 5.0)}


def test_a_batch_that_would_pass_the_limit_is_not_sent(server, store):
    for ledger in (Ledger(max_requests=5), Ledger(max_cost=0.0001, prices=PRICES), Ledger(max_cost=1.0, prices={})):
        with pytest.raises(BudgetError, match=r"--max-(requests|cost)"):
            ask(store, ledger=ledger)
    assert server.calls == [] and not state_file(store).exists()
    ask(store, TEXTS[:5], ledger=Ledger(max_requests=5))
    assert len(server.sent) == 5


def test_a_limit_that_leaves_no_room_for_corrections_keeps_what_was_answered(start, store):
    server = start(lambda body: reply(body) if is_repair(body) or find_text(body) != TEXTS[0] else "no JSON")
    with pytest.raises(BudgetError, match="--max-requests"):
        ask(store, ledger=Ledger(max_requests=6))
    assert stored(store).keys() == set(TEXTS[1:])
    ask(store)
    assert stored(store).keys() == set(TEXTS)
    assert set(server.paid.values()) == {1} and len(server.sent) == 7


# --- stopped and gone on


def run_apart(store, **settings):
    """Ask in a process of its own, which may die."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with AnswerStore(store.path) as own:
                ask(own, **settings)
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def die_at(monkeypatch, point):
    """Die as by kill -9 at one of all moments before and after a call, or a change of what is on disk."""
    n_passed = 0

    def pass_point():
        nonlocal n_passed
        if n_passed == point:
            os._exit(9)
        n_passed += 1

    attempt, transaction = batch_api.BatchApi._attempt, batch_state.transaction

    async def dying_attempt(self, send):
        pass_point()
        said = await attempt(self, send)
        pass_point()
        return said

    class DyingTransaction:
        def __init__(self, connection):
            self.inner = transaction(connection)

        def __enter__(self):
            pass_point()
            return self.inner.__enter__()

        def __exit__(self, *error):
            self.inner.__exit__(*error)
            pass_point()

    monkeypatch.setattr(batch_api.BatchApi, "_attempt", dying_attempt)
    monkeypatch.setattr(batch_state, "transaction", DyingTransaction)


STRIDE = 3  # 1 for every moment at which a process may die.
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
TRICKY = ["riddle", *TEXTS]


def make_tricky():
    """The first request about the riddle is not answered with JSON."""
    return lambda body: "no JSON" if find_text(body) == "riddle" and not is_repair(body) else reply(body)


@needs_fork
def test_killed_at_any_moment_nothing_is_paid_twice_or_lost(start, tmp_path, monkeypatch):
    n_deaths, point, status = 0, 0, 9
    while status == 9:
        server = start(make_tricky())
        with AnswerStore(tmp_path / f"answers{point}.db") as store:
            with monkeypatch.context() as patched:
                die_at(patched, point)
                status = run_apart(store, texts=TRICKY)
            n_deaths, point = n_deaths + (status == 9), point + STRIDE
            ask(store, TRICKY)
            assert stored(store).keys() == set(TRICKY), point
            assert (set(server.paid.values()), len(server.paid)) == ({1}, 8), point
            assert server.files == {} and not store.path.with_name(store.path.name + ".batches").exists(), point
        server.__exit__()
    assert status == 0 and n_deaths > 15


@needs_fork
def test_what_is_under_way_is_known_after_a_death(start, store, monkeypatch):
    server = start(n_looks=9)
    with monkeypatch.context() as patched:
        die_at(patched, 13)
        assert run_apart(store) == 9
    [under_way] = find_open_batches(store)
    assert under_way.n_requests == 6 and under_way.batch_id == "batch_0"
    seen = []
    ask(store, watch=seen.extend)
    assert len(server.batches) == 1
    assert {one.status for one in seen} == {"in_progress"}


@needs_fork
def test_other_examples_and_fewer_texts_do_not_pay_again(start, store, monkeypatch):
    server = start()
    examples = [Answer("paid 9 dollars", MODEL, {GOOD: True}, {MONEY: (Quote("9 dollars", 5),)})]
    with monkeypatch.context() as patched:
        die_at(patched, 9)
        assert run_apart(store, examples=examples) == 9
    ticks = []
    ask(store, TEXTS[:2], tick=ticks.append)
    assert stored(store).keys() == set(TEXTS)
    assert len(server.sent) == 6 and sum(ticks) == 2


def test_one_process_at_a_time(server, store):
    async def twice():
        first = asyncio.ensure_future(ask_in_batch(TEXTS, PLAN, MODEL, store, ledger=Ledger(), poll_s=0.005))
        await asyncio.sleep(0)
        with pytest.raises(AnswerError, match="Another process is waiting"):
            await ask_in_batch(TEXTS, PLAN, MODEL, store, ledger=Ledger(), poll_s=0.005)
        with pytest.raises(AnswerError, match="Another process is waiting"):
            find_open_batches(store)
        await first

    asyncio.run(asyncio.wait_for(twice(), 60))
    assert len(server.batches) == 1 and stored(store).keys() == set(TEXTS)


def test_a_damaged_file_is_refused_and_left(server, store):
    state_file(store).write_bytes(b"something else, and long enough to be no header of a database" * 20)
    before = state_file(store).read_bytes()
    with pytest.raises(AnswerError, match=r"answers\.db\.batches.*left as it is"):
        ask(store)
    assert state_file(store).read_bytes() == before and server.calls == []


# --- cancelled


@needs_fork
@pytest.mark.parametrize("redact", [None, Redactor(lambda text: text.replace("love", "like"), "rules:likes")])
def test_cancelled_batches_keep_what_they_answered(start, store, monkeypatch, redact):
    server = start(n_looks=4)
    server.drop = (0, 1)
    with monkeypatch.context() as patched:
        die_at(patched, 13)
        assert run_apart(store, redact=redact) == 9
    cancel(store, redact=redact)
    assert server.batches["batch_0"]["status"] == "cancelled"
    assert len(stored(store)) == 4
    assert find_open_batches(store) == [] and server.files == {} and not state_file(store).exists()
    ask(store, redact=redact)
    assert len(stored(store)) == 6 and set(server.paid.values()) == {1}


def test_with_nothing_under_way_there_is_nothing_to_cancel(server, store):
    cancel(store)
    assert find_open_batches(store) == [] and server.calls == [] and not state_file(store).exists()


# --- secrets


def test_the_key_is_in_no_file_and_no_message(start, store):
    server = start()
    server.endings, server.codes = {0: "failed"}, [f"wrong key {KEY}"]
    with pytest.raises(ServerError) as error:
        ask(store)
    assert KEY not in str(error.value)
    assert all(KEY.encode() not in path.read_bytes() for path in store.path.parent.iterdir())
