"""Spans against human labels, after five sentences of each type.

    python -m benchmarks.paper ner --data DATA --work DIR

DATA is the folder of data sets. Cuckoo's protocol: of each type of entity five sentences that mention it are drawn by a seed
from the training part; nothing else is learned from, a fifth of these is held out to choose thresholds. Instructions are the
sets' label meanings. Tested on the same --n-test sentences for all seeds; mean and standard deviation over the seeds.

F1: micro, exact matches alone, where of overlapping passages the one with the highest score is kept, as the sets' mentions do not
overlap; precision and recall are of this, too. "each by itself": F1 of what the pipeline says to each instruction by itself.
pre-trained: from the shipped pipeline; plain encoder: from the encoder that it was made of; zero-shot: the shipped pipeline, nothing learned.

"in the mix": whether the shipped pipeline was pre-trained on the set; "copies": how many of the test sentences are in, or share ten
words in a row with, any text that it may have been pre-trained on. "between tokens": mentions of the test that end inside of a spaCy
token, which no pipeline here finds. What was trained here on sets that may not be shipped stays in this benchmark.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean

import spacy
import torch
import typer
from spacy.language import Language
from spacy.tokens import Doc
from wasabi import table

from benchmarks.metamodel.results import spread
from benchmarks.page import ROOT
from benchmarks.paper.kept import Json, keep, open_work, shorten
from benchmarks.paper.shots import Marked, draw_shots, mark, read_marked
from spacy_falconer.metamodel.pretrain import data as sets
from spacy_falconer.metamodel.pretrain.own import read_corpora, read_types
from spacy_falconer.metamodel.pretrain.score import Found, keep_best
from spacy_falconer.pipeline.callbacks import add_instructions
from spacy_falconer.pipeline.source import find_base
from spacy_falconer.workflow.scoring.said import Said, ask_pipeline, read_answers
from spacy_falconer.workflow.train import train

OWN_TEXTS = ROOT / "pretraining" / "data"
OURS, PLAIN, ZERO_SHOT = "pre-trained", "plain encoder", "zero-shot"
STANDS_FOR = {"mit_movie": "MIT-Movie", "jnlpba": "BioNLP04", "conll04": "none; newswire, as CoNLL03 is"}
REPORTED = [("RoBERTa", "46.8", ""), ("MetaIE", "65.6", ""), ("NuNER", "66.0", ""), ("Cuckoo", "66.3", "19.0"), ("Rainbow", "68.9", "31.4")]  # fmt: skip
NOT_COMPARED = """\
Reported with Cuckoo (arXiv 2502.11275), F1 in percent, mean of CoNLL03, BioNLP04, MIT-Restaurant and MIT-Movie:
{}
Not comparable as they stand: CoNLL03 and MIT-Restaurant are not at hand, and which sentences were drawn is not known, so no mean of
the four is given here; those metamodels have 0.3B parameters (Cuckoo), ours 22M; of jnlpba the development part is learned from."""


def main(
    # fmt: off
    data: Path = typer.Option(..., help="Folder of data sets", exists=True),
    work: Path = typer.Option(..., help="Folder for the scores"),
    name: list[str] = typer.Option(list(STANDS_FOR), "--set", help="Which sets"),
    system: list[str] = typer.Option([OURS, PLAIN, ZERO_SHOT], help="Which systems"),
    n_shots: int = typer.Option(5, help="Sentences of each type to learn from"),
    n_test: int = typer.Option(300, help="Most sentences of each set to test on"),
    n_seeds: int = typer.Option(3, help="How many seeds"),
    own: Path = typer.Option(OWN_TEXTS, help="Folder of the project's own training texts", exists=True),
    steps: int = typer.Option(None, hidden=True),
    # fmt: on
):
    torch.set_num_threads(1)
    folder = open_work(work, steps) / "ner"
    marked = [read_marked(data, one, n_test=n_test) for one in name]
    facts, rows = [], []
    for one in marked:
        facts.append(keep(folder / f"{one.name}-{len(one.test)}.json", lambda one=one: describe(one, data, own)))
        for which in system:
            seeds = range(1 if which == ZERO_SHOT else n_seeds)
            made = [keep_run(folder, one, which, n_shots, seed, shorten(steps)) for seed in seeds]
            rows.append((one.name, which, made))
    print(format_sets(marked, facts))
    print(format_scores(rows))
    print(NOT_COMPARED.format(table(REPORTED, header=["", "5-shot", "zero-shot"], aligns=["l", "r", "r"]).strip("\n")))


def keep_run(folder: Path, one: Marked, system: str, n_shots: int, seed: int, overrides: Json) -> Json:
    learned = "" if system == ZERO_SHOT else f"-{n_shots}-seed{seed}"
    path = folder / f"{one.name}-{len(one.test)}-{system.replace(' ', '-')}{learned}.json"
    return keep(path, lambda: run(one, system, n_shots, seed, overrides))


def run(one: Marked, system: str, n_shots: int, seed: int, overrides: Json) -> Json:
    """Learn from the shots of a seed and count. RETURNS: `{"n_shots", "seconds", "flat", "alone"}`, counts of hits, found, wanted."""
    shots = [] if system == ZERO_SHOT else draw_shots(one.train, list(one.instructions), n_shots, seed=seed)
    start = time.process_time()
    nlp = learn(one, shots, find_base() if system == OURS else None, seed, overrides) if shots else start_from_base(one)
    seconds = time.process_time() - start
    return {"n_shots": len(shots), "seconds": seconds, **count(nlp, mark(one.test, one.instructions, one.plan)[0])}


def learn(one: Marked, shots: Sequence[sets.Row], source: Path | None, seed: int, overrides: Json) -> Language:
    docs, _ = mark(shots, one.instructions, one.plan)
    return train(one.plan, docs, source=source, overrides=overrides, seed=seed, quiet=True)[0]


def start_from_base(one: Marked) -> Language:
    nlp = spacy.load(find_base())
    add_instructions(nlp, one.plan)
    return nlp


def count(nlp: Language, docs: Sequence[Doc]) -> Json:
    """Mentions that are right, found and wanted, over all types: where overlapping ones were thinned out, and as they were said."""
    counts = {"flat": [0, 0, 0], "alone": [0, 0, 0]}
    for said, doc in zip(ask_pipeline(nlp, [doc.text for doc in docs]), docs, strict=True):
        wanted = list_places(read_answers(doc).spans)
        for name, found in (("flat", thin_out(said)), ("alone", list_places(said.spans))):
            sizes = (len(found & wanted), len(found), len(wanted))
            counts[name] = [total + size for total, size in zip(counts[name], sizes, strict=True)]
    return counts


def list_places(spans: Mapping[str, frozenset[tuple[int, int]]]) -> set[tuple[int, int, str]]:
    return {(start, end, key) for key, places in spans.items() for start, end in places}


def thin_out(said: Said) -> set[tuple[int, int, str]]:
    """Of overlapping passages, whichever type they are of, the one with the highest score."""
    found = (Found(start, end, key, said.candidates[key][start, end]) for start, end, key in list_places(said.spans))
    return {(one.start, one.end, one.label) for one in keep_best(found)}


def describe(one: Marked, data: Path, own: Path) -> Json:
    """What the pre-training saw of the set, and which of its mentions cannot be found."""
    is_seen = remember_mix(data, own)
    return {
        "in_mix": one.name in sets.TRAINED_ON,
        "n_copies": sum(is_seen(row.text) for row in one.test),
        "n_mentions": sum(len(found) for row in one.test for found in row.spans.values()),
        "n_between": mark(one.test, one.instructions, one.plan)[1],
    }


def remember_mix(data: Path, own: Path) -> Callable[[str], bool]:
    return sets.remember_texts(list_mix(data, own))


def list_mix(data: Path, own: Path) -> Iterator[str]:
    """All texts that the shipped pipeline may have been pre-trained on."""
    for name in sets.TRAINED_ON:
        yield from (row.text for row in sets.read_rows(data, name))
    yield from (row.text for row in read_types(own / "types.jsonl.gz"))
    yield from (row.text for rows in read_corpora(own / "corpora.jsonl.gz")[0].values() for row in rows)


def format_sets(marked: Sequence[Marked], facts: Sequence[Json]) -> str:
    body = [
        [one.name, STANDS_FOR.get(one.name, "none"), len(one.instructions), len(one.test), fact["n_mentions"],
         fact["n_between"], "yes" if fact["in_mix"] else "no", fact["n_copies"]]
        for one, fact in zip(marked, facts, strict=True)
    ]  # fmt: skip
    header = ["set", "of Cuckoo's", "types", "test sentences", "mentions", "between tokens", "in the mix", "copies"]
    return table(body, header=header, divider=True, aligns=["l", "l", *"r" * 6])


def format_scores(rows: Sequence[tuple[str, str, Sequence[Json]]]) -> str:
    body = []
    for name, system, made in rows:
        flat = [measure(one["flat"]) for one in made]
        columns = [[one[place] for one in flat] for place in (2, 0, 1)] + [[measure(one["alone"])[2] for one in made]]
        learned = " to ".join(str(n) for n in sorted({one["n_shots"] for one in made}))
        seconds = "" if learned == "0" else f"{mean(one['seconds'] for one in made):.0f}"
        body.append([name, system, learned, len(made), *map(spread, columns), seconds])
    header = ["set", "", "sentences", "seeds", "F1", "precision", "recall", "each by itself", "training s"]
    return table(body, header=header, divider=True, aligns=["l", "l", *"r" * 7])


def measure(counts: Sequence[int]) -> tuple[float, float, float]:
    """Precision, recall and F1 of numbers of hits, found and wanted."""
    hits, found, wanted = counts
    return hits / max(1, found), hits / max(1, wanted), 2 * hits / max(1, found + wanted)
