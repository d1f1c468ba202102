"""What the tools give back of the tasks that they were given: in their documented forms, written by hand."""

from __future__ import annotations

import json
from datetime import datetime, timezone

USERS = {"ann": "0b0a5d8e-0d3c-4f64-9d3a-0c1d6f5e8a01", "bob": "6f1c2f0e-7c5b-4b7e-8f57-2a9be4f7b902"}


def finish_prodigy(task, labels, spans, *, by="ann", answer="accept", when=1_700_000_000):
    """A task as `db-out` gives it: with the person's answer, options chosen and spans marked."""
    text, tokens = task["text"], task["tokens"]
    marked = []
    for key, quote in spans:
        start = text.index(quote)
        inside = [token["id"] for token in tokens if start <= token["start"] < start + len(quote)]
        place = {"start": start, "end": start + len(quote), "token_start": inside[0], "token_end": inside[-1]}
        marked.append({**place, "label": key})
    session = {"_timestamp": when, "_annotator_id": f"review-{by}", "_session_id": f"review-{by}"}
    return {**task, "accept": labels, "spans": marked, "answer": answer, **session}


def finish_label_studio(task, labels, spans, *, by="ann", answer="accept", when=1_700_000_000):
    """A task as the export named JSON gives it, with one annotation."""
    text, result = task["data"]["text"], []
    for number, (key, quote) in enumerate(spans):
        start = text.index(quote)
        value = {"start": start, "end": start + len(quote), "text": quote, "labels": [key]}
        names = {"id": f"r{number}", "from_name": "spans", "to_name": "text", "type": "labels"}
        result.append({**names, "value": value, "origin": "manual"})
    if labels:  # Where nothing is chosen, there is no result.
        names = {"id": "c", "from_name": "labels", "to_name": "text", "type": "choices"}
        result.append({**names, "value": {"choices": labels}, "origin": "manual"})
    time = datetime.fromtimestamp(when, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    times = {"created_at": "2023-11-14T22:00:00.000000Z", "updated_at": time}
    who = {"id": 7, "completed_by": {"id": sorted(USERS).index(by) + 1, "email": f"{by}@example.org"}}
    annotation = {**who, "result": result, "was_cancelled": answer == "ignore", "ground_truth": False, **times}
    return {"id": 1, "annotations": [annotation], "drafts": [], "meta": {}, **task}


def finish_argilla(record, labels, spans, *, by="ann", answer="accept", when=0):
    """A record as `to_list(flatten=True)` gives it, with one user's response to each question."""
    text = record["fields"]["text"]
    marked = [{"label": key, "start": text.index(quote), "end": text.index(quote) + len(quote)} for key, quote in spans]
    flat = {"id": record["id"], "status": "completed", "_server_id": "x", **record["fields"], **record["metadata"]}
    said = {"labels": labels or None, "spans": marked, "reviewed": "checked" if answer == "accept" else "unsure"}
    for name, value in said.items():
        if value is not None:
            status = "discarded" if answer == "ignore" else "submitted"
            flat |= {f"{name}.responses": [value], f"{name}.responses.users": [USERS[by]]}
            flat |= {f"{name}.responses.status": [status]}
    return flat


FINISH = {"prodigy": finish_prodigy, "label-studio": finish_label_studio, "argilla": finish_argilla}


def read_tasks(path):
    content = path.read_text(encoding="utf8")
    return json.loads(content) if content.startswith("[") else [json.loads(line) for line in content.splitlines()]
