"""Runs to report, whole and hostile, and the pages that are made of them, as tests read them."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser

import spacy
import srsly

from spacy_falconer.corpus.docbin import make_docs, write_docbin
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import parse_plan, write_plan
from spacy_falconer.types import Answer, Quote
from spacy_falconer.workflow.page import make_page, read_run

TEXT = "i paid 😀 3 dollars and love it"
HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "<!--<script>",
    "]]></style><script>alert(1)</script>",
    "a\x00b\x1b\ud800c\udfff\ufffe\u2028\u2029\u202eevil\u2066",
    "{{ 7 * 7 }}{% raw %}&lt;b&gt;&#60;",
    "' onmouseover='alert(1)' x='`${alert(1)}`",
]


class Page(HTMLParser):
    """Every element of a page with its attributes, the text, and what stands in each script."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.words, self.scripts, self.inside = [], [], [], None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, attrs))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside != "style":
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words))

    @property
    def rows(self):
        return json.loads(self.scripts[0])

    @property
    def shape(self):
        """Which elements there are, and which attributes, whatever those hold."""
        return Counter((tag, tuple(name for name, _ in attrs)) for tag, attrs in self.elements)


def make_span(text, words, score=0.9, **more):
    start = text.index(words)
    return {"text": words, "start": start, "end": start + len(words), "score": score, **more}


def make_scores(p=0.9, r=0.8):
    label = {"p": p, "r": r, "f": 2 * p * r / (p + r), "n": 20}
    spans = {"macro_f": 0.5, "per_instruction": {"price": {"p": 0.5, "r": 0.5, "f": 0.5, "n": 20}}}
    return {"labels": {"macro_f": 0.85, "per_instruction": {"positive": label}}, "spans": spans, "n_texts": 20}


TOTALS = {
    "n_texts": 100, "n_rows": 3, "n_duplicates": 20, "n_skipped": 0, "n_rejected": 7, "n_damaged": 1,
    "n_unread_tokens": 13, "languages": {"de": 4, "ru": 1},
}  # fmt: skip


def make_line(f=0.8, **more):
    return {
        "p": f,
        "r": f,
        "f": f,
        "n": 20,
        "n_found": 7,
        "n_wanted": 6,
        "f_ci": [0.61, 0.93],
        "p_ci": None,
        "r_ci": None,
        **more,
    }


def make_part(key="positive", f=0.8):
    labels = {"macro_f": f, "macro_f_ci": [0.61, 0.93], "per_instruction": {key: make_line(f)}}
    spans = {"macro_f": 0.3, "macro_f_ci": [0.2, 0.4], "per_instruction": {"price": make_line(0.3)}}
    return {"labels": labels, "spans": spans, "n_texts": 20}


def make_full_scores(key="positive", text=TEXT):
    """All that `evaluate` measures."""
    start = text.find("3 dollars") if "3 dollars" in text else 0
    found, wanted = [[start, start + 9, 0.97]], [[start + 2, start + 9]]
    points = [{**make_part(key, f), "n_texts": n} for n, f in ((10, 0.5), (20, 0.7))]
    bins = [
        {"n": 10, "score": 0.2, "right": 0.1, "low": 0.0, "high": 0.3},
        {"n": 10, "score": 0.9, "right": 0.8, "low": 0.6, "high": 0.9},
    ]
    about = {"key": key, "text": text, "start": 0, "n_characters": len(text) + 7, "confidence": 0.97}
    return {
        **make_part(key), "rows": {"values": make_line(0.44)}, "notes": [f"A note about {key}"], "seed": 0,
        "baselines": {"keywords": {**make_part(key, 0.41), "rows": {}}, "zero_shot": make_part(key, 0.42)},
        "curve": {"kind": "heads", "points": points, "gain": {"from": 10, "to": 20, "labels": {"f": 0.2, "f_ci": [-0.1, 0.4]}}},
        "reliability": {"labels": {"ece": 0.123, "ece_ci": [0.1, 0.2], "n": 20, "bins": bins}, "spans": None},
        "slices": [{"by": "length", "name": f"{key} and short", "n_texts": 9, "labels": {"f": 0.77, "f_ci": [0.5, 0.9]}, "spans": None}],
        "disagreements": [
            {**about, "op": "get_span", "kind": "other", "found": found, "wanted": wanted},
            {**about, "op": "get_label", "kind": "more", "score": 0.97},
        ],
    }  # fmt: skip


