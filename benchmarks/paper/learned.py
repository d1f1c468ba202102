"""A metamodel that learned some or all instructions of a corpus from some of its recorded answers, and its agreement."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from benchmarks.endtoend.corpora import Corpus
from benchmarks.endtoend.scores import score_rows
from benchmarks.metamodel.fewshot import learn
from benchmarks.paper.kept import Json, keep
from spacy_falconer.pipeline.source import find_base
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.evaluate import texts_of
from spacy_falconer.workflow.scoring.agreement import agree
from spacy_falconer.workflow.scoring.said import Said, ask_pipeline, read_answers
from spacy_falconer.workflow.train import leave_out

KINDS = ("labels", "spans")


def learn_part(corpus: Corpus, keys: Sequence[str], *, n: int, seed: int, work: Path, overrides: Json) -> Json:
    """Learn these instructions alone, unless it was done before.

    RETURNS: `{"n", "seconds", "labels": {key: F1}, "spans": {key: F1}, "rows": {measure: {sentence: F1}}}`; rows only
        where all instructions were learned.
    """
    name = "all" if len(keys) == len(corpus.whole.steps) else "+".join(keys)
    path = work / "learned" / f"{corpus.name}-{corpus.digest[:8]}" / f"{name}-{n}-seed{seed}.json"
    return keep(path, partial(teach, corpus, keys, n=n, seed=seed, overrides=overrides))


def teach(corpus: Corpus, keys: Sequence[str], *, n: int, seed: int, overrides: Json) -> Json:
    plan, others = take_steps(corpus.whole, keys), [key for key in corpus.whole.steps_by_id if key not in keys]
    docs = [leave_out(doc, others) for doc in corpus.train] if others else corpus.train
    start = time.process_time()
    nlp, n_learned = learn(plan, docs, n=n, seed=seed, source=find_base(), overrides=overrides)
    seconds = time.process_time() - start
    said = ask_pipeline(nlp, corpus.texts)
    return {"n": n_learned, "seconds": seconds, **score(corpus, said, is_whole=not others)}


def take_steps(plan: Plan, keys: Sequence[str]) -> Plan:
    """The plan's steps with these ids, as a plan of their own without conditions."""
    steps = (step.model_copy(update={"when": None}) for step in plan.steps if step.id in set(keys))
    return Plan(instruction=plan.instruction, steps=tuple(steps))


def score(corpus: Corpus, said: Sequence[Said], *, is_whole: bool) -> Json:
    wanted = [read_answers(doc) for doc in corpus.test]
    scores = agree(said, wanted, texts_of(corpus.test), plan=None, seed=0)
    found: Json = {kind: {key: row["f"] for key, row in scores[kind]["per_instruction"].items()} for kind in KINDS}
    for one in score_rows(corpus, {"LLM": wanted, "ours": said}) if is_whole else ():
        sentence, measure = one.what
        found.setdefault("rows", {}).setdefault(measure, {})[sentence] = one.ours
    return found


def join(parts: Sequence[Json]) -> Json:
    """Macro F1 of all that was learned in parts, and the seconds of all trainings."""
    f1 = {kind: {key: f for part in parts for key, f in part[kind].items()} for kind in KINDS}
    return {
        "seconds": sum(part["seconds"] for part in parts),
        **{kind: mean(f1[kind].values()) if f1[kind] else None for kind in KINDS},
    }
