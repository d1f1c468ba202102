"""The project's own training texts: annotated kinds of entities, and small corpora with their instructions.

Both are gzipped JSONL; `pretraining/README.md` tells what a line holds and who wrote it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spacy_falconer.errors import CorpusError
from spacy_falconer.grounding import find_quotes
from spacy_falconer.metamodel.pretrain.data import Characters, Row, read_lines
from spacy_falconer.types import Quote

Wordings = dict[str, tuple[str, ...]]


def read_types(path: Path) -> list[Row]:
    """Read texts with the kinds of passages that are, or are not, in them, each kind in words of its own."""
    rows = []
    for line in read_lines(path):
        spans = {kind: _place(line["text"], quotes, path) for kind, quotes in line["spans"].items()}
        rows.append(Row(line["text"], line["source"], spans=spans, labels=line["labels"], worded=True))
    return rows


def read_corpora(path: Path) -> tuple[dict[str, list[Row]], dict[str, Wordings]]:
    """Read the rows of every small corpus, and the wordings of its instructions, both by the corpus's name."""
    rows: dict[str, list[Row]] = {}
    wordings: dict[str, Wordings] = {}
    for line in read_lines(path):
        name = f"corpus {line['corpus']}"
        if "text" not in line:
            rows[name] = []
            wordings[name] = {key: tuple(ways) for key, ways in (line["labels"] | line["spans"]).items()}
            continue
        spans = {key: _place(line["text"], quotes, path) for key, quotes in line["spans"].items()}
        rows[name].append(Row(line["text"], name, spans=spans, labels=line["labels"]))
    return rows, wordings


def _place(text: str, quotes: Sequence[str], path: Path) -> tuple[Characters, ...]:
    places = find_quotes(text, [Quote(quote) for quote in quotes])
    if None in places:
        missing = quotes[places.index(None)]
        raise CorpusError(f"{path}: {missing!r} is not a quote, in order, from {text[:60]!r}. Correct the line.")
    return tuple((place.start, place.end) for place in places if place is not None)
