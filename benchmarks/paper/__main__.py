"""The tables of the paper, with this project's metamodel.

    python -m benchmarks.paper ner --data DATA --work DIR
    python -m benchmarks.paper consecutive --shared SHARED --work DIR
    python -m benchmarks.paper number --shared SHARED --work DIR
    python -m benchmarks.paper amount --shared SHARED --work DIR

Each is told in the module of its name. On the page of all benchmarks each has a section: --page docs/benchmarks.md#paper-ner.
Strategies of pre-training, the paper's other table: benchmarks.metamodel.ablations.

What is trained takes minutes; its scores are kept in --work, by the pre-trained pipeline that it started from, so that an
interrupted run goes on, and a complete one only prints.
"""

from __future__ import annotations

import typer

from benchmarks.page import on_page
from benchmarks.paper import amount, consecutive, ner, number

TABLES = {"ner": ner, "consecutive": consecutive, "number": number, "amount": amount}
app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def name_section(context: typer.Context) -> None:
    # The page takes a section's title, and where it is explained, from the module that is run.
    table = TABLES.get(context.invoked_subcommand or "")
    if table is not None:
        globals().update(__doc__=table.__doc__, __file__=table.__file__)


for name, table in TABLES.items():
    app.command(name, help=table.__doc__)(table.main)


if __name__ == "__main__":
    with on_page():
        app()
