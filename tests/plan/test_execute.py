"""Plans run over component outputs written by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from spacy_falconer.plan import execute, execute_sentences, parse_plan
from spacy_falconer.types import CharSpan, ScoredSpan

TEXT = "The lamp was $25, the bulb $5."
LAMP, BULB = ScoredSpan("lamp", 4, 8, 0.9), ScoredSpan("bulb", 22, 26, 0.8)
LAMP_PRICE, BULB_PRICE = ScoredSpan("$25", 13, 16, 0.95), ScoredSpan("$5", 27, 29, 0.7)

LAMP_AT = {"text": "lamp", "start": 4, "end": 8}
BULB_AT = {"text": "bulb", "start": 22, "end": 26}
LAMP_CELL = {**LAMP_AT, "score": 0.9}
BULB_CELL = {**BULB_AT, "score": 0.8}
LAMP_PRICE_CELL = {"text": "$25", "start": 13, "end": 16, "score": 0.95}
BULB_PRICE_CELL = {"text": "$5", "start": 27, "end": 29, "score": 0.7}


@dataclass
class ScriptedReader:
    """Answers by filled instruction, and remembers what it was asked. A label is a score, or (score, threshold)."""

    answers: dict
    asked: list[str] = field(default_factory=list)

    def read_label(self, step, instruction, source):
        self.asked.append(instruction)
        answer = self.answers[instruction]
        score, threshold = answer if isinstance(answer, tuple) else (answer, 0.5)
        return score, score >= threshold

    def read_spans(self, step, instruction, source):
        self.asked.append(instruction)
        return self.answers[instruction]


def make_plan(steps, **fields):
    """A plan of steps written as `id: instruction` (get_label) or `id* : instruction` (get_span), and their fields."""
    made = []
    for head, extra in steps:
        id, instruction = head.split(": ")
        op = "get_span" if id.endswith("*") else "get_label"
        made.append({"id": id.rstrip("*"), "op": op, "instruction": instruction, **extra})
    return parse_plan({"instruction": "x", "steps": made, **fields})


PRICES = [("positive: Happy", {}), ("price*: Prices", {"when": "positive"})]
TONE = [(f"{id}: {id.title()}", {"one_of": "tone"}) for id in ("good", "fair", "bad")]
PRODUCTS = [("product*: Products", {})]
PRAISED = [*PRODUCTS, ("praised: Praises {span}", {"for_each": "product"})]
COST = [*PRODUCTS, ("cost*: Price of {span}", {"for_each": "product"})]
VERDICT = [
    *PRODUCTS,
    ("praised: Praises {span}", {"for_each": "product", "one_of": "verdict"}),
    ("blamed: Blames {span}", {"for_each": "product", "one_of": "verdict"}),
]

CASES = [
    # when
    (
        "when is true: the step runs",
        make_plan(PRICES, keep="positive and price", output=["price"]),
        {"Happy": 0.97, "Prices": [LAMP_PRICE, BULB_PRICE]},
        ["Happy", "Prices"],
        {"labels": {"positive": 0.97}, "spans": {"price": [LAMP_PRICE_CELL, BULB_PRICE_CELL]}},
    ),
    (
        "when is false: the step is not read and has no value",
        make_plan(PRICES, output=["price"]),
        {"Happy": 0.2},
        ["Happy"],
        {"labels": {"positive": 0.2}, "spans": {}},
    ),
    (
        "a step that found nothing has an empty value",
        make_plan(PRICES, output=["price"]),
        {"Happy": 0.5, "Prices": []},
        ["Happy", "Prices"],
        {"labels": {"positive": 0.5}, "spans": {"price": []}},
    ),
    (
        "a step not run counts as false in a later when",
        make_plan([*PRICES, ("gift: Gift", {"when": "not price"})]),
        {"Happy": 0.2, "Gift": 0.6},
        ["Happy", "Gift"],
        {"labels": {"positive": 0.2, "gift": 0.6}, "spans": {}},
    ),
    (
        "a span step is true when it found something",
        make_plan([("price*: Prices", {}), ("cheap: Cheap", {"when": "price"})]),
        {"Prices": [BULB_PRICE], "Cheap": 0.8},
        ["Prices", "Cheap"],
        {"labels": {"cheap": 0.8}, "spans": {}},
    ),
    (
        "the threshold decides, not the score",
        make_plan(PRICES),
        {"Happy": (0.7, 0.8)},
        ["Happy"],
        {"labels": {"positive": 0.7}, "spans": {}},
    ),
    # keep
    ("keep is false", make_plan(PRICES, keep="price"), {"Happy": 0.9, "Prices": []}, ["Happy", "Prices"], None),
    ("keep reads a step not run", make_plan(PRICES, keep="price"), {"Happy": 0.1}, ["Happy"], None),
    (
        "keep holds by a step not run",
        make_plan(PRICES, keep="not price"),
        {"Happy": 0.1},
        ["Happy"],
        {"labels": {"positive": 0.1}, "spans": {}},
    ),
    (
        "output chooses the spans and their order",
        make_plan([("price*: Prices", {}), *PRODUCTS, ("part*: Parts", {})], output=["product", "price"]),
        {"Prices": [BULB_PRICE], "Products": [BULB], "Parts": [LAMP]},
        ["Prices", "Products", "Parts"],
        {"labels": {}, "spans": {"product": [BULB_CELL], "price": [BULB_PRICE_CELL]}},
    ),
    # one_of
    (
        "one_of: the highest score wins",
        make_plan(TONE, keep="fair and not good and not bad"),
        {"Good": 0.6, "Fair": 0.9, "Bad": 0.8},
        ["Good", "Fair", "Bad"],
        {"labels": {"good": 0.6, "fair": 0.9, "bad": 0.8}, "spans": {}},
    ),
    (
        "one_of: a score below its threshold cannot win",
        make_plan(TONE, keep="good and not fair and not bad"),
        {"Good": (0.4, 0.3), "Fair": (0.9, 0.95), "Bad": (0.2, 0.1)},
        ["Good", "Fair", "Bad"],
        {"labels": {"good": 0.4, "fair": 0.9, "bad": 0.2}, "spans": {}},
    ),
    (
        "one_of: none at its threshold, none true",
        make_plan(TONE, keep="not (good or fair or bad)"),
        {"Good": 0.4, "Fair": 0.3, "Bad": 0.2},
        ["Good", "Fair", "Bad"],
        {"labels": {"good": 0.4, "fair": 0.3, "bad": 0.2}, "spans": {}},
    ),
    (
        "one_of: of equal scores the first step's wins",
        make_plan(TONE, keep="fair and not bad"),
        {"Good": 0.1, "Fair": 0.7, "Bad": 0.7},
        ["Good", "Fair", "Bad"],
        {"labels": {"good": 0.1, "fair": 0.7, "bad": 0.7}, "spans": {}},
    ),
    (
        "one_of: a step not run is no rival",
        make_plan([PRICES[0], TONE[0], ("bad: Bad", {"one_of": "tone", "when": "not positive"})], keep="good"),
        {"Happy": 0.9, "Good": 0.6},
        ["Happy", "Good"],
        {"labels": {"positive": 0.9, "good": 0.6}, "spans": {}},
    ),
    (
        "one_of: a later when reads the choice",
        make_plan(
            [*TONE, ("why*: Why", {"when": "bad"}), ("price*: Prices", {"when": "good"})], output=["why", "price"]
        ),
        {"Good": 0.8, "Fair": 0.1, "Bad": 0.7, "Prices": [BULB_PRICE]},
        ["Good", "Fair", "Bad", "Prices"],
        {"labels": {"good": 0.8, "fair": 0.1, "bad": 0.7}, "spans": {"price": [BULB_PRICE_CELL]}},
    ),
    (
        "one_of: two groups do not meet",
        make_plan([(f"{id}: {id}", {"one_of": group}) for id, group in ("ax", "by", "cx", "dy")], keep="a and d"),
        {"a": 0.6, "b": 0.8, "c": 0.5, "d": 0.9},
        ["a", "b", "c", "d"],
        {"labels": {"a": 0.6, "b": 0.8, "c": 0.5, "d": 0.9}, "spans": {}},
    ),
    # for_each
    (
        "for_each: a label for each span, true when any is",
        make_plan(PRAISED, keep="praised", output=["product"]),
        {"Products": [LAMP, BULB], "Praises lamp": 0.2, "Praises bulb": 0.9},
        ["Products", "Praises lamp", "Praises bulb"],
        {
            "labels": {
                "praised": [
                    {"for": LAMP_AT, "score": 0.2, "value": False},
                    {"for": BULB_AT, "score": 0.9, "value": True},
                ]
            },
            "spans": {"product": [LAMP_CELL, BULB_CELL]},
        },
    ),
    (
        "for_each: false when none is",
        make_plan(PRAISED, keep="praised"),
        {"Products": [LAMP], "Praises lamp": 0.2},
        ["Products", "Praises lamp"],
        None,
    ),
    (
        "for_each: nothing found, nothing asked",
        make_plan(PRAISED, keep="not praised", output=["product"]),
        {"Products": []},
        ["Products"],
        {"labels": {"praised": []}, "spans": {"product": []}},
    ),
    (
        "for_each: the spans of each span, in one list",
        make_plan(COST, keep="cost", output=["cost"]),
        {"Products": [LAMP, BULB], "Price of lamp": [LAMP_PRICE], "Price of bulb": []},
        ["Products", "Price of lamp", "Price of bulb"],
        {"labels": {}, "spans": {"cost": [{**LAMP_PRICE_CELL, "for": LAMP_AT}]}},
    ),
    (
        "for_each: a source not run leaves no value",
        make_plan(
            [PRICES[0], ("product*: Products", {"when": "positive"}), *PRAISED[1:], *COST[1:]],
            keep="not praised and not cost",
            output=["product", "cost"],
        ),
        {"Happy": 0.1},
        ["Happy"],
        {"labels": {"positive": 0.1}, "spans": {}},
    ),
    (
        "for_each: equal words at two places are two readings",
        make_plan(PRAISED),
        {"Products": [ScoredSpan("it", 0, 2, 0.9), ScoredSpan("it", 9, 11, 0.9)], "Praises it": 0.75},
        ["Products", "Praises it", "Praises it"],
        {
            "labels": {
                "praised": [
                    {"for": {"text": "it", "start": 0, "end": 2}, "score": 0.75, "value": True},
                    {"for": {"text": "it", "start": 9, "end": 11}, "score": 0.75, "value": True},
                ]
            },
            "spans": {},
        },
    ),
    (
        "for_each with one_of: a choice for each span",
        make_plan(VERDICT, keep="praised and blamed"),
        {
            "Products": [LAMP, BULB],
            "Praises lamp": 0.9,
            "Praises bulb": 0.6,
            "Blames lamp": 0.7,
            "Blames bulb": 0.8,
        },
        ["Products", "Praises lamp", "Praises bulb", "Blames lamp", "Blames bulb"],
        {
            "labels": {
                "praised": [
                    {"for": LAMP_AT, "score": 0.9, "value": True},
                    {"for": BULB_AT, "score": 0.6, "value": False},
                ],
                "blamed": [
                    {"for": LAMP_AT, "score": 0.7, "value": False},
                    {"for": BULB_AT, "score": 0.8, "value": True},
                ],
            },
            "spans": {},
        },
    ),
]


@pytest.mark.parametrize(
    ("plan", "answers", "asked", "expected"), [pytest.param(*case, id=name) for name, *case in CASES]
)
def test_execute(plan, answers, asked, expected):
    reader = ScriptedReader(answers)
    assert execute(plan, reader) == expected
    assert reader.asked == asked


def test_unit_sentence():
    """Each sentence is a text of its own; its row carries its characters, and offsets are the document's."""
    text = "I love it. The lamp cost $25. Bah."
    plan = make_plan(
        [*PRICES, *PRODUCTS, ("cost*: Price of {span}", {"for_each": "product"})],
        keep="positive",
        output=["price", "cost"],
        unit="sentence",
    )
    lamp, price = ScoredSpan("lamp", 4, 8, 0.9), ScoredSpan("$25", 14, 17, 0.8)
    sentences = [
        (CharSpan(0, 10), ScriptedReader({"Happy": 0.9, "Prices": [], "Products": []})),
        (
            CharSpan(11, 29),
            ScriptedReader({"Happy": 0.6, "Prices": [price], "Products": [lamp], "Price of lamp": [price]}),
        ),
        (CharSpan(30, 34), ScriptedReader({"Happy": 0.1, "Products": []})),
    ]
    found = {"text": "$25", "start": 25, "end": 28, "score": 0.8}
    rows = execute_sentences(plan, sentences)
    assert rows == [
        {"sentence": {"start": 0, "end": 10}, "labels": {"positive": 0.9}, "spans": {"price": [], "cost": []}},
        {
            "sentence": {"start": 11, "end": 29},
            "labels": {"positive": 0.6},
            "spans": {"price": [found], "cost": [{**found, "for": {"text": "lamp", "start": 15, "end": 19}}]},
        },
    ]
    assert text[found["start"] : found["end"]] == "$25"
    assert text[15:19] == "lamp"


