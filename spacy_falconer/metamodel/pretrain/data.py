"""Read public data sets into one shape, and tell what may be trained on, what is held out and what is in the corpora."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from spacy_falconer.errors import CorpusError

Characters = tuple[int, int]

# Held out entirely: the zero-shot sets by which checkpoints are chosen, and those that are looked at once, at the end.
HELD_OUT_SPANS = ("crossner_politics", "crossner_science")
HELD_OUT_LABELS = ("sms_spam", "clickbait", "snips_intent", "banking77", "goemotions", "mams_categories")
UNTOUCHED = ("wnut17", "uner_ewt", "skillspan", "fin_sec", "restaurant8k")
SAME_TEXTS = ("snips_slots", "mams")  # Their texts are those of held-out label sets.
HELD_OUT = HELD_OUT_SPANS + HELD_OUT_LABELS + UNTOUCHED + SAME_TEXTS

BIOMEDICAL = (
    "ncbi_disease", "bc2gm", "anatem", "linnaeus", "craft", "bionlp13cg", "bionlp13pc", "bionlp11id",
)  # fmt: skip
SPANS = BIOMEDICAL + (
    "wikigold", "gum", "btc", "tweebank_ner", "stackoverflow_ner", "wetlab_protocols", "measeval", "cyner",
    "dstc8_slots", "nlupp_slots", "ae110k_products", "oamine_products",
)  # fmt: skip
LABELS = ("clinc150", "vader_snippets", "nlupp_intents")
QUESTIONS = ("squadshifts_wiki", "qamr", "qasrl_gs", "p3_qa_extract")
INSTRUCTIONS = ("nlupp_instructions", "open_instructions")
TRAINED_ON = SPANS + LABELS + QUESTIONS + INSTRUCTIONS

# In these, a label without a mention may still hold, so only what is annotated is asked.
INCOMPLETE = ("dstc8_slots", "ae110k_products", "oamine_products")
SHINGLE = 10  # Two texts must not share this many words in a row.


@dataclass(frozen=True)
class Row:
    """A text and what is known of it.

    spans, labels: Keyed by the set's own labels, or by instructions if `worded` is true.
    """

    text: str
    source: str
    spans: Mapping[str, tuple[Characters, ...]] = field(default_factory=dict)
    labels: Mapping[str, bool] = field(default_factory=dict)
    worded: bool = False


def read_rows(data: Path, name: str, split: str = "train") -> list[Row]:
    """Read a set as running text, one row per text."""
    detok = load_detok(data)
    lines = (_respace(line, detok, name) for line in read_lines(data / name / f"{split}.jsonl.gz"))
    if name == "open_instructions":
        return [_read_open(line) for line in lines]
    if name in QUESTIONS:
        return _group(lines, _read_question)
    if name == "nlupp_instructions":
        return _group(lines, _read_instruction)
    return [_read_labels(line) if "labels" in line else _read_spans(line) for line in lines]


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        raise CorpusError(f"No data set file {path}. Expected a gzipped JSONL file there: check the data folder.")
    with gzip.open(path, "rt", encoding="utf8") as file:
        for line in file:
            yield json.loads(line)


def read_shippable(data: Path) -> frozenset[str]:
    """Return the sets whose licence allows shipping weights trained on them, from the catalogue's table."""
    cells = ([cell.strip() for cell in line.split("|")] for line in _catalogue(data).splitlines() if line[:1] == "|")
    header, _, *rows = cells
    name, ship = header.index("name"), header.index("ship")
    return frozenset(row[name] for row in rows if row[ship] == "yes")


def check_sets(data: Path, names: Iterable[str]) -> None:
    """Raise an error for sets that may not be shipped, and for sets that are held out."""
    shippable = read_shippable(data)
    for name in names:
        if name not in shippable:
            raise CorpusError(
                f"The data set {name!r} may not be trained on for shipped weights: the catalogue does not say "
                f"ship = yes. Leave it out, or choose among: {', '.join(sorted(shippable))}."
            )
        if name in HELD_OUT:
            raise CorpusError(f"The data set {name!r} is kept aside for evaluation. Leave it out of the mix.")


