"""One request, against a server that fails in every way that we know of."""

from __future__ import annotations

import asyncio
import logging
import traceback

import pytest
from faulty_server import KEY

from spacy_falconer.errors import BudgetError, FalconerError, ReplyError, RequestError, ServerError
from spacy_falconer.llm.chat import Chat
from spacy_falconer.llm.ledger import Ledger
from spacy_falconer.llm.questions import make_messages, reply_schema


@pytest.fixture
def talk(plan):
    """Ask about texts at once; give back the replies or errors, in order, and the chat."""

    def run(*texts, model="gpt-4.1-mini", has_schema=True, **settings):
        schema = reply_schema(plan.steps) if has_schema else None

        async def start():
            async with Chat(model, **settings) as chat:
                asked = [chat.ask(make_messages(text, plan.steps), schema=schema, step="s") for text in texts]
                return await asyncio.gather(*asked, return_exceptions=True), chat

        return asyncio.run(start())

    return run


def test_a_reply_and_what_it_took(server, talk):
    [reply], chat = talk("Paid $5, love it")
    assert reply.content == '{"positive": true, "price": ["$5"]}'
    assert reply.model == "served" and not reply.is_estimated
    assert reply.n_input_tokens == server.n_billed["prompt_tokens"] == chat.ledger.total.n_input_tokens
    assert server.requests[0]["response_format"]["json_schema"]["strict"] is True


def test_nothing_is_sent_and_no_key_read_while_it_is_built(server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    Chat("m")
    assert server.requests == []


@pytest.mark.parametrize("fault", ["429:2", "429-after:2", "500:2", "503:2", "hang:1", "cut:2", "broken:2"])
def test_what_may_pass_is_sent_again(server, talk, fault):
    [reply], chat = talk(f"love <<{fault}>>", timeout_s=1.0 if fault == "hang:1" else 60.0)
    assert reply.content == '{"positive": true, "price": []}'
    assert chat.ledger.total.n_requests == len(server.requests) == 1 + int(fault[-1])


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("429", "busy or failed.*HTTP 429.*It was tried 3 times"),
        ("500", "busy or failed.*HTTP 500.*Run again later"),
        ("hang", "did not reply in 1 s.*Raise the timeout"),
        ("cut", "connection.*failed.*Check OPENAI_BASE_URL"),
        ("broken", "reply is broken.*Expected JSON"),
    ],
)
def test_what_does_not_pass_says_so(server, talk, fault, message):
    [error], _ = talk(f"<<{fault}>>", timeout_s=1.0 if fault == "hang" else 60.0, n_retries=2)
    assert isinstance(error, RequestError)
    with pytest.raises(RequestError, match=message):
        raise error
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("length", "cut off after .* tokens.*Raise the server's limits"),
        ("refusal", "refused to answer: 'I would rather not.'"),
        ("empty", "reply is empty"),
        ("proxy", "reply is an error: .*as the text wishes"),
    ],
)
def test_a_reply_that_is_no_answer_is_paid_for(server, talk, fault, message):
    [error], chat = talk(f"<<{fault}>>")
    with pytest.raises(ReplyError, match=message):
        raise error
    assert len(server.requests) == 1
    assert chat.ledger.total.n_input_tokens == error.n_input_tokens > 100


@pytest.mark.parametrize("status", [401, 404])
def test_an_endpoint_that_serves_nobody_is_asked_once(server, talk, status):
    [error], _ = talk(f"<<{status}>>")
    assert type(error) is ServerError and f"HTTP {status}" in str(error) and "--model" in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [("spent", "no money left.*Add credit"), ("page", "replies with .*OPENAI_BASE_URL; it often ends in /v1")],
)
def test_an_endpoint_that_needs_a_persons_hand_is_asked_once(server, talk, fault, message):
    [error], _ = talk(f"<<{fault}>>")
    assert type(error) is ServerError and len(server.requests) == 1
    with pytest.raises(ServerError, match=message):
        raise error


@pytest.mark.parametrize("names", [["OPENAI_BASE_URL"], ["OPENAI_API_KEY"], ["OPENAI_BASE_URL", "OPENAI_API_KEY"]])
def test_an_endpoint_that_is_not_set(server, talk, monkeypatch, names):
    for name in names:
        monkeypatch.delenv(name)
    [error], chat = talk("text")
    assert type(error) is ServerError and f"{' and '.join(names)} not set" in str(error)
    assert chat.ledger.total.n_requests == 0


