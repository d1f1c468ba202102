"""From the sentence to the rows: agreement, cost and time, beside an LLM that reads every text and beside rivals.

    python -m benchmarks.endtoend --shared SHARED --work DIR --page docs/benchmarks.md

SHARED has answers/ and corpora/ of the corpora "bio" and "reviews"; without it only those of --own are run. Of each
corpus one pipeline learns all instructions from the training answers; it is kept in DIR, so that another run trains
nothing. Then every sentence of --own's plans/ is run over the test texts, whose answers it never saw.

Rows, of each sentence: "kept", which texts are in the result; "values", which passages stand in the rows; "whole",
which rows are the same in all their columns. F1 is against the rows of the language model's own answers to all test
texts. "LLM itself": its F1 with a second reading of its own (in brackets, of how many texts; empty where these hold
fewer than 10 answers), counted here, or stated with the answers (data/README.md). "share": ours of that.

Rivals, all with the same answers: "regression, seen", logistic regression on the encoder's vectors for labels, and
passages that were seen before for passages; spaCy's own textcat_multilabel and spancat on MiniLM, trained for as many
steps; the pre-trained pipeline without any answers; keywords of the instructions.

Costs: the requests for the answers, counted as `falconer estimate` counts them, at --model's price in the price file
(nobody was asked or paid), tokens of one text. Ours are the plan, the sample's answers, the training and the reading,
at --core-price an hour. "even at": the number of texts from which on ours is cheaper.

Times: --latency seconds a request, a statement, with 1, 16 and 64 requests in flight. Ours are seconds of one core's
processor, measured in this run; with --n-process, which needs that many free cores, seconds of the clock while as many
processes read, as `mine --n-process` does. The training, of all of the corpus's instructions, when it was done, is one
core's. "x LLM": reading alone; "hours": the language model's / ours with all its steps, for --n-texts texts.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import typer

from benchmarks.endtoend.corpora import Corpus, read_corpora
from benchmarks.endtoend.cost import Asking, Ours, count_asking
from benchmarks.endtoend.report import format_costs, format_goals, format_scores, format_sentences, format_times
from benchmarks.endtoend.scores import Scored, pick_main, score_instructions, score_rows
from benchmarks.endtoend.systems import ask_all, load_ours, measure_speed, read_seconds
from benchmarks.page import on_page
from spacy_falconer.llm.prices import default_model, find_price
from spacy_falconer.metamodel.accelerate import accelerate

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
    precision: str = typer.Option("fp32", help="In which ours reads, as of mine: fp32, bf16, int8, compiled or auto"),
    n_process: int = typer.Option(1, help="Processes that read, each on a core of its own, as of mine", min=1),
    trained_only: bool = typer.Option(False, help="Leave spaCy's own out where --work does not have it"),
    # fmt: on
):
    torch.set_num_threads(1)
    rows, instructions, ways = [], [], []
    for one in read_corpora(shared, own, work, corpus):
        print(f"{one.name} ...", file=sys.stderr, flush=True)
        folder = work / f"{one.name}-{one.digest[:8]}"
        found = measure_agreement(one, folder, precision, trained_only=trained_only)
        nlp, train_s, ours = load_ours(one, folder), read_seconds(folder / "ours"), {}
        for name, plan in one.plans.items():
            speed = measure_speed(nlp, plan, one.texts, precision=precision, n_process=n_process)
            asking = ask_price(one, name, model, latency)
            ours[name] = Ours(asking, len(one.train), train_s, speed, core_price, n_process)
        print_corpus(one, *found, ours, n_texts)
        rows, instructions = rows + pick_main(found[0]), instructions + found[1]
        ways += ours.values()
    cores = "core" if n_process == 1 else "cores"
    prices = f"{model}, {latency} s a request, ${core_price} an hour of a core"
    print(f"\nAims, over all corpora ({prices}; ours in {precision}, {n_process} {cores})")
    print(format_goals(rows, instructions, ways, n_texts))


def measure_agreement(
    corpus: Corpus, folder: Path, precision: str, *, trained_only: bool
) -> tuple[list[Scored], list[Scored]]:
    """Scores of the sentences and of the instructions."""
    nlp = load_ours(corpus, folder)
    with accelerate(nlp, precision):
        said = ask_all(corpus, folder, nlp, trained_only=trained_only)
    return score_rows(corpus, said), score_instructions(corpus, said)


def ask_price(corpus: Corpus, name: str, model: str, latency_s: float) -> Asking:
    """What asking for one sentence's answers takes."""
    price = find_price(model)
    if price is None:
        raise SystemExit(f"The price of {model!r} is in no price file. Name a model whose price is.")
    return count_asking(
        corpus.plans[name], corpus.texts, corpus.answers, model=model, price=price, latency_s=latency_s
    )  # fmt: skip


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
