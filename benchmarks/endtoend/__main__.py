"""From the sentence to the rows: agreement, cost and time, beside a language model that reads every text and beside rivals.

    python -m benchmarks.endtoend --shared SHARED --work DIR --page docs/benchmarks.md

SHARED has answers/ and corpora/ of the corpora "bio" and "reviews"; without it only those of --own are run. Of each corpus
one pipeline learns all instructions from the training answers; it is kept in DIR, so that another run trains nothing.
Then every sentence of --own's plans/ is run over the test texts, whose answers it never saw.

Rows, of each sentence: "kept", which texts are in the result; "values", which passages stand in the rows; "whole", which rows are
the same in all their columns. F1 against the rows of the language model's own answers to all test texts. "LLM itself": its F1
with a second reading of its own (in brackets, of how many texts), stated with the answers or counted here; the second
reading of "bio" and "reviews" was asked by other prompts, and is of few texts. "share": ours of that.

Rivals, all learned from the same answers: logistic regression on the encoder's vectors for labels, with passages that were
seen before for passages; spaCy's own textcat_multilabel and spancat on MiniLM, trained for as many steps; the pre-trained
pipeline without any answers; keywords of the instructions.

Costs: the requests for the answers, counted as `falconer estimate` counts them, at --model's price of the price file (nobody was
asked or paid); ours are the plan, the sample's answers, the training and the reading, at --core-price an hour. "even at": the
number of texts from which on ours is cheaper. Times: --latency seconds a request, a statement, with 1, 16 and 64 requests in flight; ours are seconds of one core's
processor, measured in this run (the training: when it was done). "x LLM": reading alone; "hours": the LLM's / ours, all steps of it, for --n-texts texts.
"""  # noqa: E501

from __future__ import annotations

import sys
from pathlib import Path

import torch
import typer

from benchmarks.endtoend.corpora import Corpus, read_corpora
from benchmarks.endtoend.cost import Ours, count_asking
from benchmarks.endtoend.report import format_costs, format_goals, format_scores, format_sentences, format_times
from benchmarks.endtoend.scores import Scored, score_instructions, score_rows
from benchmarks.endtoend.systems import ask_all, load_ours, measure_speed, read_seconds
from benchmarks.page import on_page
from spacy_falconer.llm.ledger import default_model, find_price

HERE = Path(__file__).parent


def main(
    # fmt: off
    work: Path = typer.Option(..., help="Folder for the trained pipelines"),
    shared: Path = typer.Option(None, help="Folder with answers/ and corpora/", exists=True),
    own: Path = typer.Option(HERE / "data", help="Folder with our own corpora, and all plans", exists=True),
    corpus: list[str] = typer.Option([], help="These corpora alone"),
    n_texts: int = typer.Option(100_000, help="Texts of the corpus whose cost and time are told"),
    model: str = typer.Option(default_model(), help="Whose price is taken"),
    latency: float = typer.Option(1.5, help="Seconds of a request"),
    core_price: float = typer.Option(0.04, help="Dollars for an hour of one core"),
    # fmt: on
):
    torch.set_num_threads(1)
    rows, instructions, ways = [], [], []
    for one in read_corpora(shared, own, work, corpus):
        print(f"{one.name} ...", file=sys.stderr, flush=True)
        folder = work / f"{one.name}-{one.digest[:8]}"
        found = score_corpus(one, folder)
        own_ways = {name: make_way(one, name, folder, model, latency, core_price) for name in one.plans}
        print_corpus(one, *found, own_ways, n_texts)
        rows, instructions, ways = rows + found[0], instructions + found[1], ways + list(own_ways.values())
    print(f"\nAims, over all corpora ({model}, {latency} s a request, ${core_price} an hour of a core)")
    print(format_goals(rows, instructions, ways, n_texts))


def score_corpus(corpus: Corpus, folder: Path) -> tuple[list[Scored], list[Scored]]:
    said = ask_all(corpus, folder)
    return score_rows(corpus, said), score_instructions(corpus, said)


def make_way(corpus: Corpus, name: str, folder: Path, model: str, latency_s: float, core_usd: float) -> Ours:
    """What one sentence takes. The training is that of all of the corpus's instructions."""
    plan, price = corpus.plans[name], find_price(model)
    if price is None:
        raise SystemExit(f"The price of {model!r} is in no price file. Name a model whose price is.")
    asking = count_asking(plan, corpus.texts, corpus.answers, model=model, price=price, latency_s=latency_s)
    speed = measure_speed(load_ours(corpus, folder), plan, corpus.texts)
    return Ours(asking, len(corpus.train), read_seconds(folder / "ours"), speed, core_usd)


def print_corpus(
    corpus: Corpus, rows: list[Scored], instructions: list[Scored], ways: dict[str, Ours], n_texts: int
) -> None:
    print(f"\n{corpus.name}: learned from {len(corpus.train)} answered texts, tested on {len(corpus.test)}\n")
    print(format_sentences(corpus.plans))
    print(f"\nF1 of rows\n{format_scores(rows, ('sentence', 'rows'))}")
    print(f"F1 of instructions\n{format_scores(instructions, ('primitive', 'instruction'))}")
    print(f"Cost of {n_texts:,} texts\n{format_costs(ways, n_texts)}")
    print(f"Time of {n_texts:,} texts\n{format_times(ways, n_texts)}")


if __name__ == "__main__":
    with on_page():
        typer.run(main)
