from __future__ import annotations

import asyncio
import json
import random
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_falconer.errors import RedactError
from spacy_falconer.llm.ask import ask_answers
from spacy_falconer.llm.chat import Chat, Reply
from spacy_falconer.llm.edits import Edit, apply_edits, find_edits
from spacy_falconer.llm.questions import make_messages
from spacy_falconer.llm.redact import Redactor, hide_answers, load_redactor
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import parse_plan
from spacy_falconer.types import Answer, CharSpan, Quote

TEXT = "Anna Smith paid $25 to Bob in Nice."
NAMES = re.compile(r"Anna Smith|Bob")
WORDS = st.lists(st.sampled_from(["a", "b", "c", " ", ".", "né", "[", "]", "日", "本"]), max_size=12).map("".join)


def hide_names(text):
    return NAMES.sub("[NAME]", text)


def list_names(text):
    return [(*match.span(), "[NAME]") for match in NAMES.finditer(text)]


def redact(text, function):
    return Redactor(function, "rules:function").apply(text)


def spans_of(answer):
    return [(quote.quote, quote.start) for quote in answer.spans["Words."]]


def said(text, *quotes):
    """An answer with quotes that stand in the text."""
    return Answer(text, "m", {"Good.": True}, {"Words.": tuple(Quote(quote, text.index(quote)) for quote in quotes)})


@pytest.mark.parametrize("function", [hide_names, list_names], ids=["text", "changes"])
@pytest.mark.parametrize(
    ("quote", "original"),
    [
        ("[NAME] paid", "Anna Smith paid"),
        ("[NAME]", "Anna Smith"),
        ("NAME", "Anna Smith"),  # in part: stands for the whole
        ("$25", "$25"),
        ("$25 to [NAME] in", "$25 to Bob in"),
        ("in Nice", "in Nice"),
    ],
)
def test_a_quote_becomes_the_original_words(function, quote, original):
    redacted = redact(TEXT, function)
    assert redacted.text == "[NAME] paid $25 to [NAME] in Nice."
    answer = redacted.restore(said(redacted.text, quote))
    assert spans_of(answer) == [(original, TEXT.index(original))]
    assert (answer.text, answer.labels, answer.model) == (TEXT, {"Good.": True}, "m")


@pytest.mark.parametrize(
    ("changes", "quote", "expected"),
    [
        ([(5, 11, "")], "paid", ("paid", 11)),  # deleted, beside the quote
        ([(5, 11, "")], "Anna paid", ("Anna Smith paid", 0)),  # and inside it
        ([(0, 0, "Note: ")], "Note", ("Note", None)),  # added: stands for nothing
        ([(0, 0, "Note: ")], "Note: Anna", ("Anna", 0)),
        ([(16, 19, "\N{MONEY BAG}")], "\N{MONEY BAG} to", ("$25 to", 16)),
        ([(11, 15, "X"), (0, 10, "Y")], "Y X", ("Anna Smith paid", 0)),  # in any order
        ([], "Bob", ("Bob", 23)),
    ],
)
def test_changes_are_exact(changes, quote, expected):
    redacted = redact(TEXT, lambda text: changes)
    assert spans_of(redacted.restore(said(redacted.text, quote))) == [expected]


def test_two_quotes_in_one_replaced_passage_are_one():
    redacted = redact("I met Anna Smith.", lambda text: text.replace("Anna Smith", "[FIRST] [LAST]"))
    assert spans_of(redacted.restore(said(redacted.text, "[FIRST]", "[LAST]"))) == [("Anna Smith", 6)]


def test_a_quote_without_a_place_stays_without_one():
    answer = Answer("[NAME].", "m", {}, {"Words.": (Quote("Carl"),)})
    assert spans_of(redact("Anna Smith.", hide_names).restore(answer)) == [("Carl", None)]


@given(WORDS, WORDS)
def test_found_edits_make_the_one_text_of_the_other(old, new):
    edits = find_edits(old, new)
    assert apply_edits(old, edits) == new
    assert all(one.end < after.start for one, after in zip(edits, edits[1:], strict=False))
    assert all(old[edit.start : edit.end] != edit.replacement for edit in edits)


@st.composite
def edited(draw):
    text = draw(st.text(st.sampled_from("ab $é\n"), max_size=30))
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pairs = zip(places[::2], places[1::2], strict=False)
    return text, [Edit(start, end, draw(st.text("XY [", max_size=4))) for start, end in pairs]


