"""What the package adds to the start of spaCy, in seconds: alternating, each in a process of its own.

    python -m benchmarks.imports

Every `spacy.blank` imports the factories of all installed packages. "without" hides this package's from spaCy, so that
spacy-transformers' are left.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks.page import on_page

SHOW = (
    "import catalogue, importlib.metadata as metadata; found = metadata.entry_points(); "
    "catalogue.AVAILABLE_ENTRY_POINTS = metadata.EntryPoints("
    "[one for group in found.groups for one in found.select(group=group) if {condition}]); "
)
START = "import time; start = time.perf_counter(); "
BLANK = "import spacy; spacy.blank('en'); "
STOP = "print(time.perf_counter() - start)"
N_RUNS = 5


def main():
    runs = {
        "without": SHOW.format(condition="not one.value.startswith('spacy_falconer')") + START + BLANK + STOP,
        "with": SHOW.format(condition="True") + START + "import spacy_falconer; " + BLANK + STOP,
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(N_RUNS):
        for name, script in runs.items():
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
            times[name].append(float(done.stdout))
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, median in medians.items():
        print(f"{name:8} {median:.2f} s (least {min(times[name]):.2f}, most {max(times[name]):.2f}, {N_RUNS} runs)")
    print(f"added    {medians['with'] - medians['without']:.2f} s")


if __name__ == "__main__":
    with on_page():
        main()
