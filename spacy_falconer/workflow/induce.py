"""The whole way in one call: a sentence and a corpus in, a pipeline and mined rows out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language

from spacy_falconer.corpus.docbin import write_docbin
from spacy_falconer.llm.exchange import read_exchange
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import Plan, write_plan
from spacy_falconer.types import Record
from spacy_falconer.workflow.annotate import annotate, hold_out
from spacy_falconer.workflow.evaluate import evaluate
from spacy_falconer.workflow.mine import MineReport, mine
from spacy_falconer.workflow.plan import find_plan
from spacy_falconer.workflow.train import TrainReport, train


@dataclass(frozen=True)
class Induced:
    """Everything that came of a sentence. The same stands in the output folder, as files."""

    plan: Plan
    nlp: Language
    training: TrainReport
    scores: dict[str, Any]
    mining: MineReport


def induce(
    sentence: str,
    records: Iterable[Record],
    output: Path,
    *,
    plan: Path | None = None,
    answers: Sequence[Path] = (),
    n_sample: int = 500,
    recorded_only: bool = False,
    model: str | None = None,
    config: Path | None = None,
    seed: int = 0,
    quiet: bool = True,
    tick: Callable[[int], Any] = lambda n_texts: None,
) -> Induced:
    """Plan, annotate, train, evaluate on answers held out, and mine the whole corpus.

    output (Path): Folder for plan.json, answers.db, train.spacy, test.spacy, pipeline, scores.json and rows.jsonl.
    plan (Path): A plan of your own, or a recorded one for this sentence.
    answers: Recorded answers to put into the store first.
    recorded_only (bool): Learn from the texts that the store answers, and ask nobody.
    RAISES (FalconerError): With the remedy. Answers that were got before it stay in the store.
    """
    output.mkdir(parents=True, exist_ok=True)
    chosen = find_plan(sentence, plan)
    write_plan(chosen, output / "plan.json")
    records = list(records)
    with AnswerStore(output / "answers.db") as store:
        for path in answers:
            store.put_many(read_exchange(path))
        options = {"n_sample": n_sample, "recorded_only": recorded_only, "model": model, "seed": seed}
        docs = annotate(chosen, records, store, **options).docs
    docs, test_docs = hold_out(docs, chosen, None, seed=seed)
    write_docbin(docs, output / "train.spacy")
    write_docbin(test_docs, output / "test.spacy")
    nlp, training = train(chosen, docs, config=config, seed=seed, quiet=quiet)
    nlp.to_disk(output / "pipeline")
    scores = evaluate(nlp, test_docs)
    srsly.write_json(output / "scores.json", scores)
    mining = mine(nlp, records, output / "rows.jsonl", tick=tick)
    return Induced(chosen, nlp, training, scores, mining)
