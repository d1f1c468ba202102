"""A provider's Batch API on loopback: files, batches, and what comes of them."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

KEY = "a-secret-of-the-tests"
GONE = {"code": "batch_expired", "message": "This request could not be executed before the completion window expired."}


class BatchServer:
    """`with BatchServer() as server`, then its `url`. A batch is done when it was looked at `n_looks` times.

    answer: From a request's body to what the model says; or an int: a HTTP status that this request gets.
    endings: The batch's number, from 0, to how it ends; by default "completed". "failed" has the error codes `codes`.
    drop: Which requests of a batch get no reply, by position, where it does not end "completed".
    faults: (method, path's beginning) to a list of what the next such calls get: a status, or "lost": done, but the
        connection is cut before the response. None is no fault.
    """

    def __init__(self, answer, *, n_looks=2):
        self.answer, self.n_looks = answer, n_looks
        self.endings, self.codes, self.drop, self.faults = {}, ["some_code"], (), {}
        self.files, self.batches, self.calls, self.paid = {}, {}, [], Counter()
        self.chats = []  # Bodies of requests that are sent one by one.
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self):
        return {"OPENAI_BASE_URL": self.url, "OPENAI_API_KEY": KEY}

    @property
    def sent(self):
        """All bodies in batches that were made, in order."""
        return [line["body"] for batch in self.batches.values() for line in batch["lines"]]

    def handle(self, method, path, body, content_type):
        """A status and a response: JSON or bytes."""
        with self._lock:
            self.calls.append((method, path))
            fault = next((said.pop(0) for key, said in self.faults.items() if (method, path)[0] == key[0]
                          and path.startswith(key[1]) and said), None)  # fmt: skip
            if isinstance(fault, int):
                return fault, {"error": {"message": f"fault {fault}"}}
            status, said = self.route(method, path.strip("/").split("/"), body, content_type)
            return ("lost", said) if fault == "lost" else (status, said)

    def route(self, method, parts, body, content_type):
        if parts == ["chat", "completions"]:
            self.chats.append(json.loads(body))
            return 200, make_completion(self.chats[-1], self.answer(self.chats[-1]))
        kind, one, *verb = [*parts, None][:3] if len(parts) > 1 else [parts[0], None]
        if kind == "files" and method == "POST":
            return 200, self.add_file(*read_form(body, content_type))
        if kind == "files" and one is None:
            return 200, make_list([self.show_file(name) for name in self.files])
        if kind == "files" and method == "DELETE":
            found = self.files.pop(one, None)
            return (200, {"id": one, "object": "file", "deleted": True}) if found else (404, {"error": {}})
        if kind == "files":
            return 200, self.files[one][1]
        if method == "POST" and one is None:
            return 200, self.make_batch(json.loads(body))
        if one is None:
            return 200, make_list([show(batch) for batch in self.batches.values()])
        if one not in self.batches:
            return 404, {"error": {"message": "no such batch"}}
        return 200, self.cancel(one) if verb[0] == "cancel" else self.look(one)

    def add_file(self, name, data):
        file_id = f"file-{len(self.calls)}-{len(self.files)}"
        self.files[file_id] = name, data
        return self.show_file(file_id)

    def show_file(self, file_id):
        name, data = self.files[file_id]
        return {"id": file_id, "object": "file", "bytes": len(data), "created_at": 0, "filename": name,
                "purpose": "batch", "status": "processed"}  # fmt: skip

    def make_batch(self, said):
        lines = [json.loads(line) for line in self.files[said["input_file_id"]][1].splitlines()]
        number = len(self.batches)
        batch = {
            "id": f"batch_{number}", "object": "batch", "endpoint": said["endpoint"], "created_at": 0,
            "completion_window": said["completion_window"], "input_file_id": said["input_file_id"],
            "metadata": said.get("metadata"), "status": "validating", "lines": lines, "n_looks": 0,
            "ending": self.endings.get(number, "completed"),
        }  # fmt: skip
        self.batches[batch["id"]] = batch
        return show(batch)

    def look(self, name):
        batch = self.batches[name]
        batch["n_looks"] += 1
        if batch["status"] in ("validating", "in_progress", "cancelling") and batch["n_looks"] >= self.n_looks:
            self.end(batch, "cancelled" if batch["status"] == "cancelling" else batch["ending"])
        elif batch["status"] == "validating":
            batch["status"] = "in_progress"
        return show(batch)

    def cancel(self, name):
        batch = self.batches[name]
        if batch["status"] in ("validating", "in_progress"):
            batch["status"] = "cancelling"
        return show(batch)

    def end(self, batch, status):
        batch["status"] = status
        if status == "failed":
            errors = [{"code": code, "message": f"error {code}", "line": None, "param": None} for code in self.codes]
            batch["errors"] = {"object": "list", "data": errors}
            return
        outputs, errors = [], []
        for i, line in enumerate(batch["lines"]):
            if status != "completed" and i in self.drop:
                errors.append({"id": str(i), "custom_id": line["custom_id"], "response": None, "error": GONE})
                continue
            said = self.answer(line["body"])
            if isinstance(said, int):
                body = {"error": {"message": f"status {said}"}}
                response = {"status_code": said, "request_id": "1", "body": body}
                errors.append({"id": str(i), "custom_id": line["custom_id"], "response": response, "error": None})
            elif said is not None:
                self.paid[json.dumps(line["body"])] += 1
                response = {"status_code": 200, "request_id": "1", "body": make_completion(line["body"], said)}
                outputs.insert(0, {"id": str(i), "custom_id": line["custom_id"], "response": response, "error": None})
        batch["counts"] = {"total": len(batch["lines"]), "completed": len(outputs), "failed": len(errors)}
        for name, lines in (("output_file_id", outputs), ("error_file_id", errors)):
            if lines:
                data = "".join(json.dumps(line) + "\n" for line in lines).encode()
                batch[name] = self.add_file(f"{batch['id']}_{name}.jsonl", data)["id"]


def make_completion(body, said):
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    message = {"role": "assistant", "content": said}
    choice = {"index": 0, "message": message, "finish_reason": "length" if said == "..." else "stop"}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"], "choices": [choice],
            "usage": usage}  # fmt: skip


def show(batch):
    counts = batch.get("counts", {"total": len(batch["lines"]), "completed": 0, "failed": 0})
    return {**{key: value for key, value in batch.items() if key not in ("lines", "n_looks", "ending", "counts")},
            "request_counts": counts}  # fmt: skip


def make_list(items):
    return {"object": "list", "data": items, "has_more": False}


def read_form(body, content_type):
    """The name and content of the file in a multipart form."""
    form = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    [part] = [part for part in form.get_payload() if part.get_filename()]
    return part.get_filename(), part.get_payload(decode=True)


def find_text(body):
    """The text that a request is about: the last one shown."""
    shown = [part["content"] for part in body["messages"] if part["role"] == "user" and "<text-" in part["content"]]
    return re.search(r"<text-(\w+)>\n(.*?)\n</text-\1>", shown[-1], re.DOTALL).group(2)


def make_handler(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path.removeprefix("/v1")
            status, said = server.handle(self.command, path, body, self.headers.get("Content-Type", ""))
            if status == "lost":
                self.close_connection = True
                return
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = do  # noqa: N815 (the names are the base class's)

        def log_message(self, *_):
            pass

    return Handler
