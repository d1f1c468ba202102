"""The endpoint that the environment names, and messages about its failures, none of which contains the key."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from spacy_falconer.errors import RequestError, ServerError

KEY, URL = "OPENAI_API_KEY", "OPENAI_BASE_URL"
MAX_WAIT_S = 300.0  # The longest Retry-After that is obeyed.
BUSY = (429, 503, 529)
ENDPOINT_STATUSES = (401, 403, 404)  # Every request would fail like this.
SPENT = "insufficient_quota"


@dataclass(frozen=True)
class Failure:
    """What a request got instead of a reply.

    kind: The error to raise when the request is given up.
    may_pass: The request may succeed when it is sent again.
    is_refusal: The server gets more requests than it can handle.
    wait_s: How long the server asks to wait, if it says so.
    """

    message: str
    sent_at: float
    kind: type[ServerError] = RequestError
    may_pass: bool = False
    is_refusal: bool = False
    is_bad_request: bool = False
    wait_s: float | None = None


def make_client(timeout_s: float) -> Any:
    """Return the official client for the endpoint that the environment names at this moment.

    RAISES (ServerError): The environment names no endpoint or key, or what it names is not one.
    """
    missing = [name for name in (URL, KEY) if not os.environ.get(name, "").strip()]
    if missing:
        raise ServerError(
            f"No language model can be asked: {' and '.join(missing)} not set in the environment. Set {URL} (for "
            f"OpenAI: https://api.openai.com/v1) and {KEY}; a server that needs no key accepts any word."
        )
    key = os.environ[KEY].strip()
    if not (key.isascii() and key.isprintable()):
        raise ServerError(f"{KEY} holds characters that no key contains. Copy the key again, exactly as it is.")
    from openai import AsyncOpenAI

    return AsyncOpenAI(api_key=key, base_url=_check_url(os.environ[URL].strip()), timeout=timeout_s, max_retries=0)


def explain(error: Exception, *, sent_at: float, timeout_s: float, model: str) -> Failure:
    """Say what went wrong and whether to try again. An error that does not come from the endpoint is re-raised."""
    import openai

    if isinstance(error, (asyncio.TimeoutError, openai.APITimeoutError)):
        message = f"The language model's endpoint did not reply in {timeout_s:g} s. Raise the timeout, or run again."
        return Failure(message, sent_at, may_pass=True, is_refusal=True)
    if isinstance(error, openai.APIStatusError):
        return _explain_status(error, sent_at, model)
    if isinstance(error, openai.APIConnectionError):
        cause = hide_key(repr(error.__cause__ or error))
        message = f"The connection to the language model's endpoint failed: {cause[:200]}. Check {URL}, or run again."
        return Failure(message, sent_at, may_pass=True)
    if isinstance(error, (openai.OpenAIError, json.JSONDecodeError, UnicodeDecodeError)):
        message = f"The endpoint's reply is broken: {hide_key(str(error))[:200]!r}. Expected JSON. Run again."
        return Failure(message, sent_at, may_pass=True)
    raise error


def hide_key(words: str) -> str:
    """Return the words without the key, which some servers repeat."""
    key = os.environ.get(KEY, "").strip()
    return words.replace(key, "***") if len(key) > 5 else words  # Where no key is needed, it may be any word.


def _check_url(url: str) -> str:
    """RAISES (ServerError): The URL is not the address of a server."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        shown = url.rpartition("@")[2]  # A password may come before it.
        raise ServerError(f"{URL} is {shown!r}; expected an address such as http://localhost:8000/v1. Correct it.")
    return url


def _explain_status(error: Any, sent_at: float, model: str) -> Failure:
    status = error.status_code
    said = f"HTTP {status}: {hide_key(_find_words(error))[:300]!r}"
    if status == 429 and _find_code(error) == SPENT:
        message = f"The endpoint's account has no money left ({said}). Add credit, then run again."
        return Failure(message, sent_at, ServerError)
    if status in ENDPOINT_STATUSES:
        message = f"The endpoint serves no requests for the model {model!r} ({said}). Check {URL}, {KEY} and --model."
        return Failure(message, sent_at, ServerError)
    if status in (408, 409, 429) or status >= 500:
        message = f"The language model's endpoint is busy or failed ({said}). Run again later, or with fewer in flight."
        return Failure(
            message, sent_at, may_pass=True, is_refusal=status in BUSY, wait_s=find_wait_s(error.response.headers)
        )
    message = f"The endpoint refuses the request ({said}). Check the model's context length, and --model."
    return Failure(message, sent_at, is_bad_request=status in (400, 422))


def _find_words(error: Any) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message") or body or error.response.text)


def _find_code(error: Any) -> str | None:
    return error.body.get("code") if isinstance(error.body, dict) else None


def find_wait_s(headers: Mapping[str, str]) -> float | None:
    """Return how long a server asks to wait, be it in milliseconds, in seconds or until a date; None if it does not say."""
    in_ms, said = headers.get("retry-after-ms", ""), headers.get("retry-after", "")
    with suppress(ValueError):
        return _limit(float(in_ms) / 1000)
    with suppress(ValueError):
        return _limit(float(said))
    with suppress(ValueError):
        return _limit(parsedate_to_datetime(said).timestamp() - time.time())
    return None


def _limit(wait_s: float) -> float:
    return min(max(0.0, wait_s), MAX_WAIT_S)
