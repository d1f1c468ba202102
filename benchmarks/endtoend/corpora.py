"""What is read of a corpus: a language model's answers, for training and for testing, and the sentences to be mined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import spacy
import srsly
from spacy.tokens import Doc

from benchmarks.convert import main as convert
from spacy_falconer.plan import Plan, read_plan
from spacy_falconer.workflow.answers import read_answers
from spacy_falconer.workflow.files import digest, digest_file

SHARED = ("bio", "reviews")
PLANS, STATED = "plans", "stated.json"


@dataclass(frozen=True)
class Corpus:
    """Texts with recorded answers.

    whole: A plan that holds every instruction that was asked. plans: Those of the sentences, by the files' names.
    again: A second reading of test texts by a language model. stated: How far the model agrees with itself, F1 by
    instruction, or macro for "labels" and "spans", where its second reading is not kept.
    answers (Path): The file of training answers.
    """

    name: str
    whole: Plan
    plans: dict[str, Plan]
    train: Sequence[Doc]
    test: Sequence[Doc]
    again: Sequence[Doc]
    stated: dict[str, float]
    answers: Path
    digest: str

    @property
    def texts(self) -> list[str]:
        """Those of the test."""
        return [doc.text for doc in self.test]


def read_corpora(shared: Path | None, own: Path, work: Path, names: Sequence[str]) -> Iterator[Corpus]:
    """Of the shared folder, whose answers are put into the exchange format under `work`, and of our own."""
    folders = {} if shared is None else {name: work / "answers" for name in SHARED}
    folders.update({path.name.removesuffix("-plan.json"): own for path in sorted(own.glob("*-plan.json"))})
    for name in [name for name in folders if name in (names or folders)]:
        if folders[name] != own and shared is not None:
            convert(shared, name, folders[name])
        yield read_corpus(name, folders[name], own)


def read_corpus(name: str, folder: Path, own: Path) -> Corpus:
    """NAME-plan.json, NAME-train.jsonl and NAME-test.jsonl of a folder, and a second reading, if there is one."""
    files = {part: folder / f"{name}-{part}.jsonl" for part in ("train", "test")}
    again = next((path for path in list_again(name, own) if path.exists()), None)
    whole, stated = read_plan(folder / f"{name}-plan.json"), srsly.read_json(own / STATED).get(name, {})
    docs = {
        part: read_answers(path, whole, spacy.blank("en"))[0] if path is not None else []
        for part, path in {**files, "again": again}.items()
    }
    plans = {path.stem: read_plan(path) for path in sorted((own / PLANS / name).glob("*.json"))}
    mark = digest(str(whole.model_dump(mode="json")), *map(digest_file, files.values()))
    return Corpus(name, whole, plans, docs["train"], docs["test"], docs["again"], stated, files["train"], mark)


def list_again(name: str, own: Path) -> list[Path]:
    """Where a second reading may lie. That of benchmarks.annotation was made by our own prompts."""
    return [own / f"{name}-again.jsonl", own.parents[1] / "annotation" / f"{name}.jsonl"]
