"""Labelled data of users, through the command that takes it: all of it is read or named, and nothing else happens."""

from __future__ import annotations

import json
from functools import cache

import pytest
import spacy
from anything import fuzz, halves, json_values, words
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_falconer.cli.app import app
from spacy_falconer.errors import FalconerError
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import parse_plan, write_plan
from spacy_falconer.workflow.own.conll import MARKER, is_comment
from spacy_falconer.workflow.own.forms import read_labelled
from spacy_falconer.workflow.own.names import Names, parse_renames

STEPS = [
    {"id": "sports", "op": "get_label", "instruction": "It is about sports.", "one_of": "kind"},
    {"id": "arts", "op": "get_label", "instruction": "It is about arts.", "one_of": "kind"},
    {"id": "person", "op": "get_span", "instruction": "Names of people."},
    {"id": "place", "op": "get_span", "instruction": "Names of places."},
]
PLAN = parse_plan({"instruction": "Who wins where", "steps": STEPS, "output": ["person"]})
NAMES = ["PER=person", "Sport=sports"]
NOTE = {"text": "", "asked": {"sports": {"op": "get_label", "instruction": "It is about sports."}}}

labels = st.sampled_from(["PER", "person", "place", "Sport", "sports", "arts"]) | st.sampled_from(
    ["place", "arts", "x\x1b[2J", "\ud800"]
)
texts = st.sampled_from(["Bob won in New York.", "👍 Ada left.\nIt rained.", " ", "x"]) | words | halves
places = st.sampled_from([0, 3, 4, 7, 8, 11, -1, 25, 10**400])
times = st.sampled_from([1.5e9, 10**400, "2026-01-01T00:00:00Z", "0001-01-01T00:00:00", "9999-12-31T23:59:59"])
NEEDED = {"text", "data", "fields", "type", "value", "start", "end", "label", "labels", "result"}


@st.composite
def some(draw, **fields):
    """A record with most of these fields, and now and then something else in one of them."""
    record = {name: draw(value) for name, value in fields.items() if name in NEEDED or draw(st.integers(0, 4))}
    spoiled = draw(st.sampled_from([None] * 8 + list(fields)))
    return record if spoiled is None else {**record, spoiled: draw(json_values)}


spans = st.lists(some(start=places, end=places, label=labels, text=texts), max_size=3)
prodigy = some(
    text=texts, spans=spans, label=labels, options=st.lists(some(id=labels), max_size=3), accept=st.lists(labels, max_size=3),
    answer=st.sampled_from(["accept", "reject", "ignore"]), _view_id=st.sampled_from(["ner", "spans_manual"]),
    _timestamp=times, _annotator_id=words, falconer=st.just(NOTE) | some(text=words, asked=st.dictionaries(words, json_values)),
)  # fmt: skip
value = some(
    start=places, end=places, text=texts, labels=st.lists(labels, max_size=2), choices=st.lists(labels, max_size=2)
)
result = some(type=st.sampled_from(["labels", "choices", "rating"]), value=value)
annotation = some(
    result=st.lists(result, max_size=3), completed_by=st.integers() | some(email=words, id=words), updated_at=times,
    was_cancelled=st.booleans(), ground_truth=st.booleans(),
)  # fmt: skip
label_studio = some(data=some(text=texts, falconer=json_values), annotations=st.lists(annotation, max_size=3))
response = some(
    value=st.lists(labels, max_size=2) | spans, user_id=words, status=st.sampled_from(["submitted", "draft"])
)
argilla = some(
    fields=some(text=texts), text=texts, metadata=some(falconer=words | json_values),
    responses=st.dictionaries(st.sampled_from(["labels", "spans", "reviewed"]), st.lists(response, max_size=2)),
) | st.fixed_dictionaries(
    {"text": texts, "labels.responses": st.lists(st.lists(labels)) | json_values},
    optional={"labels.responses.users": json_values, "labels.responses.status": st.lists(words) | json_values},
)  # fmt: skip