class PlaceReader(ScriptedReader):
    """Answers by the place of the passage that it is asked about."""

    def read_label(self, step, instruction, source):
        return self.answers[CharSpan(source.start, source.end)], True


def test_a_reader_is_told_which_passage_is_meant():
    lamps = [ScoredSpan("lamp", 0, 4, 0.9), ScoredSpan("lamp", 5, 9, 0.9)]
    said = {"Products": lamps, CharSpan(0, 4): 0.2, CharSpan(5, 9): 0.8}
    plan = make_plan(PRAISED, output=["product"])
    row = execute(plan, PlaceReader(said))
    assert [one["score"] for one in row["labels"]["praised"]] == [0.2, 0.8]
    sentence = make_plan(PRAISED, output=["product"], unit="sentence")
    (row,) = execute_sentences(sentence, [(CharSpan(10, 20), PlaceReader(said))])
    assert [(one["score"], one["for"]["start"]) for one in row["labels"]["praised"]] == [(0.2, 10), (0.8, 15)]


def test_the_row_is_plain_data_whatever_the_reader_gives():
    numpy = pytest.importorskip("numpy")
    spans = [ScoredSpan("lamp", numpy.int64(4), numpy.int64(8), numpy.float32(0.5))]
    reader = ScriptedReader({"Products": spans, "Praises lamp": numpy.float32(0.75)})
    row = execute(make_plan(PRAISED, output=["product"]), reader)
    assert json.loads(json.dumps(row)) == {
        "labels": {"praised": [{"for": LAMP_AT, "score": 0.75, "value": True}]},
        "spans": {"product": [{**LAMP_AT, "score": 0.5}]},
    }
