"""The whole workflow in one call: a sentence and a corpus in, a pipeline and mined rows out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import spacy
import srsly
from spacy.language import Language

from spacy_falconer.errors import FalconerError
from spacy_falconer.llm.batch import OpenBatch
from spacy_falconer.llm.redact import Redactor
from spacy_falconer.metamodel.accelerate import check_precision
from spacy_falconer.plan import Plan
from spacy_falconer.types import Record
from spacy_falconer.workflow.choose import Sampling
from spacy_falconer.workflow.corpus_file import CorpusFile
from spacy_falconer.workflow.endpoint import Endpoint
from spacy_falconer.workflow.files import check_writable
from spacy_falconer.workflow.folder import check_free, check_sentence
from spacy_falconer.workflow.induce_steps import Progress, Steps
from spacy_falconer.workflow.mining.clear import check_apart
from spacy_falconer.workflow.mining.parts import Paths, read_rows
from spacy_falconer.workflow.mining.reading import EXACT
from spacy_falconer.workflow.own.annotator import Annotator, Answering, take_place
from spacy_falconer.workflow.page import renew_page
from spacy_falconer.workflow.plan import obtain_plan
from spacy_falconer.workflow.remember import find_earlier
from spacy_falconer.workflow.targets import parse_targets


@dataclass(frozen=True)
class Induced:
    """The results for a sentence, which are files in the output folder.

    done_before: The steps that an earlier run had done and that this one did not repeat.
    """

    plan: Plan
    output: Path
    done_before: tuple[str, ...]

    @cached_property
    def nlp(self) -> Language:
        return spacy.load(self.output / "pipeline")

    @cached_property
    def scores(self) -> dict[str, Any]:
        return srsly.read_json(self.output / "scores.json")

    def rows(self) -> Iterator[dict[str, Any]]:
        yield from read_rows(self.output / "rows.jsonl")


@contextmanager
def no_progress(title: str, total: int | None) -> Iterator[Callable[[int], Any]]:
    yield lambda n_texts: None


def induce(
    sentence: str,
    records: Iterable[Record] | Path | str,
    output: Path | str,
    *,
    endpoint: Endpoint | None = None,
    annotator: Answering | Annotator | None = None,
    planner_model: str | None = None,
    sampling: Sampling | None = None,
    replay: Path | None = None,
    targets: Sequence[str] = (),
    precision: str = EXACT,
    n_process: int = 1,
    plan: Path | None = None,
    answers: Sequence[Path] = (),
    recorded_only: bool = False,
    redact: Redactor | None = None,
    quiet: bool = True,
    progress: Progress = no_progress,
    warn: Callable[[str], Any] = lambda message: None,
    watch: Callable[[str, Any], Any] = lambda step, result: None,
    watch_batches: Callable[[list[OpenBatch]], Any] = lambda batches: None,
) -> Induced:
    """Plan, annotate, train, evaluate on held-out answers, mine the whole corpus, and report.

    It may be stopped or killed at any time: the same call goes on, pays for no answer twice, and does not repeat steps that
    are done and whose inputs have not changed. A plan.json that answers the sentence is used as it is, edited or not: if
    it still asks texts the same, the trained pipeline takes it over, and only what depends on it is made again. Another
    sentence needs a folder of its own. The report.html of an earlier run is removed before anything in the folder changes,
    and written at the end; if an error stops the run, it shows what there is by then, without the corpus's texts.

    records: Records, or where a corpus with columns "text" and "id" is. Read several times; what can be read only once is
        held in memory.
    output (Path): Folder for plan.json, answers.db, train.spacy, test.spacy, pipeline, scores.json, rows.jsonl and
        report.html.
    endpoint, planner_model: Whom to ask. The planner is the endpoint's model unless another is named.
    replay (Path): Answers to the instructions of the pipeline that training starts from, learned again with the new ones.
    targets: What thresholds are chosen for, as in `parse_targets`.
    precision, n_process: How the corpus is read, as in `mine`.
    annotator: Asked about texts in the language model's place, as in `annotate`; the plan is still a language model's, or
        your own.
    plan (Path): A plan of your own, or a recorded one for this sentence.
    answers: Recorded answers to put into the store first.
    recorded_only (bool): Learn from the texts that the store answers, and ask no one about texts.
    redact: Changes texts before they are sent.
    quiet (bool): Let the training print nothing.
    progress: Makes a progress bar from a title and a number of texts: a context manager that yields its tick.
    warn: Called with warnings before anything is asked.
    watch: Called with each step that was done, and its result: plan (FoundPlan), annotate (Annotated), train
        (TrainReport), compose (the Plan that a trained pipeline took over), evaluate (the scores), mine (MineReport).
    watch_batches: Called with the batches under way, if the endpoint asks in batches.
    RAISES (FalconerError): With the remedy. Answers from before stay in the store.
    """
    output = Path(output)
    if isinstance(records, str | Path):
        records = CorpusFile(Path(records))
    records = list(records) if iter(records) is records else records
    endpoint, sampling = endpoint or Endpoint(), (sampling or Sampling()).name_source()
    own = take_place(annotator, endpoint, redact=redact, n_shots=sampling.n_shots)
    check_precision(precision)
    check_sentence(sentence, output, known=plan)
    check_free(output)
    if isinstance(records, CorpusFile):
        check_apart(records.path, Paths(output / "rows.jsonl"))
    earlier = find_earlier(replay, sampling.source)
    check_writable(output, is_folder=True)
    output.mkdir(parents=True, exist_ok=True)
    planner = replace(endpoint, model=planner_model or endpoint.model)
    found = obtain_plan(
        sentence, output / "plan.json", endpoint=planner, known=plan, records=records, store=output / "answers.db",
        redact=redact, seed=sampling.seed,
    )  # fmt: skip
    watch("plan", found)
    settings = {
        "annotator": own, "recorded_only": recorded_only, "redact": redact, "warn": warn, "watch": watch_batches,
    }  # fmt: skip
    steps = Steps(
        plan=found.plan, records=records, output=output, endpoint=endpoint, sampling=sampling,
        targets=parse_targets(targets, plan=found.plan), replay=replay, earlier=earlier, settings=settings,
        n_process=n_process, precision=precision, quiet=quiet, progress=progress, watch=watch,
    )  # fmt: skip
    steps.import_answers(answers)
    try:
        steps.run()
    except FalconerError:
        report_stopped(output, warn=warn)
        raise
    renew_page(output, records)
    return Induced(found.plan, output, tuple(steps.done_before))


def report_stopped(output: Path, *, warn: Callable[[str], Any]) -> None:
    """Write the page of a run that an error stopped, if texts were answered. Failing to do so never hides that error."""
    if not (output / "train.spacy").exists():
        return
    try:
        renew_page(output, None)
    except Exception as error:
        warn(f"The report was not written: {error}")