def write_lines(records):
    return "\n".join(map(json.dumps, records)).encode()


def many(record):
    """Records, one a line or as a list; or the bytes of something else."""
    records = st.lists(record | record | record | json_values, max_size=4)
    written = records.map(write_lines) | records.map(lambda some: json.dumps(some).encode())
    return st.integers(0, 6).flatmap(lambda n: written if n else st.binary(max_size=60))


cells = st.sampled_from(["Bob", "O", "B-PER", "B-", "#", "-DOCSTART-", "``", "é", "\x0b", "\x85", "\u2028"])
tokens = st.tuples(st.sampled_from(["Bob", "$", '"', "👍"]), st.sampled_from(["O", "B-PER", "I-PER", "L-place"]))
rows = st.lists(st.integers(0, 6).flatmap(lambda n: tokens if n else st.lists(cells | words, max_size=4)), max_size=9)
conll = st.tuples(st.sampled_from([" ", "\t"]), st.sampled_from(["\n", "\r\n", "\r"]), rows).map(
    lambda parts: parts[1].join(parts[0].join(row) for row in parts[2]).encode()
)


@st.composite
def docbins(draw):
    """spaCy's own data, with what can be set on a doc; or a file that is damaged."""
    vocab, docs = Vocab(), []
    for tokens in draw(
        st.lists(st.lists(st.sampled_from(["Bob", "won", ".", " ", "\n", "👍"]), max_size=6), max_size=3)
    ):
        doc = Doc(vocab, words=tokens, user_data=draw(st.dictionaries(words, words, max_size=1)))
        pairs = st.tuples(st.integers(0, len(tokens)), st.integers(0, len(tokens)))
        found = [Span(doc, *sorted(pair), label=draw(words)) for pair in draw(st.lists(pairs, max_size=3))]
        if draw(st.booleans()):
            doc.set_ents([one for one in found if len(one)][:1], default=draw(st.sampled_from(["outside", "missing"])))
        for name in draw(st.lists(st.sampled_from(["sc", "gold", "x"]), max_size=2)):
            doc.spans[name] = SpanGroup(
                doc,
                name=name,
                spans=found,
                attrs=draw(
                    st.just({}) | st.fixed_dictionaries({"asked": st.lists(words, max_size=2) | words | st.none()})
                ),
            )
        doc.cats = draw(
            st.dictionaries(
                st.sampled_from(["Sport", "arts"]) | words, st.floats() | st.booleans() | words | st.none(), max_size=2
            )
        )
        docs.append(doc)
    data = DocBin(docs=docs, store_user_data=True).to_bytes()
    cut = draw(st.integers(0, len(data))) if draw(st.integers(0, 4)) == 4 else None
    return data if cut is None else data[:cut] + draw(st.binary(max_size=4)) + data[cut + 1 :]


FILES = [
    ("conll", "conll", conll | conll | st.binary(max_size=60)),
    ("docbin", "spacy", docbins()),
    ("prodigy", "jsonl", many(prodigy)),
    ("label-studio", "json", many(label_studio)),
    ("argilla", "jsonl", many(argilla)),
]
each_form = pytest.mark.parametrize(("form", "ending", "contents"), FILES, ids=[form for form, *_ in FILES])
wholes = st.sampled_from([None, True, False])