@given(edited(), st.data())
def test_every_stretch_maps_to_what_it_stands_for(case, data):
    text, edits = case
    redacted = redact(text, lambda text: edits)
    assert redacted.text == apply_edits(text, edits)
    end = data.draw(st.integers(0, len(redacted.text)))
    start = data.draw(st.integers(0, end))
    if start == end:
        return
    place = redacted.to_original(start, end)
    assert 0 <= place.start <= place.end <= len(text)
    # Each character that was kept, or replaced by some of the stretch, is in its place, and no other one is.
    stand = stands_for(text, edits)
    wanted = [at for at in range(len(text)) if any(start <= sent < end for sent in stand[at])]
    inside = [at for at in range(place.start, place.end) if stand[at]]
    assert inside == wanted


@given(edited(), st.data())
def test_there_and_back_covers_the_stretch(case, data):
    text, edits = case
    redacted = redact(text, lambda text: edits)
    end = data.draw(st.integers(0, len(text)))
    start = data.draw(st.integers(0, end))
    sent = redacted.to_redacted(start, end)
    if start < end and sent.start < sent.end:
        back = redacted.to_original(sent.start, sent.end)
        kept = [at for at in range(start, end) if stands_for(text, edits)[at]]
        assert all(back.start <= at < back.end for at in kept)


def stands_for(text, edits):
    """For each character of the original, where in the redacted text it is, or what replaced it."""
    places, moved = {at: [] for at in range(len(text))}, 0
    changed = {at for edit in edits for at in range(edit.start, edit.end)}
    for edit in edits:
        sent = range(edit.start + moved, edit.start + moved + len(edit.replacement))
        places.update({at: list(sent) for at in range(edit.start, edit.end)})
        moved += len(edit.replacement) - (edit.end - edit.start)
    for at in set(places) - changed:
        shift = sum(len(edit.replacement) - (edit.end - edit.start) for edit in edits if edit.end <= at)
        places[at] = [at + shift]
    return places


def test_a_long_text_with_many_changes_is_aligned_word_for_word():
    text = " ".join(f"On day {n} the client Smith{n} paid and the bank agreed." for n in range(4_000))
    redacted = redact(text, lambda text: re.sub(r"Smith\d+", "[NAME]", text))
    assert [text[edit.start : edit.end] for edit in redacted.edits] == [f"Smith{n}" for n in range(4_000)]


def test_a_long_text_of_few_words_is_aligned_too():
    words = random.Random(0).choices(["the", "a", "of", "to", "and", "in", "it", "is", "no", "yes"], k=5_000)
    redacted = redact(" ".join(words), lambda text: re.sub(r"\bno\b", "[X]", text))
    hidden = sum(edit.end - edit.start for edit in redacted.edits)
    assert hidden < 1.5 * (words.count("no") * len("no"))


def test_scripts_without_spaces_are_aligned_by_characters():
    redacted = redact("\u738b\u5c0f\u660e\u6628\u5929\u4ed8\u4e86\u94b1", lambda text: "[N]" + text[3:])
    assert redacted.edits == (Edit(0, 3, "[N]"),)


def test_examples_hold_none_of_the_hidden_words():
    steps = [{"id": "who", "op": "get_span", "instruction": "People."}]
    plan = parse_plan({"instruction": "People", "steps": steps})
    spans = {"People.": (Quote("Anna Smith", 0), Quote("Bob"), Quote("Dora"))}
    [example] = hide_answers([Answer(TEXT, "m", {}, spans, gold=Answer(TEXT, "gold"))], Redactor(hide_names, "names"))
    assert example.gold is None
    sent = make_messages(redact("Bob left.", hide_names).text, plan.steps, [example])
    assert json.loads(sent[2]["content"]) == {"who": ["[NAME]", "[NAME]"]}
    assert not re.search("Anna|Smith|Bob|Dora", json.dumps(sent))


