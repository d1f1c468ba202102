"""What simpler methods say of the same texts, learned from the same training answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
from spacy.tokens import Doc
from thinc.types import Floats2d

from spacy_falconer.errors import AnswerError
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.base import Base, Encoded, encode, load_base
from spacy_falconer.workflow.embed import embed
from spacy_falconer.workflow.scoring.keywords import ask_dictionary, ask_keywords
from spacy_falconer.workflow.scoring.regression import predict_label
from spacy_falconer.workflow.scoring.said import SECOND, Said, read_llm

MAX_KEPT_TRAIN, MAX_KEPT_TEST = 600, 300  # Texts whose encodings are held in memory, for the curve.
NO_BASE = "Without zero-shot: no pre-trained pipeline is named."
# Their names in tables.
NAMES = {
    "llm": "LLM",
    "second_reading": "LLM again",
    "zero_shot": "zero-shot",
    "regression": "regression",
    "dictionary": "seen before",
    "keywords": "keywords",
}


@dataclass(frozen=True)
class Baselines:
    """Each baseline's answers to the texts, in order, why some are missing, and the base's encodings, for the curve."""

    said: Mapping[str, list[Said]]
    notes: list[str] = field(default_factory=list)
    base: Base | None = None
    train: Encoded | None = None
    tests: Encoded | None = None


def ask_baselines(
    plan: Plan,
    docs: Sequence[Doc],
    train_docs: Sequence[Doc],
    *,
    source: Path | None,
    config: Path | None,
    seed: int,
    tick: Callable[[int], Any] = lambda n_texts: None,
) -> Baselines:
    """Answer the texts by keywords, passages seen before, logistic regression and the metamodel without training.

    train_docs: What they learn from. If there are none, only those answer that need not learn: keywords and the metamodel.
    source (Path): The pipeline that tasks start from: it answers untrained, and its encoder gives the vectors. Without
        it, nothing answers untrained, and the vectors are those of the config's encoder.
    tick: Called with the number of texts that it has read since the last call.
    """
    if not train_docs:
        return ask_untaught(plan, [doc.text for doc in docs], source, tick)
    texts, train_texts = ([doc.text for doc in part] for part in (docs, train_docs))
    said = {"keywords": ask_keywords(plan, texts, train_docs), "dictionary": ask_dictionary(plan, docs, train_docs)}
    if source is None:
        try:
            vectors = embed([*train_texts, *texts], config=config)
        except OSError as error:  # The encoder's weights are not on the disk, and cannot be downloaded.
            return Baselines(said, [f"Without logistic regression and zero-shot: no encoder can be loaded ({error})."])
        said["regression"] = ask_regression(
            plan, vectors[: len(train_docs)], train_docs, vectors[len(train_docs) :], seed=seed
        )
        return Baselines(said, [NO_BASE])
    base = load_base(source, plan)
    train = encode(base, train_texts, n_kept=MAX_KEPT_TRAIN, tick=tick)
    tests = encode(base, texts, n_kept=MAX_KEPT_TEST, tick=tick)
    said["regression"] = ask_regression(plan, train.vectors, train_docs, tests.vectors, seed=seed)
    said["zero_shot"] = tests.said
    return Baselines(said, [], base, train, tests)


def ask_untaught(plan: Plan, texts: Sequence[str], source: Path | None, tick: Callable[[int], Any]) -> Baselines:
    """Answer the texts by what needs no answers to learn from."""
    said = {"keywords": ask_keywords(plan, texts, ())}
    if source is None:
        return Baselines(said, [NO_BASE])
    said["zero_shot"] = encode(load_base(source, plan), texts, n_kept=0, tick=tick).said
    return Baselines(said)


def ask_regression(plan: Plan, vectors: Floats2d, docs: Sequence[Doc], tests: Floats2d, *, seed: int) -> list[Said]:
    """Answer labels alone, each by its own regression on the vectors of the texts that were asked about it."""
    found = {}
    for step in plan.text_steps("get_label"):
        rows = [row for row, doc in enumerate(docs) if step.id in doc.cats]
        wanted = numpy.array([docs[row].cats[step.id] == 1.0 for row in rows], dtype=bool)
        found[step.id] = predict_label(vectors[rows], wanted, tests, seed=seed)
    return [Said({key: bool(one[row]) for key, one in found.items()}) for row in range(len(tests))]


def read_second(docs: Sequence[Doc], again: Sequence[Doc]) -> list[Said]:
    """Return the language model's second reading of the texts; nothing for a text that it did not read again.

    RAISES (AnswerError): It read none of them.
    """
    second = {doc.text: read_llm(doc, side=SECOND) for doc in again}
    if not any(doc.text in second for doc in docs):
        raise AnswerError(
            f"The second reading's {len(again)} texts are none of the {len(docs)} that are evaluated on. Expected a reading of "
            "the same texts, with the plan's instructions, word for word. Give such a file."
        )
    return [second.get(doc.text, Said()) for doc in docs]
