"""Choose texts, get answers to them, and place the quotes, so that they can be learned from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import spacy
from spacy.tokens import Doc

from spacy_falconer.corpus.choose import choose_random
from spacy_falconer.corpus.docbin import LANGUAGE, GroundingReport, make_docs
from spacy_falconer.corpus.read import read_units
from spacy_falconer.errors import AnswerError, ServerError
from spacy_falconer.llm.annotate import count_stale, is_full, partial_answers, read_answer
from spacy_falconer.llm.batch import OpenBatch
from spacy_falconer.llm.exchange import read_exchange
from spacy_falconer.llm.redact import Redactor
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import Plan
from spacy_falconer.types import Answer, Record
from spacy_falconer.workflow.ask import Asker
from spacy_falconer.workflow.choose import (
    HELD_OUT,
    RANDOM,
    TEST_SHARE,
    Chosen,
    Sampling,
    list_candidates,
    pick,
    pick_random,
    recall_chosen,
    weigh,
    without,
)
from spacy_falconer.workflow.endpoint import Endpoint
from spacy_falconer.workflow.files import digest
from spacy_falconer.workflow.memory import Memory
from spacy_falconer.workflow.own.annotator import Annotator, Answering, take_place
from spacy_falconer.workflow.plan import dump_questions
from spacy_falconer.workflow.rounds import annotate_in_rounds


@dataclass(frozen=True)
class Annotated:
    """Answered texts as docs, how their quotes were placed, and who answered.

    docs: With `user_data["chosen"]`, the strategy that chose the text, and `user_data["weight"]`, if it is known.
    n_chosen (int): Texts that were chosen to be answered.
    is_recorded (bool): All answers existed before, and no one was asked.
    failed (dict[str, str]): Texts that the language model has no answers to, with the reason.
    stopped (ServerError): Why not all were asked. What was answered is kept in the store.
    """

    docs: list[Doc]
    report: GroundingReport
    models: list[str]
    n_chosen: int
    is_recorded: bool = False
    failed: dict[str, str] = field(default_factory=dict)
    stopped: ServerError | None = None


def annotate(
    plan: Plan,
    records: Iterable[Record],
    store: AnswerStore,
    *,
    sampling: Sampling,
    endpoint: Endpoint | None = None,
    annotator: Answering | Annotator | None = None,
    recorded_only: bool = False,
    recorded: Path | None = None,
    redact: Redactor | None = None,
    memory: Path | None = None,
    tick: Callable[[int], Any] = lambda n_texts: None,
    warn: Callable[[str], Any] = lambda message: None,
    watch: Callable[[list[OpenBatch]], Any] = lambda batches: None,
) -> Annotated:
    """Choose texts of the corpus, ask for the answers that the store does not hold, and place the quotes.

    records: With `recorded`, they are read twice.
    endpoint: The language model that is asked.
    annotator: Asked in its place: takes a text and the steps to answer (`AskedStep`), and returns the answers by the steps'
        ids; see `Annotator`.
    recorded_only (bool): Take only texts that the store answers already, and ask no one.
    recorded (Path): Recorded answers. If they answer the plan about texts of the corpus, only these texts are taken, and
        no one is asked.
    redact: Changes texts before they are sent.
    memory (Path): The file that keeps what was chosen by vectors or models, so that a run that goes on chooses the same.
    tick: Called with the number of texts that were settled since the last call.
    warn: Called with warnings before anything is asked.
    watch: Called with the batches under way, if the endpoint asks in batches.
    RAISES (AnswerError): With `recorded_only`, the store answers the plan for none of the texts; or all texts failed; or
        the annotator fails.
    RAISES (ServerError): There is no answer at all, and none could be had.
    RAISES (CorpusError): There is no text.
    RAISES (ModelError): The texts are to be chosen by a pipeline that does not exist.
    """
    endpoint = endpoint or Endpoint()
    own = take_place(annotator, endpoint, redact=redact, n_shots=sampling.n_shots)
    if recorded_only:
        found = take_answered(plan, records, store, sampling=sampling, model=endpoint.model)
    else:
        found = take_recorded(recorded, plan, records, store, sampling=sampling, model=endpoint.model)
    if found is not None:
        warn_of_unused(sampling, own, warn)
        return found
    sampling = sampling if sampling.is_plain else sampling.name_source()
    texts = list_candidates(read_units(records, plan.unit), sampling)
    if own is None:
        warn_of_stale(count_stale(texts, plan, store, model=endpoint.model), store, warn)
    asker = Asker(plan, store, endpoint, redact, sampling.n_shots, tick, watch, own)
    chosen = choose(texts, plan, sampling, open_memory(memory, plan, texts, sampling), asker)
    answers = asker.ask([one.text for one in chosen])
    failed = asker.find_failed([one.text for one in chosen])
    check_some(answers, failed, asker.stopped, own)
    return ground(answers, plan, chosen, failed=failed, stopped=asker.stopped)


def take_answered(
    plan: Plan, records: Iterable[Record], store: AnswerStore, *, sampling: Sampling, model: str | None = None
) -> Annotated:
    """Take a random sample of the texts that the store answers: in full, and if these are too few, in part. Ask no one.

    RAISES (AnswerError): It answers the plan for none of the texts.
    """
    units = read_units(records, plan.unit)
    answered = list(partial_answers((record.text for record in units), plan, store, model=model))
    in_full, in_part = ([one for one in answered if is_full(one, plan) == wanted] for wanted in (True, False))
    answers = choose_random(in_full, sampling.n_texts, seed=sampling.seed)
    answers += choose_random(in_part, sampling.n_texts - len(answers), seed=sampling.seed)
    check_any(answers, plan)
    return ground(answers, plan, [Chosen(answer.text, RANDOM) for answer in answers], is_recorded=True)


def take_recorded(
    path: Path | None,
    plan: Plan,
    records: Iterable[Record],
    store: AnswerStore,
    *,
    sampling: Sampling,
    model: str | None = None,
) -> Annotated | None:
    """Take a sample of the corpus's texts that a file of recorded answers has answers to; None if there are none.

    Its answers about the corpus's texts to the plan's instructions are put into the store.
    RAISES (AnswerError): The file holds no recorded answers.
    """
    wanted = {step.instruction for step in plan.steps}
    said = [one for one in (read_exchange(path) if path else ()) if wanted & {*one.labels, *one.spans}]
    answered = {one.text for one in said}
    found = [record for record in read_units(records, plan.unit) if record.text in answered] if said else []
    texts = {record.text for record in found}
    store.put_many(one for one in said if one.text in texts)
    if not any(read_answer(record.text, plan, store, model=model) for record in found):
        return None
    uncut = plan.model_copy(update={"unit": "document"})  # If sentences are wanted, the texts are sentences already.
    return take_answered(uncut, found, store, sampling=sampling, model=model)


def choose(texts: Sequence[str], plan: Plan, sampling: Sampling, memory: Memory, asker: Asker) -> list[Chosen]:
    """Choose the texts to annotate. If they are not a random sample, a fifth is one, and is held out to test on."""
    if sampling.is_plain:
        return pick_random(texts, sampling.n_texts, seed=sampling.seed)
    n_texts = min(sampling.n_texts, len(texts))
    held_out = pick_random(texts, round(TEST_SHARE * n_texts), how=HELD_OUT, seed=sampling.seed + 1)
    rest, n = without(texts, held_out), n_texts - len(held_out)
    if sampling.n_rounds > 1:
        return weigh([held_out, *annotate_in_rounds(rest, n, plan, sampling, memory, asker)])
    return weigh([held_out, recall_chosen(memory, "choice", rest, lambda: pick(rest, n, plan, sampling))])


def open_memory(path: Path | None, plan: Plan, texts: Sequence[str], sampling: Sampling) -> Memory:
    """Open the memory of what was chosen among these texts, for this plan's questions and this sampling."""
    config = sampling.config.read_text(encoding="utf8") if sampling.config else ""
    settings = [sampling.n_texts, sampling.strategy, sampling.n_rounds, sampling.seed, str(sampling.source)]
    return Memory(path, digest(dump_questions(plan), json.dumps(settings), config, *texts))


