"""The whole way in one call: a sentence and a corpus in, a pipeline and mined rows out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import spacy
import srsly
from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer import __version__
from spacy_falconer.corpus.docbin import read_docbin
from spacy_falconer.errors import ServerError
from spacy_falconer.llm.batch import OpenBatch
from spacy_falconer.llm.exchange import read_exchange
from spacy_falconer.llm.forms import prompt_version
from spacy_falconer.llm.redact import Redactor
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import Plan
from spacy_falconer.types import Record
from spacy_falconer.workflow.annotate import LANGUAGE, Annotated, annotate, write_annotated
from spacy_falconer.workflow.choose import Sampling
from spacy_falconer.workflow.endpoint import Endpoint
from spacy_falconer.workflow.evaluate import evaluate
from spacy_falconer.workflow.files import digest, digest_file, digest_folder, digest_records, whole
from spacy_falconer.workflow.folder import check_sentence, find_composed, make_way
from spacy_falconer.workflow.journal import Journal
from spacy_falconer.workflow.mine import MineReport, mine
from spacy_falconer.workflow.own.annotator import Annotator, Answering, take_place
from spacy_falconer.workflow.page import renew_page
from spacy_falconer.workflow.plan import dump_questions, find_plan
from spacy_falconer.workflow.targets import Targets, parse_targets
from spacy_falconer.workflow.times import Took, note_time
from spacy_falconer.workflow.train import TrainReport, find_default_config, train

Progress = Callable[[str, "int | None"], AbstractContextManager[Callable[[int], Any]]]


@dataclass(frozen=True)
class Induced:
    """Everything that came of a sentence. It stands in the output folder, as files.

    done_before: The steps that an earlier run had done, and this one did not do again.
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
        yield from srsly.read_jsonl(self.output / "rows.jsonl")


@contextmanager
def no_progress(title: str, total: int | None) -> Iterator[Callable[[int], Any]]:
    yield lambda n_texts: None


