"""Estimate what annotating will take, before anything is sent."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spacy_falconer.corpus.read import read_units
from spacy_falconer.llm import estimate as llm
from spacy_falconer.llm.annotate import recorded_answers
from spacy_falconer.llm.batch import batch_prices
from spacy_falconer.llm.redact import Redactor
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import Plan
from spacy_falconer.types import Record
from spacy_falconer.workflow.ask import choose_examples
from spacy_falconer.workflow.choose import Sampling, list_candidates, pick_random
from spacy_falconer.workflow.endpoint import Endpoint


def estimate(
    plan: Plan,
    records: Iterable[Record],
    store: Path | None,
    *,
    sampling: Sampling,
    endpoint: Endpoint,
    redact: Redactor | None = None,
) -> llm.Estimate:
    """Estimate what `annotate` with the same arguments will take. Nothing is sent.

    The estimate is for a random sample, whatever the strategy: other texts are only chosen when they are annotated.

    store (Path): Answers in it are not paid for again. None if there is no store yet.
    """
    candidates = list_candidates(read_units(records, plan.unit), sampling)
    texts = [one.text for one in pick_random(candidates, sampling.n_texts, seed=sampling.seed)]
    prices = endpoint.ledger.prices
    with open_store(store) as opened:
        answered = recorded_answers(texts, plan, opened, model=endpoint.model) if sampling.n_shots else ()
        return llm.estimate(
            texts, plan, model=endpoint.model_name, store=opened, seed=sampling.seed, accept=endpoint.model,
            examples=choose_examples(list(answered), sampling.n_shots), redact=redact,
            prices=batch_prices(prices) if endpoint.is_batch else prices,
        )  # fmt: skip


@contextmanager
def open_store(path: Path | None) -> Iterator[AnswerStore]:
    """Open a store, or an empty temporary one if there is none: an estimate creates no file."""
    with tempfile.TemporaryDirectory() as folder:
        with AnswerStore(path if path is not None and path.exists() else Path(folder) / "answers.db") as opened:
            yield opened