def write_run(folder, plan, answers):
    """A whole run's folder, without the pipeline."""
    write_plan(plan, folder / "plan.json")
    docs, _ = make_docs(answers, plan, spacy.blank("en"))
    write_docbin(docs[:20], folder / "train.spacy")
    write_docbin(docs[20:], folder / "test.spacy")
    with AnswerStore(folder / "answers.db") as store:
        store.put_many(answers)
    srsly.write_json(folder / "scores.json", make_scores())
    rows = [
        {"id": f"r{n}", "labels": {"positive": 0.9, "gift": 0.1}, "spans": {"price": [make_span(TEXT, "3 dollars")]}}
        for n in range(3)
    ]
    write_mined(folder, rows, {**TOTALS, "n_rows": 3})
    srsly.write_jsonl(folder / "rows.rejects.jsonl", [{"file": "c.jsonl", "line": 8, "reason": "no text", "start": ""}])


def write_mined(folder, rows, totals):
    srsly.write_jsonl(folder / "rows.jsonl", rows)
    options = {"text_field": ["body"], "id_field": "key"}
    srsly.write_json(
        folder / "rows.manifest.json",
        {"files": {"rows": "rows.jsonl"}, "options": options, "totals": totals, "parts": []},
    )


def make_hostile(folder, evil):
    """A run in which `evil` stands wherever somebody else's words can."""
    clean = re.sub("[\ud800-\udfff]", "", evil)  # spaCy has no halves of characters.
    steps = [
        {"id": "positive", "op": "get_label", "instruction": f"It is {clean}.", "one_of": clean},
        {"id": "other", "op": "get_label", "instruction": "It is not.", "one_of": clean},
        {"id": "price", "op": "get_span", "instruction": clean, "when": "positive"},
        {"id": "about", "op": "get_label", "instruction": clean + "{span}", "for_each": "price"},
    ]
    plan = parse_plan({"instruction": clean, "steps": steps, "output": ["price"]})
    write_plan(plan, folder / "plan.json")
    answer = Answer(clean + " x", clean, {f"It is {clean}.": True}, {clean: (Quote("x"), Quote(clean + "?"))})
    docs, _ = make_docs([answer], plan, spacy.blank("en"))
    write_docbin(docs, folder / "train.spacy")
    write_docbin(docs, folder / "test.spacy")
    (folder / "answers.db").unlink(missing_ok=True)
    with AnswerStore(folder / "answers.db") as store:
        store.put_failure("text", [("get_label", clean)], model=clean, reason=clean)
    scores = make_full_scores(evil, evil * 3)
    (folder / "scores.json").write_text(json.dumps({**scores, "people": scores}))
    span = make_span(evil, evil, **{"for": {"text": evil, "start": 0, "end": 1}})
    cell = [{"for": {"text": evil, "start": 0, "end": 1}, "score": 0.4, "value": True}]
    row = {"id": evil, "labels": {"positive": 0.5, "about": cell}, "spans": {"price": [span]}, "fields": {evil: evil}}
    (folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
    manifest = {"files": {}, "totals": {**TOTALS, "n_rows": 1, "languages": {evil: 1}}, "parts": []}
    (folder / "rows.manifest.json").write_text(json.dumps(manifest))
    reject = {"file": evil, "line": 1, "reason": evil, "start": evil}
    (folder / "rows.rejects.jsonl").write_text(json.dumps(reject) + "\n")
    return make_page(read_run(folder), {evil: evil})
