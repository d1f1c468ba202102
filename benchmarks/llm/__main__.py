"""Asking a language model, against a server on loopback that answers by rule: speed, faults, kills, estimates.

    python -m benchmarks.llm [speed] [rate] [faults] [kills] [estimates]

`speed` compares with the bare `openai` client in the same run, alternating. Times depend on what else the machine does;
the ratios less. All parts together take about four minutes.
"""

from __future__ import annotations

import typer

from benchmarks.llm.estimates import show_estimates
from benchmarks.llm.faults import show_faults
from benchmarks.llm.kills import show_kills
from benchmarks.llm.speed import show_rate, show_speed
from benchmarks.page import on_page

PARTS = {
    "speed": show_speed, "rate": show_rate, "faults": show_faults, "kills": show_kills, "estimates": show_estimates,
}  # fmt: skip


def main(parts: list[str] = typer.Argument(None, help=f"Of {', '.join(PARTS)}; by default all of them")):
    for part in parts or PARTS:
        print(f"\n{part}\n")
        PARTS[part]()


if __name__ == "__main__":
    with on_page():
        typer.run(main)
