"""A language model's endpoint on loopback. It plans and annotates by rule, and remembers what it was asked."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "a-secret-of-the-tests"
STEPS = [
    {"id": "positive", "op": "get_label", "instruction": "The reviewer is satisfied."},
    {"id": "price", "op": "get_span", "instruction": "Amounts of money.", "when": "positive"},
]
PLAN = {"steps": STEPS, "keep": "positive and price", "output": ["price"], "unit": "document"}
UNSUPPORTED = {"unsupported": True, "reason": "A count over the reviews is needed; every review is read alone."}


class PatientServer(ThreadingHTTPServer):
    request_queue_size = 128  # Connections that wait to be accepted; by default more than 5 may be cut.


class ScriptedServer:
    """An OpenAI-compatible server: `with ScriptedServer() as server`, then its `url`.

    A sentence with "How many" cannot be planned. A text with "love" is positive, and "7 dollars" is a price. A text
    with "riddle" gets no JSON. `requests` has the body of each request, `keys` what came as authorization.
    """

    def __init__(self):
        self.requests: list[dict] = []
        self.keys: set[str] = set()
        self._server = PatientServer(("127.0.0.1", 0), self._make_handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> ScriptedServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        return {"OPENAI_BASE_URL": self.url, "OPENAI_API_KEY": KEY}

    @property
    def planned(self) -> list[dict]:
        return [body for body in self.requests if is_planning(body)]

    @property
    def annotated(self) -> list[dict]:
        return [body for body in self.requests if not is_planning(body)]

    def _make_handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805 (self is the handler's)
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append(body)
                server.keys.add(self.headers.get("Authorization", "").removeprefix("Bearer "))
                reply = make_reply(body)
                message = {"role": "assistant", "content": reply}
                usage = {"prompt_tokens": len(json.dumps(body)) // 4, "completion_tokens": len(reply) // 4}
                self.send_json({
                    "id": "1", "object": "chat.completion", "created": 0, "model": body["model"],
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": {**usage, "total_tokens": sum(usage.values())},
                })  # fmt: skip

            def send_json(self, value):
                data = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        return Handler


def is_planning(body: dict) -> bool:
    return "<sentence-" in body["messages"][1]["content"]


def make_reply(body: dict) -> str:
    said = body["messages"][-1]["content"]
    if is_planning(body):
        return json.dumps({"plan": UNSUPPORTED if "How many" in said else PLAN})
    text = find_text(body)
    if "riddle" in text:
        return "I cannot tell."
    asked = body["response_format"]["json_schema"]["schema"]["properties"]
    prices = re.findall(r"\d dollars", text)
    return json.dumps({key: "love" in text if form["type"] == "boolean" else prices for key, form in asked.items()})


def find_text(body: dict) -> str:
    """The text that a request is about: the last one shown."""
    shown = [part["content"] for part in body["messages"] if part["role"] == "user" and "<text-" in part["content"]]
    return re.search(r"<text-(\w+)>\n(.*)\n</text-\1>", shown[-1], re.DOTALL).group(2)