def load_detok(data: Path) -> ModuleType:
    """Load the data folder's own rule for undoing the spaces between tokens."""
    spec = importlib.util.spec_from_file_location("falconer_detok", data / "detok.py")
    if spec is None or spec.loader is None or not (data / "detok.py").exists():
        raise CorpusError(f"No detok.py in {data}. Expected it beside the data sets: check the data folder.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def normalise(text: str) -> list[str]:
    """Return the words of a text without case, punctuation and spacing, so that copies of a text are equal."""
    return re.findall(r"[^\W_]+", text.casefold())


def remember_texts(texts: Iterable[str]) -> Callable[[str], bool]:
    """Make a function that tells whether a text, or ten words of it in a row, is in `texts`."""
    wholes: set[str] = set()
    shingles: set[int] = set()
    for text in texts:
        words = normalise(text)
        wholes.add(" ".join(words))
        shingles.update(_shingles(words))

    def is_known(text: str) -> bool:
        words = normalise(text)
        return " ".join(words) in wholes or not shingles.isdisjoint(_shingles(words))

    return is_known


def read_forbidden(data: Path, corpora: Path | None) -> Iterator[str]:
    """Yield all texts that may not be trained on: those of the corpora, and of every set that is held out."""
    for path in sorted(corpora.glob("*.jsonl")) if corpora else ():
        with path.open(encoding="utf8") as file:
            yield from (json.loads(line)["text"] for line in file)
    for name in HELD_OUT:
        for path in sorted((data / name).glob("*.jsonl.gz")):
            yield from (line["text"] for line in read_lines(path))


def _catalogue(data: Path) -> str:
    path = data / "CATALOG.md"
    if not path.exists():
        raise CorpusError(f"No catalogue {path}. Expected a table with columns name and ship: check the data folder.")
    return path.read_text(encoding="utf8")


def _shingles(words: list[str]) -> Iterator[int]:
    return (hash(tuple(words[i : i + SHINGLE])) for i in range(len(words) - SHINGLE + 1))


def _respace(line: dict[str, Any], detok: ModuleType, name: str) -> dict[str, Any]:
    """Undo the spaces before punctuation if a row has them."""
    if name == "open_instructions" or not re.search(r"\s[.,;:?!)](\s|$)|\s(n't|'s)\s", line["text"]):
        return line
    return detok.detok_row(line, join_hyphens=name in BIOMEDICAL)


def _read_spans(line: dict[str, Any]) -> Row:
    spans: dict[str, list[Characters]] = {}
    for span in line["spans"]:
        spans.setdefault(span["label"], []).append((span["start"], span["end"]))
    return Row(line["text"], line["source"], spans={label: tuple(found) for label, found in spans.items()})


def _read_labels(line: dict[str, Any]) -> Row:
    return Row(line["text"], line["source"], labels=dict.fromkeys(line["labels"], True))


def _read_open(line: dict[str, Any]) -> Row:
    spans = {key: tuple((start, end) for start, end in found) for key, found in line["spans"].items()}
    return Row(line["text"], line["source"], spans=spans, labels=line["labels"], worded=True)


def _read_question(line: dict[str, Any]) -> Row:
    found = tuple((span["start"], span["end"]) for span in line["answers"])
    return Row(line["text"], line["source"], spans={line["question"].strip(): found}, worded=True)


def _read_instruction(line: dict[str, Any]) -> Row:
    if line["kind"] == "label":
        return Row(line["text"], line["source"], labels={line["instruction"]: line["answer"]}, worded=True)
    found = tuple((span["start"], span["end"]) for span in line["answer"])
    return Row(line["text"], line["source"], spans={line["instruction"]: found}, worded=True)


def _group(lines: Iterable[dict[str, Any]], read: Callable[[dict[str, Any]], Row]) -> list[Row]:
    """Make one row per text. Texts that differ only in spacing are kept apart, because their offsets differ."""
    rows: dict[str, Row] = {}
    for line in lines:
        row = read(line)
        known = rows.get(row.text, row)
        rows[row.text] = replace(known, spans={**known.spans, **row.spans}, labels={**known.labels, **row.labels})
    return list(rows.values())