def warn_of_unused(sampling: Sampling, annotator: Annotator | None, warn: Callable[[str], Any]) -> None:
    """Name what has no meaning where the answers that there are decide about which texts are taken."""
    unused = []
    if sampling.strategy != RANDOM:
        unused.append(f"the strategy {sampling.strategy!r}")
    if sampling.n_rounds > 1:
        unused.append(f"{sampling.n_rounds} rounds")
    if annotator is not None:
        unused.append(f"the annotator {annotator.name!r}")
    if unused:
        warn(
            f"Recorded answers were taken, a random sample of them, and no one was asked: {', '.join(unused)} made no "
            "difference. Leave it out, or annotate without recorded answers."
        )


def warn_of_stale(n_stale: int, store: AnswerStore, warn: Callable[[str], Any]) -> None:
    if n_stale:
        warn(
            f"The prompts have changed: {n_stale} answers in {store.path} were asked for with earlier ones. Those about "
            "texts that are chosen are asked for again. To keep them, stop here and use --recorded-only."
        )


def ground(answers: Sequence[Answer], plan: Plan, chosen: Sequence[Chosen], **outcome: Any) -> Annotated:
    """Place the answers' quotes in their texts, and note why each text was chosen. `outcome`: Fields of `Annotated`."""
    docs, report = make_docs(answers, plan, spacy.blank(LANGUAGE))
    by_text = {one.text: one for one in chosen}
    for doc in docs:
        doc.user_data["chosen"] = by_text[doc.text].how
        if by_text[doc.text].weight is not None:
            doc.user_data["weight"] = by_text[doc.text].weight
    return Annotated(docs, report, sorted({answer.model for answer in answers}), len(by_text), **outcome)


def check_some(
    answers: Sequence[Answer],
    failed: Mapping[str, str],
    stopped: ServerError | None,
    annotator: Annotator | None = None,
) -> None:
    """RAISES (ServerError, AnswerError): There is no answer at all. The message says why."""
    if answers:
        return
    if stopped is not None:
        raise stopped
    if annotator is not None:
        raise AnswerError(
            f"The annotator {annotator.name!r} has no answer to any of the {len(failed)} texts. Correct it; `answers delete "
            "--failures` lets the texts be asked again."
        )
    reason = next(iter(failed.values()), "")
    raise AnswerError(
        f"The language model has no answer to any of the {len(failed)} texts. The first reason: {reason} Name another "
        "model; `answers delete --failures` lets the texts be asked again."
    )


def check_any(answers: Sequence[Answer], plan: Plan) -> None:
    if not answers:
        asked = "; ".join(repr(step.instruction) for step in plan.steps)
        raise AnswerError(
            f"The store answers the plan's instructions for none of the corpus's texts. The instructions: {asked}. "
            "Import recorded answers with the same words (`answers import FILE --store ...`), or set OPENAI_BASE_URL "
            "and OPENAI_API_KEY and annotate without --recorded-only."
        )
