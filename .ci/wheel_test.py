"""The sdist and the wheel, in an empty environment: commands and entry points are there, and ten texts are mined offline.

Run by `make wheel-test`. The environment gets this package without extras and the pre-trained pipeline's wheel, no more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
CHECK = """
from importlib.metadata import distribution
import spacy, spacy_falconer

entries = [one for one in distribution("spacy-falconer").entry_points]
for entry in entries:
    entry.load()
print(len(entries), "entry points load from", spacy_falconer.__path__[0])

plan = {"instruction": "Prices", "steps": [{"id": "price", "op": "get_span", "instruction": "Amounts of money."}]}
from spacy_falconer.plan import parse_plan

nlp = spacy.load("en_falconer_sm")
nlp.get_pipe("falconer_span").add_instruction("price", plan["steps"][0]["instruction"])
nlp.add_pipe("falconer_plan").set_plan(parse_plan({**plan, "keep": "price", "output": ["price"]}))
nlp.to_disk("pipeline")
"""


def run(*command: object, **settings) -> None:
    print("$", *command, flush=True)
    subprocess.run(list(map(str, command)), check=True, **settings)


def build(folder: Path) -> tuple[Path, Path]:
    """This package's wheel, built from its sdist, and that of the pre-trained pipeline."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    run(
        sys.executable,
        "-m",
        "spacy",
        "package",
        ROOT / "assets" / "en_falconer_sm",
        folder,
        "--build",
        "wheel",
        "--force",
    )
    return next(folder.glob("spacy_falconer-*.whl")), next(folder.glob("en_falconer_sm-*/dist/*.whl"))


def mine(python: Path, folder: Path) -> list[dict]:
    """Mine ten texts, away from the checkout and without a network's help."""
    texts = [f"I paid ${n} for this kettle." for n in range(11, 21)]
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    settings = {"cwd": folder, "env": {**os.environ, **OFFLINE, "PYTHONPATH": ""}}
    run(python, "-c", CHECK, **settings)
    run(python, "-m", "spacy", "falconer", "--help", **{**settings, "stdout": subprocess.DEVNULL})
    run(python, "-m", "spacy_falconer", "mine", "pipeline", "texts.jsonl", "--output", "rows.jsonl", **settings)
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheels = build(folder / "wheels")
        venv.create(folder / "empty", with_pip=True)
        python = folder / "empty" / "bin" / "python"
        pins = ["-c", ROOT / "constraints.txt"] if sys.version_info >= (3, 11) else []
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins, *wheels)
        rows = mine(python, folder)
    found = [row["spans"]["price"] for row in rows]
    assert rows and all(found), found
    print(f"{len(rows)} of 10 texts have a price; the wheel works.")


if __name__ == "__main__":
    main()
