"""Do the guarantees hold, and what do they cost?

    python -m benchmarks.guarantee simulate [--rival FOLDER] [--trials 300] [--settings 6]
    python -m benchmarks.guarantee recorded --answers TRAIN.jsonl --answers TEST.jsonl --plan PLAN.json --scores SCORES.npz

`simulate` draws corpora by chance (worlds.py), 300 of each kind with seeds 0 to 299, and runs the cascade over each: for
precision and recall together, for either alone, and for passages. "missed" says in how many a target was not reached,
with a 95% interval (Clopper-Pearson); "asked" is the share of texts that the language model reads. Beside it, where it is
installed (`pip install bargain==0.1.3`, or in FOLDER by `pip install --no-deps --target FOLDER`): BARGAIN's precision-
and-recall mode on the same corpora. "drift" is the exception: what was certain of one corpus, taken over to another.

`recorded` does the same on a language model's recorded answers, over random halves: see recorded.py.
"""

from __future__ import annotations

import typer

from benchmarks.guarantee.recorded import recorded
from benchmarks.guarantee.simulate import simulate
from benchmarks.page import on_page

app = typer.Typer(add_completion=False, no_args_is_help=True)
app.command()(simulate)
app.command()(recorded)

if __name__ == "__main__":
    with on_page():
        app()
