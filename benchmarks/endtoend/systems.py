"""Ours and what it is compared with: trained once a corpus, on the same answers, and kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import spacy
import srsly
from spacy.language import Language

from benchmarks.agreement.spacys_own import ask_spacys_own, train_spacys_own
from benchmarks.endtoend.corpora import Corpus
from spacy_falconer.pipeline.source import find_base
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.files import whole
from spacy_falconer.workflow.mine import BATCH_SIZE
from spacy_falconer.workflow.mining.reading import open_reader, read_texts
from spacy_falconer.workflow.scoring.baselines import ask_baselines, read_second
from spacy_falconer.workflow.scoring.said import Said, ask_pipeline, read_answers
from spacy_falconer.workflow.train import train

SEED = 0
N_CHARACTERS = 400_000  # Of fewer, the speed would depend on how they fall into batches; they are read again.
OWN = "spacys-own"
BOTH = "regression, seen"  # Labels by regression, passages that were seen before: what comes for nothing.


def ask_all(corpus: Corpus, folder: Path, ours: Language, *, trained_only: bool) -> dict[str, list[Said]]:
    """What each says of the test texts, by its name. "LLM" answered all of them; "LLM again" some.

    trained_only (bool): Leave spaCy's own out where it is not trained yet.
    """
    others = ask_baselines(corpus.whole, corpus.test, corpus.train, source=find_base(), config=None, seed=SEED).said
    labels, passages = others["regression"], others["dictionary"]
    return {
        "LLM": [read_answers(doc) for doc in corpus.test],
        "LLM again": read_second(corpus.test, corpus.again) if corpus.again else [Said()] * len(corpus.test),
        "ours": ask_pipeline(ours, corpus.texts),
        BOTH: [Said(one.labels, other.spans) for one, other in zip(labels, passages, strict=True)],
        **({} if trained_only and not (folder / OWN).exists() else ask_own(corpus, folder)),
        "zero-shot": others["zero_shot"],
        "keywords": others["keywords"],
    }


def load_ours(corpus: Corpus, folder: Path) -> Language:
    """The pipeline that learned all instructions of a corpus."""

    def teach(path: Path) -> None:
        train(corpus.whole, corpus.train, source=find_base(), seed=SEED, quiet=True)[0].to_disk(path)

    return spacy.load(keep(folder / "ours", teach))


def ask_own(corpus: Corpus, folder: Path) -> dict[str, list[Said]]:
    return {"spaCy's own": ask_spacys_own(*load_spacys_own(corpus, folder), corpus.texts)}


def load_spacys_own(corpus: Corpus, folder: Path) -> tuple[Language, dict[str, float]]:
    def teach(path: Path) -> None:
        nlp, thresholds = train_spacys_own(corpus.whole, corpus.train, seed=SEED)
        nlp.to_disk(path)
        srsly.write_json(path / "thresholds.json", thresholds)

    path = keep(folder / OWN, teach)
    return spacy.load(path), srsly.read_json(path / "thresholds.json")


def keep(path: Path, make: Callable[[Path], Any]) -> Path:
    """Make a folder if it is not there, and note the seconds of the processor that it took."""
    if not path.exists():
        start = time.process_time()
        with whole(path) as part:
            make(part)
            srsly.write_json(part / "seconds.json", time.process_time() - start)
    return path


def read_seconds(path: Path) -> float:
    return srsly.read_json(path / "seconds.json")


def measure_speed(nlp: Language, plan: Plan, texts: Sequence[str], *, precision: str, n_process: int) -> float:
    """Texts that are mined in a second: of one core's processor, or of the clock while several processes read."""
    nlp.get_pipe("falconer_plan").set_plan(plan)
    clock = time.process_time if n_process == 1 else time.perf_counter
    texts = [*texts] * max(1, N_CHARACTERS // sum(map(len, texts)))
    with open_reader(nlp, n_process=n_process, batch_size=BATCH_SIZE, precision=precision) as read:
        read_texts(texts, read, tick=lambda share: None)  # So that all processes have loaded the pipeline.
        start = clock()
        read_texts(texts, read, tick=lambda share: None)
        return len(texts) / (clock() - start)