class Listening(Chat):
    """Hears what is sent. Every first reply quotes what the text does not have."""

    def __init__(self):
        super().__init__("m", max_in_flight=1)
        self.heard = []

    async def ask(self, messages, *, schema=None, step=""):
        self.heard.append(messages)
        is_repair = messages[-2]["role"] == "assistant" and len(messages) > 4
        if "passages" in messages[1]["content"]:
            n_passages = len(re.findall(r"^who \d+:", messages[1]["content"], re.MULTILINE))
            said = {"who": [{"N": number + 1, "old": True} for number in range(n_passages)]}
        else:
            said = {"who": ["[NAME]"] if is_repair else ["Nobody of that name"]}
        return Reply(json.dumps(said), "m", 1, 1, is_estimated=False)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.sampled_from(["a word ", "\u00a7Anna\u00a7 ", "and \u00a7B C\u00a7. ", "\n"]), min_size=1, max_size=30),
    st.booleans(),
)
def test_no_request_holds_what_is_hidden(parts, is_long):
    """The text, its windows, corrections, examples and passages; of a text in which all between two signs is hidden."""
    text = (
        "".join(parts)
        + ("\u00a7Dora\u00a7 wrote. " + "Many a word. " * 600) * (2 if is_long else 0)
        + "\u00a7Dora\u00a7"
    )
    steps = [{"id": "who", "op": "get_span", "instruction": "People."},
             {"id": "old", "op": "get_label", "instruction": "{span} is old.", "for_each": "who"}]  # fmt: skip
    plan, chat = parse_plan({"instruction": "People", "steps": steps}), Listening()
    example = Answer("\u00a7Eve\u00a7 left", "m", {}, {"People.": (Quote("\u00a7Eve\u00a7", 0),)})
    hidden = re.compile("\u00a7[^\u00a7]*\u00a7")
    redactor = Redactor(lambda text: [(*match.span(), "[NAME]") for match in hidden.finditer(text)], "rules:hide")
    with TemporaryDirectory() as folder, AnswerStore(Path(folder) / "answers.db") as store:
        asyncio.run(ask_answers([text], plan, chat, store, examples=[example], redact=redactor))
        [answer] = store.export()
    assert not re.search("\u00a7|Anna|Dora|Eve|B C", json.dumps(chat.heard, ensure_ascii=False))
    assert "[NAME] left" in str(chat.heard)
    found = answer.spans["People."]
    assert found and all(hidden.fullmatch(quote.quote) for quote in found)
    assert all(text.startswith(quote.quote, quote.start) for quote in found)
    assert [one.labels for one in answer.about.values()] == [{f"{quote.quote} is old.": True} for quote in found]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda text: None, "TypeError"),
        (lambda text: 1 / 0, "ZeroDivisionError"),
        (lambda text: [(0, 99, "")], r"\(0, 99, ''\)"),
        (lambda text: [(0, 5, ""), (4, 6, "")], r"\(4, 6"),
        (lambda text: [(5, 4, "")], r"\(5, 4, ''\)"),
        (lambda text: ["abc"], "'abc'"),
        (lambda text: [(0, 1, None)], "None"),
        (lambda text: [(0, 1)], r"\(0, 1\)"),
        (lambda text: b"bytes", "98"),
    ],
)
def test_a_function_that_fails_lets_no_text_out(function, words):
    with pytest.raises(RedactError, match=f"rules:function.*(?:{words}).*not sent"):
        redact(TEXT, function)


def test_a_function_of_a_module_in_this_folder(tmp_path, monkeypatch):
    (tmp_path / "my_redaction_rules.py").write_text("class Rules:\n    @staticmethod\n    def hide(text): return 'X'\n")
    monkeypatch.chdir(tmp_path)
    redactor = load_redactor("my_redaction_rules:Rules.hide")
    assert redactor.apply("anything").text == "X"
    assert redactor.apply("anything").to_original(0, 1) == CharSpan(0, 8)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rules", "module:function"),
        ("rules.py:hide", "module:function"),
        (":hide", "module:function"),
        ("no_such_module:hide", "no_such_module"),
        ("json:no_such_function", "no_such_function"),
        ("json:__doc__", "not a function"),
    ],
)
def test_a_name_of_no_function_is_refused(name, words):
    with pytest.raises(RedactError, match=words):
        load_redactor(name)


def test_a_module_that_fails_is_told(tmp_path, monkeypatch):
    (tmp_path / "my_broken_rules.py").write_text("def hide(text) return text")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RedactError, match="'my_broken_rules:hide' cannot be loaded: SyntaxError"):
        load_redactor("my_broken_rules:hide")