def test_an_address_where_nothing_listens(server, talk, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    [error], _ = talk("text", n_retries=1)
    assert isinstance(error, RequestError) and "connection" in str(error)


def test_where_nothing_listens_a_limit_is_not_all_to_blame(server, talk, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    [error], _ = talk("text", ledger=Ledger(max_requests=2))
    assert isinstance(error, BudgetError) and "The attempt before failed: " in str(error) and "connection" in str(error)


@pytest.mark.parametrize("taken", [("json_schema", "json_object", "text"), ("json_object", "text"), ("text",)])
def test_the_format_of_replies_is_found_out_once(serve, talk, taken):
    server = serve(formats=taken)
    replies, _ = talk(*[f"love {i}" for i in range(40)], max_in_flight=4)
    assert [reply.content for reply in replies] == ['{"positive": true, "price": []}'] * 40
    tried = [body.get("response_format", {"type": "text"})["type"] for body in server.requests]
    assert len([one for one in tried if one not in taken]) <= 5  # Those in flight when the first was refused.
    assert tried[-30:] == [taken[0]] * 30


def test_one_bad_request_is_not_the_formats_fault(server, talk):
    first, bad, last = talk("love", "<<400>>", "love too", max_in_flight=1)[0]
    assert first.content and last.content
    assert isinstance(bad, RequestError) and "refuses the request" in str(bad)
    assert server.requests[-1]["response_format"]["type"] == "json_schema"


def test_a_request_that_no_format_saves(server, talk):
    [bad, good], _ = talk("<<400>>", "love", max_in_flight=1)
    assert isinstance(bad, RequestError) and good.content
    assert [body.get("response_format", {"type": "text"})["type"] for body in server.requests] == [
        "json_schema", "json_object", "text", "json_schema"
    ]  # fmt: skip


def test_fewer_requests_at_a_time_where_the_server_refuses_some(serve, talk):
    server = serve(max_open=3, delay_s=0.01)
    replies, chat = talk(*[f"love {i}" for i in range(60)], max_in_flight=16, n_retries=3)
    assert all(reply.content for reply in replies)
    n_refused = len(server.requests) - 60
    assert 1 <= n_refused < 60 and server.most_open <= 17


def test_a_pause_that_the_server_asks_for_is_for_all(serve, talk):
    server = serve()
    replies, _ = talk("love <<429-after:1>>", *["love"] * 5, max_in_flight=1)
    assert all(reply.content for reply in replies) and len(server.requests) == 7


def test_no_more_requests_at_a_time_than_wanted(serve, talk):
    server = serve(delay_s=0.02)
    talk(*[f"love {i}" for i in range(20)], max_in_flight=4)
    assert server.most_open == 4


def test_tokens_are_estimated_where_the_server_counts_none(serve, talk):
    serve(has_usage=False)
    [reply], chat = talk("love " * 100)
    assert reply.is_estimated and chat.ledger.total.is_estimated
    assert 250 < reply.n_input_tokens < 1000 and 5 < reply.n_output_tokens < 30


@pytest.mark.parametrize("max_requests", [0, 1, 7])
def test_no_request_more_than_allowed_also_where_some_fail(server, talk, max_requests):
    texts = [f"love {i} <<500:1>>" for i in range(20)]
    replies, chat = talk(*texts, ledger=Ledger(max_requests=max_requests))
    assert len(server.requests) == chat.ledger.total.n_requests == max_requests
    assert all(isinstance(reply, BudgetError) for reply in replies if not hasattr(reply, "content"))
    assert any("--max-requests is reached" in str(reply) for reply in replies)


def test_requests_sent_at_once_are_judged_before_there_is_a_reply(server, talk):
    [_], chat = talk("love 10")
    most = 10 * chat.ledger.total.cost_usd
    _, chat = talk(*(f"love {i}" for i in range(10, 50)), ledger=Ledger(max_cost=most), max_in_flight=40)
    assert 5 <= chat.ledger.total.n_requests <= 10 and chat.ledger.total.cost_usd <= most


def test_a_limit_below_the_price_of_one_request_costs_nothing(server, talk):
    replies, chat = talk(*(f"love {i}" for i in range(20)), ledger=Ledger(max_cost=0.00001))
    assert server.requests == [] and all(isinstance(reply, BudgetError) for reply in replies)


@pytest.mark.parametrize("max_in_flight", [1, 4])
def test_no_dollar_more_than_allowed_for_requests_that_are_alike(server, talk, max_in_flight):
    [_], chat = talk("love 10")
    most = 10.5 * chat.ledger.total.cost_usd
    texts = [f"love {i}" for i in range(10, 50)]
    replies, chat = talk(*texts, ledger=Ledger(max_cost=most), max_in_flight=max_in_flight)
    assert chat.ledger.total.n_requests == 10 and chat.ledger.total.cost_usd <= most
    assert any("another request would exceed it" in str(reply) for reply in replies)


def test_dollars_cannot_be_limited_where_the_price_is_unknown(server, talk):
    [error], _ = talk("love", model="my-own", ledger=Ledger(max_cost=1.0))
    assert isinstance(error, BudgetError) and "price of the model 'my-own' is unknown" in str(error)
    assert server.requests == []


def test_the_key_is_in_no_log_and_no_error(server, talk, caplog):
    caplog.set_level(logging.DEBUG)
    errors, chat = talk("<<leak>>", "<<500>>", "<<400>>", "<<broken>>", "<<cut>>", "<<401>>", n_retries=0)
    shown = ["".join(traceback.format_exception(error)) for error in errors]
    assert all(isinstance(error, FalconerError) for error in errors) and server.keys == {KEY}
    assert KEY not in "".join([*shown, caplog.text, repr(chat.__dict__), *map(repr, caplog.records)])


@pytest.mark.parametrize("key", ["a-secret\nof mine", "ein-schlüssel"])
def test_a_key_that_none_can_be_is_not_shown_either(server, talk, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    [error], _ = talk("love")
    shown = "".join(traceback.format_exception(error))
    assert type(error) is ServerError and "no key contains" in shown and key not in shown and "secret" not in shown


def test_a_key_read_from_a_file_may_end_in_a_line_break(server, talk, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "\n")
    assert talk("love")[0][0].content and server.keys == {KEY}


def test_a_chat_outlives_an_event_loop(server, plan):
    chat = Chat("m", max_in_flight=1)
    messages = make_messages("love", plan.steps)
    for _ in range(2):
        assert asyncio.run(chat.ask(messages)).content
    assert len(server.requests) == 2