def some_of_it(divisor):
    """As much as is tried elsewhere, divided: a command takes its time."""
    return settings(fuzz, max_examples=fuzz.max_examples // divisor)


@each_form
@some_of_it(2)
@given(data=st.data(), complete=wholes)
def test_each_record_is_read_or_has_a_reason(form, ending, contents, tmp_path, data, complete):
    path = tmp_path / f"data.{ending}"
    path.write_bytes(data.draw(contents))
    names = Names(PLAN, parse_renames(NAMES, PLAN))
    try:
        read = list(read_labelled(path, form, names, complete=complete, text_field="text"))
    except FalconerError as error:
        assert str(path) in str(error)
        return
    where = list(dict.fromkeys(one.where for one in read))
    assert len(where) == count_records(path, form), (where, path.read_bytes())


def count_records(path, form):
    if form == "docbin":
        return len(DocBin().from_disk(path))
    text = path.read_text(encoding="utf-8-sig")
    if form == "conll":
        return count_sentences(text)
    return (
        len(json.loads(text)) if text.lstrip().startswith("[") else sum(bool(one.strip()) for one in text.split("\n"))
    )


def count_sentences(text):
    """Lines that belong together, without comments."""
    lines = [line.strip().split("\t" if "\t" in text else None) for line in text.split("\n")]
    kinds = [
        "end" if not "".join(one).strip() or one[0].strip() == MARKER else "other" if is_comment(one) else "token"
        for one in lines
    ]
    spoken = [kind for kind in ["end", *kinds] if kind != "other"]
    return sum(kind == "token" and before == "end" for before, kind in zip(spoken, spoken[1:], strict=False))


@pytest.fixture(scope="module", autouse=True)
def one_language():
    """spaCy makes a language anew for every file, which takes longer than all else here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spacy, "blank", cache(spacy.blank))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("own")
    write_plan(PLAN, path / "plan.json")
    return path


def run(*arguments):
    """Run a command of ours: it ends well, or says in words why it does not."""
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code in (0, 1) and result.output.strip()


def check_store(path):
    """What is kept stands in its text."""
    with AnswerStore(path) as store:
        for answer in store.export():
            for quote in (one for quotes in answer.spans.values() for one in quotes):
                assert answer.text[quote.start : quote.start + len(quote.quote)] == quote.quote != ""


@each_form
@some_of_it(5)
@given(data=st.data(), complete=st.sampled_from([[], ["--complete"], ["--partial"]]))
def test_what_is_taken_stands_in_its_text(form, ending, contents, folder, data, complete):
    path, store = folder / f"data.{ending}", folder / "answers.db"
    path.write_bytes(data.draw(contents))
    names = [word for one in NAMES for word in ("--map", one)]
    run(
        "answers", "import", path, "--plan", folder / "plan.json", "--store", store, "--format", form, *names, *complete
    )
    check_store(store)


@pytest.mark.parametrize(("form", "ending", "contents"), FILES[2:], ids=[form for form, *_ in FILES[2:]])
@some_of_it(5)
@given(data=st.data())
def test_what_people_did_is_taken_or_refused_in_words(form, ending, contents, folder, data):
    path, store = folder / f"data.{ending}", folder / "reviews.db"
    path.write_bytes(data.draw(contents))
    run("review", "import", folder / "plan.json", path, "--store", store)
    check_store(store)


def doc_with(**cats):
    doc = Doc(Vocab(), words=["Bob"])
    doc.cats = cats
    return DocBin(docs=[doc]).to_bytes()


TASK = {"text": "Bob won.", "spans": [{"start": 0, "end": 3, "label": "PER"}], "answer": "accept"}
SUBMITTED = {"value": ["sports"], "status": ["submitted"]}


@pytest.mark.parametrize(
    ("form", "ending", "found"),
    [
        ("docbin", "spacy", doc_with(Sport="yes")),
        ("prodigy", "jsonl", write_lines([{**TASK, "_timestamp": 10**400}])),
        (
            "prodigy",
            "jsonl",
            write_lines([{**TASK, "spans": [*TASK["spans"], {"start": 0, "end": 3, "label": "\ud800"}]}]),
        ),
        ("argilla", "jsonl", write_lines([{"fields": {"text": "Bob won."}, "responses": {"labels": [SUBMITTED]}}])),
    ],
)
def test_what_once_broke_it(form, ending, found, folder):
    path = folder / f"old.{ending}"
    path.write_bytes(found)
    run(
        "answers",
        "import",
        path,
        "--plan",
        folder / "plan.json",
        "--store",
        folder / "old.db",
        "--format",
        form,
        "--map",
        "PER=person",
    )
