"""The steps after the plan, in an output folder. Each is only done if it is necessary."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import spacy
import srsly
from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer import __version__
from spacy_falconer.corpus.docbin import LANGUAGE, read_docbin
from spacy_falconer.errors import ServerError
from spacy_falconer.llm.exchange import read_exchange
from spacy_falconer.llm.forms import prompt_version
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import Plan
from spacy_falconer.types import Record
from spacy_falconer.workflow.annotate import Annotated, annotate
from spacy_falconer.workflow.choose import Sampling
from spacy_falconer.workflow.endpoint import Endpoint
from spacy_falconer.workflow.evaluate import evaluate
from spacy_falconer.workflow.files import digest, digest_file, digest_folder, digest_records, whole
from spacy_falconer.workflow.folder import find_composed, make_way
from spacy_falconer.workflow.journal import Journal
from spacy_falconer.workflow.mine import MineReport, mine
from spacy_falconer.workflow.mining.reading import EXACT
from spacy_falconer.workflow.page import PAGE
from spacy_falconer.workflow.plan import dump_questions
from spacy_falconer.workflow.targets import Targets
from spacy_falconer.workflow.times import Took, note_time
from spacy_falconer.workflow.train import TrainReport, find_default_config, train
from spacy_falconer.workflow.written import write_annotated

Progress = Callable[[str, "int | None"], AbstractContextManager[Callable[[int], Any]]]


@dataclass(kw_only=True)
class Steps:
    """The steps after the plan. Each is done if what it reads has changed, or if its outputs do not exist.

    replay: The file of the answers in `earlier`, which are learned again.
    settings: Further arguments of `annotate`. n_process, precision: As in `mine`.
    done_before: The steps that did not have to be done.
    """

    plan: Plan
    records: Iterable[Record]
    output: Path
    endpoint: Endpoint
    sampling: Sampling
    targets: Targets
    replay: Path | None
    earlier: Sequence[Doc]
    settings: dict[str, Any]
    n_process: int
    precision: str
    quiet: bool
    progress: Progress
    watch: Callable[[str, Any], Any]
    done_before: list[str] = field(default_factory=list)

    def import_answers(self, paths: Sequence[Path]) -> None:
        with AnswerStore(self.output / "answers.db") as store:
            for path in paths:
                store.put_many(read_exchange(path))

    def run(self) -> None:
        for step in (self.annotate, self.train, self.compose, self.evaluate, self.mine):
            step()

    def annotate(self) -> None:
        self._do("annotate", ("train.spacy", "test.spacy"), self._annotate, self._digest_question)

    def train(self) -> None:
        self._do("train", ("pipeline",), self._train, self._digest_training)

    def compose(self) -> None:
        """Let the trained pipeline run a plan that was edited but still asks texts the same."""
        if find_composed(self.output / "pipeline") != self.plan:
            self._take_down_page()
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
        self._take_down_page()
        start, n_before = time.perf_counter(), self.endpoint.ledger.total.n_requests
        result = work()
        n_requests = self.endpoint.ledger.total.n_requests - n_before
        n_texts = result.n_texts - result.n_before if isinstance(result, MineReport) else 0
        note_time(self.output, step, Took(round(time.perf_counter() - start, 3), n_requests, n_texts))
        self.watch(step, result)
        self._journal.note(step, digest_read())

    def _take_down_page(self) -> None:
        """Remove an earlier run's page: what it shows is outdated from here on, however this run ends."""
        (self.output / PAGE).unlink(missing_ok=True)

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
            self.plan, docs, source=self.sampling.source, replay=self.earlier, config=self.sampling.config,
            targets=self.targets, seed=self.sampling.seed, quiet=self.quiet,
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
            return mine(
                self._nlp, self.records, self.output / "rows.jsonl", n_process=self.n_process, precision=self.precision,
                fresh=None, tick=tick,
            )  # fmt: skip

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
        """Return a digest of all that decides which answers are learned from. The store's number of answers shows whether
        there are new ones, and its number of failures whether there may be."""
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
        source, replay = digest_folder(self.sampling.source), [digest_file(self.replay)] if self.replay else []
        parts = [str(self.sampling.seed), repr(self.targets), __version__, *replay]
        return digest(dump_questions(self.plan), *files, source, *parts)

    def _digest_evaluation(self) -> str:
        return digest(self._digest_training(), self._plan_json, digest_file(self.output / "test.spacy"))

    def _digest_mining(self) -> str:
        precision = [self.precision] if self.precision != EXACT else []
        return digest(self._digest_training(), self._plan_json, self._corpus[0], *precision)

    @property
    def _config(self) -> Path:
        return self.sampling.config or find_default_config()

    @property
    def _plan_json(self) -> str:
        return json.dumps(self.plan.model_dump(mode="json"))

    def _read_docs(self, name: str) -> list[Doc]:
        return read_docbin(self.output / name, spacy.blank(LANGUAGE))


def explain_stop(stopped: ServerError, annotated: Annotated) -> ServerError:
    """Return the error that stopped the annotation, with another remedy added."""
    return type(stopped)(
        f"{stopped} {len(annotated.docs)} of {annotated.n_chosen} texts are answered; to go on with these "
        "alone, use --recorded-only."
    )
