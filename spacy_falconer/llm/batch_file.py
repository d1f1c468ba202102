"""The files of a batch: the requests, one per line, and their outcomes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from tempfile import TemporaryFile
from types import SimpleNamespace
from typing import IO, Any

from spacy_falconer.llm.chat import make_body
from spacy_falconer.llm.failure import ENDPOINT_STATUSES, hide_key
from spacy_falconer.llm.tokens import count_message_tokens, count_schema_tokens

URL = "/v1/chat/completions"
MAX_REQUESTS = 50_000  # Of one file,
MAX_BYTES = 200_000_000  # and its size; limits that providers set.
REFUSED = (400, 413, 422, *ENDPOINT_STATUSES)  # Statuses of requests that would be refused again.
N_LABEL, N_SPAN, N_AROUND = 6, 40, 10  # Expected tokens of a reply: a label, a step's quotes, the rest.


@dataclass(frozen=True)
class Request:
    """One request to a model.

    step: The step or steps that the ledger counts it for.
    n_before: How often the same was asked before without a usable reply.
    """

    model: str
    messages: Sequence[dict[str, str]]
    schema: dict[str, Any] | None
    step: Any = ""
    n_before: int = 0

    @cached_property
    def key(self) -> str:
        """A key that is the same for the same request, in this run and the next."""
        said = json.dumps([self.model, self.messages, self.schema, self.n_before], sort_keys=True)
        return sha256(said.encode("utf8")).hexdigest()[:32]

    @cached_property
    def n_tokens(self) -> tuple[int, int]:
        """The tokens of the request, and those expected of its reply."""
        if self.schema is None:
            return count_message_tokens(self.messages), N_SPAN
        n_input = count_message_tokens(self.messages) + count_schema_tokens(self.schema)
        kinds = [form.get("type") for form in self.schema.get("properties", {}).values()]
        return n_input, N_AROUND + sum(N_LABEL if kind == "boolean" else N_SPAN for kind in kinds)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a request: a completion, or the reason why there is none.

    is_refused: Whether the request would be refused again.
    status: The HTTP status, if there is one.
    """

    completion: dict[str, Any] | None = None
    reason: str = ""
    is_refused: bool = False
    status: int | None = None


def write_files(
    requests: Iterable[Request], form: str, *, max_requests: int, max_bytes: int
) -> Iterator[tuple[list[Request], IO[bytes]]]:
    """Write requests to files within the limits. Yield each file with its requests; it is deleted when the next one comes."""
    rest = iter(requests)
    request = next(rest, None)
    while request is not None:
        with TemporaryFile() as lines:
            inside: list[Request] = []
            while request is not None:
                line = make_line(request, form)
                if inside and (len(inside) == max_requests or lines.tell() + len(line) > max_bytes):
                    break
                lines.write(line)
                inside.append(request)
                request = next(rest, None)
            yield inside, lines


def make_line(request: Request, form: str) -> bytes:
    kind = "text" if request.schema is None else form
    body = make_body(request.model, list(request.messages), request.schema, kind)
    line = {"custom_id": request.key, "method": "POST", "url": URL, "body": body}
    return json.dumps(line).encode() + b"\n"


def read_outcomes(lines: Iterable[bytes]) -> Iterator[tuple[str, Outcome]]:
    """Yield the key and outcome of each request. Lines that name no request are skipped."""
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and isinstance(said.get("custom_id"), str):
            yield said["custom_id"], _read_outcome(said)


def to_object(value: Any) -> Any:
    """Turn JSON into objects like those of the official client, with attributes instead of keys."""
    if isinstance(value, dict):
        return SimpleNamespace(**{key: to_object(one) for key, one in value.items()})
    return [to_object(one) for one in value] if isinstance(value, list) else value


def _read_outcome(said: dict[str, Any]) -> Outcome:
    response, error = said.get("response") or {}, said.get("error") or {}
    status, body = response.get("status_code"), response.get("body")
    if status == 200 and isinstance(body, dict) and body.get("choices"):
        return Outcome(body)
    inner = body.get("error") if isinstance(body, dict) else body
    words = inner.get("message") if isinstance(inner, dict) else inner
    reason = hide_key(str(words or error.get("message") or error.get("code") or "no completion"))[:300]
    return Outcome(None, reason, status in REFUSED, status)
