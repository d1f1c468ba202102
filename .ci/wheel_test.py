"""Wheels in an empty environment: commands and entry points are there, texts are mined offline, a trained pipeline reads as before.

Run by `make wheel-test`. The environment gets this package without extras, made from its sdist, the pre-trained pipeline, and
one that learned a little from a template's recorded answers; no more.
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
PRETRAINED = ROOT / "assets" / "en_falconer_sm"
TEMPLATE = ROOT / "templates" / "tweets" / "assets"
FEW_STEPS = {"training.max_steps": 20, "training.eval_frequency": 20}
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
READ = """
import json, sys, spacy

texts = [json.loads(line)["text"] for line in open(sys.argv[2], encoding="utf8")]
docs = list(spacy.load(sys.argv[1]).pipe(texts))
spans = [[[span.label_, span.start_char, span.end_char] for span in doc.spans["sc"]] for doc in docs]
print(json.dumps({"cats": [doc.cats for doc in docs], "spans": spans, "mined": [doc._.mined for doc in docs]}))
"""


def run(*command: object, **settings) -> str | None:
    print("$", *(str(word) for word in command if "\n" not in str(word)), flush=True)
    return subprocess.run(list(map(str, command)), check=True, **settings).stdout


def build(folder: Path, *, tuned: Path) -> list[Path]:
    """This package's wheel, built from its sdist, and those of both pipelines."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    package = [sys.executable, "-m", "spacy", "package"]
    run(*package, PRETRAINED, folder, "--build", "wheel", "--force")
    run(*package, tuned, folder, "--name", "complaints", "--version", "1.0.0", "--build", "wheel")
    return [*folder.glob("spacy_falconer-*.whl"), *folder.glob("en_*/dist/*.whl")]


def train(output: Path) -> None:
    """A pipeline that learned from a template's answers for a few steps: what is in it matters here, not how well it reads."""
    import spacy

    from spacy_falconer.plan import read_plan
    from spacy_falconer.workflow.answers import read_answers
    from spacy_falconer.workflow.train import train

    plan = read_plan(TEMPLATE / "plan.json")
    docs, _ = read_answers(TEMPLATE / "answers.jsonl", plan, spacy.blank("en"))
    nlp, _ = train(plan, docs, source=PRETRAINED, overrides=FEW_STEPS, quiet=True)
    nlp.to_disk(output)


def read(python: Path | str, pipeline: Path | str, **settings) -> dict:
    """What a pipeline says of the template's texts."""
    return json.loads(run(python, "-c", READ, pipeline, TEMPLATE / "texts.jsonl", stdout=subprocess.PIPE, **settings))


def mine(python: Path, folder: Path, settings: dict) -> list[dict]:
    """Mine ten texts by the command."""
    texts = [f"I paid ${n} for this kettle." for n in range(11, 21)]
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    run(python, "-c", CHECK, **settings)
    run(python, "-m", "spacy", "falconer", "--help", **{**settings, "stdout": subprocess.DEVNULL})
    run(python, "-m", "spacy_falconer", "mine", "pipeline", "texts.jsonl", "--output", "rows.jsonl", **settings)
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]


def compare(found: dict, expected: dict) -> int:
    """Check that two pipelines say the same; the number of texts of which they keep a row."""
    assert found["spans"] == expected["spans"], (found["spans"], expected["spans"])
    for cats, before in zip(found["cats"], expected["cats"], strict=True):
        assert cats.keys() == before.keys() and all(abs(cats[key] - before[key]) < 1e-3 for key in cats), (cats, before)
    kept = [[row is not None for row in one["mined"]] for one in (found, expected)]
    assert kept[0] == kept[1] and any(kept[0]), kept
    return sum(kept[0])


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train(folder / "tuned")
        wheels = build(folder / "wheels", tuned=folder / "tuned")
        assert len(wheels) == 3, wheels
        expected = read(sys.executable, folder / "tuned")
        venv.create(folder / "empty", with_pip=True)
        python = folder / "empty" / "bin" / "python"
        pins = ["-c", ROOT / "constraints.txt"] if sys.version_info >= (3, 11) else []
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins, *wheels)
        away = {"cwd": folder, "env": {**os.environ, **OFFLINE, "PYTHONPATH": ""}}  # From the checkout and the network.
        rows = mine(python, folder, away)
        n_kept = compare(read(python, "en_complaints", **away), expected)
    found = [row["spans"]["price"] for row in rows]
    assert rows and all(found), found
    print(f"{len(rows)} of 10 texts have a price; the wheel works.")
    print(
        f"{n_kept} of {len(expected['mined'])} texts are kept, as before packaging; the wheel of a trained pipeline works."
    )


if __name__ == "__main__":
    main()
