"""Write texts that are worth a look for the tool in which people review them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.language import Language

from spacy_falconer.corpus.read import read_units
from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.types import Record
from spacy_falconer.workflow.files import whole
from spacy_falconer.workflow.mining.mined import find_plan
from spacy_falconer.workflow.review.choose import choose_items
from spacy_falconer.workflow.review.files import find_tool


@dataclass(frozen=True)
class Exported:
    """What was written.

    config: The file that tells the tool how to show the tasks.
    n_left_out: Texts that were not considered, as the tool would return damaged passages.
    """

    config: Path
    n_texts: int
    n_left_out: int


def export_reviews(
    nlp: Language,
    records: Iterable[Record],
    output: Path,
    *,
    tool: str,
    n: int,
    store: AnswerStore | None = None,
    rows: Path | None = None,
    model: str | None = None,
    seed: int = 0,
    tick: Callable[[int], Any] = lambda n_texts: None,
) -> Exported:
    """Choose texts and write them as the tool's tasks, with a second file that the tool needs to show them.

    store: Its answers are compared with the pipeline's. Without it, texts are chosen that the pipeline is unsure of.
    rows (Path): Mined rows; only texts that they were mined from are considered.
    RAISES (AnswerError): There is no such tool or no text to choose from, or the rows cannot be read.
    RAISES (ModelError): The pipeline has no plan.
    """
    plan, form = find_plan(nlp), find_tool(tool)
    n_left_out = 0

    def usable() -> Iterator[Record]:
        nonlocal n_left_out
        wanted = read_ids(rows) if rows is not None else None
        for record in read_units(records, plan.unit, nlp):
            if wanted is not None and record.id not in wanted:
                continue
            if form.can_show(record.text, plan):
                yield record
            else:
                n_left_out += 1

    items = choose_items(nlp, plan, usable(), store, n=n, model=model, seed=seed, tick=tick)
    if not items:
        raise AnswerError(
            "There is no text to review: expected one that no person has answered yet. Give another corpus, or rows of it."
        )
    config = output.with_name(output.stem + form.CONFIG_SUFFIX)
    for path, content in ((output, form.dump(items, plan)), (config, form.make_config(plan))):
        with whole(path) as part:
            part.write_text(content, encoding="utf8")
    return Exported(config, len(items), n_left_out)


def read_ids(rows: Path) -> set[str]:
    """Return the ids of the texts that rows were mined from.

    RAISES (AnswerError): The file cannot be read as rows.
    """
    try:
        lines = rows.read_text(encoding="utf8").split("\n")
        return {str(json.loads(line)["id"]) for line in lines if line.strip()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AnswerError(
            f"{str(rows)!r} cannot be read as mined rows ({type(error).__name__}: {error}). Expected the .jsonl of `mine`."
        ) from None