def induce(
    sentence: str,
    records: Iterable[Record],
    output: Path,
    *,
    endpoint: Endpoint | None = None,
    annotator: Answering | Annotator | None = None,
    planner_model: str | None = None,
    sampling: Sampling | None = None,
    targets: Sequence[str] = (),
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
    """Plan, annotate, train, evaluate on answers held out, and mine the whole corpus.

    It may be stopped, or killed, at any time: the same call goes on, pays for no answer twice, and does no step again
    that is done and whose inputs are what they were. A plan.json that answers the sentence is taken as it is, edited or not:
    where it asks texts what it asked before, the trained pipeline takes it, and what depends on it is made anew. Another
    sentence needs a folder of its own. A report.html that stands there is made anew with the rest.

    records: Read several times; one that can be read only once is held in memory.
    output (Path): Folder for plan.json, answers.db, train.spacy, test.spacy, pipeline, scores.json and rows.jsonl.
    endpoint, planner_model: Whom to ask. The planner is the endpoint's model where no other is named.
    targets: What thresholds are for, as `parse_targets` reads them.
    annotator: Asked about texts in the language model's place, as by `annotate`; the plan is still a language model's, or
        your own.
    plan (Path): A plan of your own, or a recorded one for this sentence.
    answers: Recorded answers to put into the store first.
    recorded_only (bool): Learn from the texts that the store answers, and ask nobody about texts.
    redact: Changes texts before they are sent.
    quiet (bool): Let the training print nothing.
    progress: Makes a progress bar of a title and a number of texts, as a context manager of its tick.
    warn: Called with what is to be known before anything is asked.
    watch: Called with each step that was done, and what came of it: plan (FoundPlan), annotate (Annotated), train
        (TrainReport), compose (the Plan that a trained pipeline took), evaluate (the scores), mine (MineReport).
    watch_batches: Called with the batches under way, where the endpoint asks in batches.
    RAISES (FalconerError): With the remedy. Answers that were got before it stay in the store.
    """
    records = list(records) if iter(records) is records else records
    endpoint, sampling = endpoint or Endpoint(), (sampling or Sampling()).name_source()
    own = take_place(annotator, endpoint, redact=redact, n_shots=sampling.n_shots)
    check_sentence(sentence, output, known=plan)
    output.mkdir(parents=True, exist_ok=True)
    planner = replace(endpoint, model=planner_model or endpoint.model)
    found = find_plan(
        sentence, output / "plan.json", endpoint=planner, known=plan, records=records, store=output / "answers.db",
        redact=redact, seed=sampling.seed,
    )  # fmt: skip
    watch("plan", found)
    wanted = parse_targets(targets, plan=found.plan)
    settings = {
        "annotator": own, "recorded_only": recorded_only, "redact": redact, "warn": warn, "watch": watch_batches,
    }  # fmt: skip
    run = _Run(found.plan, records, output, endpoint, sampling, wanted, settings, quiet, progress, watch)
    run.import_answers(answers)
    try:
        for step in (run.annotate, run.train, run.compose, run.evaluate, run.mine):
            step()
    finally:
        renew_page(output, records)
    return Induced(found.plan, output, tuple(run.done_before))


@dataclass
class _Run:
    """The steps after the plan. Each is done where what it reads has changed, or its outputs are not there."""

    plan: Plan
    records: Iterable[Record]
    output: Path
    endpoint: Endpoint
    sampling: Sampling
    targets: Targets
    settings: dict[str, Any]
    quiet: bool
    progress: Progress
    watch: Callable[[str, Any], Any]
    done_before: list[str] = field(default_factory=list)

    def import_answers(self, paths: Sequence[Path]) -> None:
        with AnswerStore(self.output / "answers.db") as store:
            for path in paths:
                store.put_many(read_exchange(path))

    def annotate(self) -> None:
        self._do("annotate", ("train.spacy", "test.spacy"), self._annotate, self._digest_question)

    def train(self) -> None:
        self._do("train", ("pipeline",), self._train, self._digest_training)

    def compose(self) -> None:
        """A plan that was edited, but asks texts what it asked before, is run by the pipeline that is trained already."""
        if find_composed(self.output / "pipeline") != self.plan:
            self._nlp.get_pipe("falconer_plan").set_plan(self.plan)
            self._nlp.meta.update(description=self.plan.instruction)
            self._put_pipeline(self._nlp)
            self.watch("compose", self.plan)

    def evaluate(self) -> None:
        self._do("evaluate", ("scores.json",), self._evaluate, self._digest_evaluation)

    def mine(self) -> None:
        self._do("mine", ("rows.jsonl",), self._mine, self._digest_mining)

    def _do(self, step: str, outputs: Sequence[str], work: Callable[[], Any], digest_read: Callable[[], str]) -> None:
        if self._journal.is_done(step, digest_read(), [self.output / name for name in outputs]):
            self.done_before.append(step)
            return
        start, n_before = time.perf_counter(), self.endpoint.ledger.total.n_requests
        result = work()
        n_requests = self.endpoint.ledger.total.n_requests - n_before
        n_texts = result.n_texts - result.n_before if isinstance(result, MineReport) else 0
        note_time(self.output, step, Took(round(time.perf_counter() - start, 3), n_requests, n_texts))
        self.watch(step, result)
        self._journal.note(step, digest_read())

    def _annotate(self) -> Annotated:
        with AnswerStore(self.output / "answers.db") as store:
            with self.progress("Annotating", self.sampling.n_texts) as tick:
                annotated = annotate(
                    self.plan, self.records, store, sampling=self.sampling, endpoint=self.endpoint, tick=tick,
                    memory=self.output / "chosen.json", **self.settings,
                )  # fmt: skip
        self._journal.forget("annotate")
        write_annotated(
            annotated, self.plan, self.output / "train.spacy", self.output / "test.spacy", seed=self.sampling.seed
        )
        if annotated.stopped is not None:
            self.watch("annotate", annotated)
            raise explain_stop(annotated.stopped, annotated)
        return annotated

    def _train(self) -> TrainReport:
        docs = self._read_docs("train.spacy")
        nlp, report = train(
            self.plan, docs, source=self.sampling.source, config=self.sampling.config, targets=self.targets,
            seed=self.sampling.seed, quiet=self.quiet,
        )  # fmt: skip
        self._journal.forget("train")
        self._put_pipeline(nlp)
        return report

    def _put_pipeline(self, nlp: Language) -> None:
        make_way(self.output, self.plan)
        with whole(self.output / "pipeline") as part:
            nlp.to_disk(part)

    def _evaluate(self) -> dict[str, Any]:
        source, config = self.sampling.source, self.sampling.config
        scores = evaluate(
            self._nlp, self._read_docs("test.spacy"), train_docs=self._read_docs("train.spacy"), source=source,
            config=config, curve="heads" if source is not None else None, seed=self.sampling.seed,
        )  # fmt: skip
        self._journal.forget("evaluate")
        with whole(self.output / "scores.json") as part:
            srsly.write_json(part, scores)
        return scores

    def _mine(self) -> MineReport:
        self._journal.forget("mine")
        with self.progress("Mining", self._corpus[1]) as tick:
            return mine(self._nlp, self.records, self.output / "rows.jsonl", fresh=None, tick=tick)

    @property
    def _journal(self) -> Journal:
        return Journal(self.output / "done.json")

    @cached_property
    def _nlp(self) -> Language:
        return spacy.load(self.output / "pipeline")

    @cached_property
    def _corpus(self) -> tuple[str, int]:
        return digest_records(self.records)

    def _digest_question(self) -> str:
        """Of all that decides which answers are learned from; how many the store has says whether there are new ones,
        and how many failures, whether there may be."""
        with AnswerStore(self.output / "answers.db") as store:
            n_settled = [len(store), store.count_failures()]
        redact, own = self.settings["redact"], self.settings["annotator"]
        asked = [self.endpoint.model, self.settings["recorded_only"], redact.name if redact else None, n_settled]
        asked += [own.name] if own else []
        sampling = {**asdict(self.sampling), "config": digest_file(self._config), "source": str(self.sampling.source)}
        return digest(
            dump_questions(self.plan), self._corpus[0], json.dumps([asked, sampling]), prompt_version(), __version__
        )

    def _digest_training(self) -> str:
        files = [digest_file(path) for path in (self.output / "train.spacy", self._config)]
        source = digest_folder(self.sampling.source)
        return digest(
            dump_questions(self.plan), *files, source, str(self.sampling.seed), repr(self.targets), __version__
        )

    def _digest_evaluation(self) -> str:
        return digest(self._digest_training(), self._plan_json, digest_file(self.output / "test.spacy"))

    def _digest_mining(self) -> str:
        return digest(self._digest_training(), self._plan_json, self._corpus[0])

    @property
    def _config(self) -> Path:
        return self.sampling.config or find_default_config()

    @property
    def _plan_json(self) -> str:
        return json.dumps(self.plan.model_dump(mode="json"))

    def _read_docs(self, name: str) -> list[Doc]:
        return read_docbin(self.output / name, spacy.blank(LANGUAGE))


def explain_stop(stopped: ServerError, annotated: Annotated) -> ServerError:
    """The error that stopped the annotation, with what may be done besides."""
    return type(stopped)(
        f"{stopped} {len(annotated.docs)} of {annotated.n_chosen} texts are answered; to go on with these "
        "alone, use --recorded-only."
    )
