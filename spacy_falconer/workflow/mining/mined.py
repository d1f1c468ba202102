"""Make rows: what was mined from a text, with its id and the corpus's other columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.errors import ModelError
from spacy_falconer.pipeline.plan import FalconerPlan
from spacy_falconer.plan import Plan
from spacy_falconer.plan.execute import Row
from spacy_falconer.types import Record

N_AFTER = 10_000  # Further records to read, in case one has an id that was found already.


def find_plan(nlp: Language) -> Plan:
    """Return the plan that the pipeline runs; of several, the last one, whose rows are those of `doc._.mined`.

    RAISES (ModelError): It has none.
    """
    if plans := list_plans(nlp):
        return plans[-1]
    raise ModelError(
        f"The pipeline holds no plan to mine by: {', '.join(nlp.pipe_names) or 'empty'}. "
        "Use one that `falconer train` wrote, or add 'falconer_plan' and call its set_plan(plan)."
    )


def reads_sentences(nlp: Language) -> bool:
    """Return whether the pipeline's plan is for sentences, which are cut before the pipeline reads them."""
    return any(plan.unit == "sentence" for plan in list_plans(nlp)[-1:])


def list_plans(nlp: Language) -> list[Plan]:
    """Return the plans that the pipeline runs, in its order; those of disabled components are not run."""
    return [pipe.plan for _, pipe in nlp.pipeline if isinstance(pipe, FalconerPlan) and pipe.plan is not None]


def find_mined(doc: Doc) -> list[Row]:
    """Return the rows mined from a doc: none or one, or with `unit: sentence` one for each sentence kept."""
    mined = doc._.mined
    return mined if isinstance(mined, list) else [mined] if mined is not None else []


def match_texts(items: Iterable[Any], ids: Collection[str]) -> dict[str, str]:
    """Return the texts with some ids. An id that different texts have is left out, as it is not clear which one is meant.

    items: Records, perhaps with other things among them. They are read until all ids are found, and `N_AFTER` further.
    """
    texts: dict[str, str] = {}
    several, n_after = set(), 0
    for item in items if ids else ():
        name = getattr(item, "id", None)
        if name in ids and texts.setdefault(name, item.text) != item.text:
            several.add(name)
        n_after += len(texts) == len(ids)
        if n_after > N_AFTER:
            break
    return {name: text for name, text in texts.items() if name not in several}


def make_rows(doc: Doc, record: Record) -> list[Row]:
    """Return what was mined from one text, with its id and the corpus's other columns."""
    return place_rows(find_mined(doc), record)


def place_rows(rows: Sequence[Row], record: Record) -> list[Row]:
    """Return the rows of a record's text with the record's id, its place, and its columns if it has any."""
    extra = {"fields": dict(record.fields)} if record.fields else {}
    return [{"id": record.id, **(shift(row, record) if record.place else row), **extra} for row in rows]


def shift(row: Row, sentence: Record) -> Row:
    """Return a sentence's row in characters of its document. The pipeline's own components may have cut it further."""
    start = sentence.place.start
    within = row.get("sentence", {"start": 0, "end": len(sentence.text)})
    labels = {
        name: cell if isinstance(cell, float) else [about(one, start) for one in cell]
        for name, cell in row["labels"].items()
    }
    spans = {name: [about(move(span, start), start) for span in found] for name, found in row["spans"].items()}
    return {**row, "sentence": move(within, start), "labels": labels, "spans": spans}


def move(span: Row, n_characters: int) -> Row:
    return {**span, "start": span["start"] + n_characters, "end": span["end"] + n_characters}


def about(answer: Row, n_characters: int) -> Row:
    """Return an answer with the passage that it is about moved, if it is about one."""
    return {**answer, "for": move(answer["for"], n_characters)} if "for" in answer else answer
