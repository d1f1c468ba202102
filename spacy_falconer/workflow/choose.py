"""Choose which texts of a corpus to annotate, and weigh each by how many texts it stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from thinc.types import Floats2d

from spacy_falconer.corpus.choose import choose_balanced, choose_diverse, choose_random, combine_rounds
from spacy_falconer.errors import CorpusError
from spacy_falconer.pipeline.callbacks import add_instructions
from spacy_falconer.pipeline.source import choose_source, load_pipeline
from spacy_falconer.plan import Plan
from spacy_falconer.types import Record
from spacy_falconer.workflow.embed import embed
from spacy_falconer.workflow.files import digest
from spacy_falconer.workflow.memory import Memory
from spacy_falconer.workflow.scores import read_scores

MAX_CHARACTERS = 1_000_000  # Of a text, as spaCy's pipelines have it (nlp.max_length).
N_CANDIDATES = 5000  # Texts drawn at random, from which vectors or a model's scores then choose.
TEST_SHARE = 0.2
RANDOM, DIVERSE, BALANCED, UNCERTAIN, HELD_OUT = "random", "diverse", "balanced", "uncertain", "held-out"
STRATEGIES = (RANDOM, DIVERSE, BALANCED)


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How many texts are annotated, and which ones.

    strategy (str): "random"; "diverse", spread over the encoder's vectors; or "balanced", more of those that look
        likely for each instruction.
    n_rounds (int): With several, each after the first takes the texts that the model of the round before is least sure about.
    n_shots (int): Earlier answers to show with each text.
    config (Path): Training config with an encoder of its own, for choosing and for the rounds' training.
    source (Path): A pipeline to start from, which says what looks likely; by default the pre-trained one, unless there is a
        config.
    RAISES (CorpusError): There is no such strategy.
    """

    n_texts: int = 500
    strategy: str = RANDOM
    n_rounds: int = 1
    n_shots: int = 0
    seed: int = 0
    config: Path | None = None
    source: Path | None = None

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            raise CorpusError(f"The strategy of --choose is {self.strategy!r}; expected one of {known}. Name one.")

    @property
    def is_plain(self) -> bool:
        """Whether the texts are a random sample, for which no model has to read anything."""
        return self.strategy == RANDOM and self.n_rounds == 1

    def name_source(self) -> Sampling:
        """Return the same with the pre-trained pipeline as source, if neither a source nor a config is named.

        RAISES (ModelError): It is not installed.
        """
        return replace(self, source=choose_source(self.source, self.config))


@dataclass(frozen=True)
class Chosen:
    """A text to annotate.

    how: Its strategy, or "held-out": at random, to test on.
    weight: How many of the texts that it was chosen from it stands for; None if that is not known.
    """

    text: str
    how: str
    weight: float | None = 1.0


def list_candidates(records: Iterable[Record], sampling: Sampling) -> list[str]:
    """Return a random part of the corpus, each text once: the sample, or what it is chosen from. Texts that are blank, or longer
    than a pipeline reads, are left out.

    RAISES (CorpusError): There is none.
    """
    n = sampling.n_texts if sampling.is_plain else max(N_CANDIDATES, sampling.n_texts)
    told = (record for record in records if is_readable(record.text))
    texts = list(dict.fromkeys(record.text for record in choose_random(told, n, seed=sampling.seed)))
    if not texts:
        raise CorpusError("The corpus holds no text to choose from. Expected at least one. Check the file.")
    return texts


def is_readable(text: str) -> bool:
    """Return whether there is something to read, and no more than a pipeline reads."""
    return bool(text.strip()) and len(text) <= MAX_CHARACTERS


def pick_random(texts: Sequence[str], n: int, *, how: str = RANDOM, seed: int) -> list[Chosen]:
    picked = choose_random(texts, n, seed=seed)
    return [Chosen(text, how, len(texts) / len(picked)) for text in picked]


def pick(texts: Sequence[str], n: int, plan: Plan, sampling: Sampling) -> list[Chosen]:
    """Choose at most `n` of the texts, by the strategy, in their order."""
    if sampling.strategy == RANDOM or n >= len(texts):
        return pick_random(texts, n, seed=sampling.seed)
    vectors = embed(texts, config=sampling.config, source=sampling.source)
    if sampling.strategy == DIVERSE:
        return [Chosen(texts[i], DIVERSE, None) for i in choose_diverse(vectors, n, seed=sampling.seed)]
    scores = score_likely(texts, vectors, plan, sampling)
    places, weights = choose_balanced(scores, n, seed=sampling.seed, vectors=vectors)
    return [Chosen(texts[i], BALANCED, float(weight)) for i, weight in zip(places, weights, strict=True)]


def score_likely(texts: Sequence[str], vectors: Floats2d, plan: Plan, sampling: Sampling) -> Floats2d:
    """Return how likely each step is for each text before anything is learned, shape (n_texts, K).

    These are the scores of the pipeline to start from or, without one, the similarities of the texts' vectors to the
    instructions'.
    """
    if sampling.source is None:
        steps = [step.instruction for step in plan.text_steps()]
        return vectors @ embed(steps, config=sampling.config).T
    nlp = load_pipeline(sampling.source)
    add_instructions(nlp, plan)
    return read_scores(nlp, texts, plan)[0]


def without(texts: Sequence[str], chosen: Iterable[Chosen]) -> list[str]:
    """Return the texts that were not chosen yet."""
    taken = {one.text for one in chosen}
    return [text for text in texts if text not in taken]


def recall_chosen(
    memory: Memory, name: str, texts: Sequence[str], choose: Callable[[], Sequence[Chosen]]
) -> list[Chosen]:
    """Choose among texts, or recall what was chosen before."""
    kept = memory.recall(name, lambda: [[digest(one.text), one.how, one.weight] for one in choose()])
    by_digest = {digest(text): text for text in texts}
    return [Chosen(by_digest[key], how, weight) for key, how, weight in kept]


def weigh(rounds: Sequence[Sequence[Chosen]]) -> list[Chosen]:
    """Return the texts of all rounds, weighted for what the first one was chosen from; without weights if one has none."""
    if any(one.weight is None for part in rounds for one in part):
        return [replace(one, weight=None) for part in rounds for one in part]
    weights = combine_rounds([[one.weight for one in part] for part in rounds])
    return [
        replace(one, weight=float(weight))
        for part, combined in zip(rounds, weights, strict=True) for one, weight in zip(part, combined, strict=True)
    ]  # fmt: skip
