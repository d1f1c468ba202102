"""Get a plan for a sentence: a person's, a recorded one, that of an earlier run, or a language model's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from spacy_falconer.corpus.choose import choose_random
from spacy_falconer.errors import CorpusError, PlanError, ServerError, UnsupportedPlanError
from spacy_falconer.llm.chat import Chat
from spacy_falconer.llm.planner import MAX_TEXTS, make_plan
from spacy_falconer.llm.redact import Redactor
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.plan import Plan, read_plan, write_plan
from spacy_falconer.types import Record
from spacy_falconer.workflow.corpus_file import CorpusFile
from spacy_falconer.workflow.endpoint import Endpoint, run_to_end
from spacy_falconer.workflow.files import is_older, whole

N_LEADING = 1000  # The first texts of the corpus, from which those that the planner sees are chosen.


@dataclass(frozen=True)
class FoundPlan:
    """A plan, where it came from: "own", "recorded", "kept" (from an earlier run) or "asked", and the model that made it.

    replaced (str): The other sentence that its file held a plan for.
    """

    plan: Plan
    origin: str
    model: str | None = None
    replaced: str | None = None


def obtain_plan(
    sentence: str,
    output: Path,
    *,
    endpoint: Endpoint,
    known: Path | None = None,
    records: Iterable[Record] = (),
    store: Path | None = None,
    redact: Redactor | None = None,
    seed: int = 0,
) -> FoundPlan:
    """Get the plan for a sentence, and write it to `output`. A language model is asked only if there is no other plan for it.

    output (Path): The plan's file. If it is for this sentence already, it is used as it is, edited or not, unless `known` is.
    known (Path): A plan file: a person's own is used as it is; one with a "model" beside its "plan" is a recorded answer to
        one sentence, and only used for that.
    records: The corpus. The beginnings of a few texts are shown to the planner.
    store (Path): An answer store that keeps the planner's replies, so that none is paid for twice.
    RAISES (PlanError): A file holds no plan that can be run, the planner made none, or `known` would replace an edited
        plan.
    RAISES (UnsupportedPlanError): The two primitives cannot answer the sentence. The message has the planner's reason.
    RAISES (ServerError): There is no plan for this sentence, and no endpoint to ask.
    RAISES (CorpusError): There is a corpus, and no text of it can be read.
    """
    found = _find_known(sentence, known)
    if known is not None and found is not None:
        check_unedited(sentence, found, known, output)
    found = found or _find_kept(sentence, output)
    if found is None:
        texts = choose_texts(records, redact=redact, seed=seed)
        check_readable(texts, records)
        found = FoundPlan(ask_plan(sentence, texts, endpoint, store), "asked", endpoint.model_name)
    if found.origin != "kept":
        found = replace(found, replaced=_find_replaced(sentence, found.plan, output))
        with whole(output) as part:
            write_plan(found.plan, part)
    return found


def check_unedited(sentence: str, found: FoundPlan, known: Path, output: Path) -> None:
    """RAISES (PlanError): The given plan would replace another one for the same sentence that was written later."""
    try:
        kept = _find_kept(sentence, output)
    except PlanError:  # What cannot be read may be replaced.
        return
    if kept is None or kept.plan == found.plan or is_older(output, [known]):
        return
    raise PlanError(
        f"{str(output)!r} differs from {str(known)!r}, which would replace it, and is the newer one. To go on with your "
        f"changes, leave the other plan out (--plan, in a project --vars.plan ''); to discard them, remove {str(output)!r}."
    )


def check_readable(texts: Sequence[str], records: Iterable[Record]) -> None:
    """RAISES (CorpusError): There is a corpus, but none of its texts can be read. A plan would be paid for in vain."""
    if isinstance(records, CorpusFile) and not texts:
        raise CorpusError(
            f"The corpus {records.path} holds no text that can be read in {', '.join(records.text_field)!r}. Expected at "
            "least one. Name its column by --text-field. No language model was asked."
        )


def ask_plan(sentence: str, texts: Sequence[str], endpoint: Endpoint, store: Path | None) -> Plan:
    """Ask a language model for a plan. The same question with the same store is paid for once, unless its reply was refused.

    RAISES (PlanError, ServerError): As `obtain_plan`.
    """

    async def ask() -> Plan:
        async with endpoint.open_chat() as chat:
            if store is None:
                return await make_plan(sentence, texts, chat)
            with AnswerStore(store) as opened:
                return await _ask_once(sentence, texts, chat, opened)

    try:
        return run_to_end(ask())
    except UnsupportedPlanError as error:
        raise UnsupportedPlanError(
            f"The sentence {sentence!r} cannot be planned, says the planner: {error} Nothing more was spent. "
            "Put it in other words."
        ) from None
    except ServerError as error:
        raise type(error)(
            f"There is no plan for the sentence {sentence!r} yet. {error} Or give one for it by --plan."
        ) from None


async def _ask_once(sentence: str, texts: Sequence[str], chat: Chat, store: AnswerStore) -> Plan:
    try:
        return await make_plan(sentence, texts, _KeptChat(chat, store, sentence))
    except UnsupportedPlanError:
        raise
    except PlanError:
        store.drop_replies(sentence)
        raise


@dataclass(frozen=True)
class _Kept:
    content: str


@dataclass(frozen=True)
class _KeptChat:
    """A chat that only asks what the store does not hold yet."""

    chat: Chat
    store: AnswerStore
    sentence: str

    async def ask(
        self, messages: list[dict[str, str]], *, schema: dict[str, Any] | None = None, step: str = ""
    ) -> _Kept:
        request = json.dumps([self.chat.model, messages])
        content = self.store.find_reply(request)
        if content is None:
            content = (await self.chat.ask(messages, schema=schema, step=step)).content
            self.store.keep_reply(self.sentence, request, content)
        return _Kept(content)


def choose_texts(records: Iterable[Record], *, redact: Redactor | None, seed: int) -> list[str]:
    """Choose a few texts of the corpus, redacted as the planner may see them."""
    chosen = choose_random(islice(records, N_LEADING), MAX_TEXTS, seed=seed)
    return [record.text if redact is None else redact.apply(record.text).text for record in chosen]


def _find_known(sentence: str, path: Path | None) -> FoundPlan | None:
    """Return a given plan, unless it is a recorded answer to another sentence."""
    if path is None:
        return None
    plan, model = read_plan(path), recorded_by(path)
    if model is None:
        return FoundPlan(plan, "own")
    return FoundPlan(plan, "recorded", model) if is_same(plan.instruction, sentence) else None


def _find_kept(sentence: str, path: Path) -> FoundPlan | None:
    """Return the plan of an earlier run, if it was made for this sentence."""
    if not path.exists():
        return None
    plan = read_plan(path)
    return FoundPlan(plan, "kept") if is_same(plan.instruction, sentence) else None


def _find_replaced(sentence: str, plan: Plan, path: Path) -> str | None:
    """Return the sentence of a file's plan, if both are others."""
    try:
        before = read_plan(path)
    except PlanError:  # There is no file, or none that can be read.
        return None
    return None if before == plan or is_same(before.instruction, sentence) else before.instruction


def recorded_by(path: Path) -> str | None:
    """Return the model whose recorded answer a plan file is; None for a person's own plan."""
    data = json.loads(path.read_text(encoding="utf-8-sig"))
    return data.get("model") if "plan" in data else None


def dump_questions(plan: Plan) -> str:
    """Return the parts of a plan that answers and training depend on; the others only decide how answers are used."""
    steps = {"__all__": {"when", "one_of"}}
    return plan.model_dump_json(exclude={"instruction": True, "keep": True, "output": True, "steps": steps})


def read_sentence(value: str) -> str:
    """Return a sentence, or that of a file, as quotes and dollar signs are easily lost on a command line.

    RAISES (PlanError): It is the name of a text file that does not exist, or is not UTF-8.
    """
    if not os.path.isfile(value):
        if value.endswith(".txt") and len(value.split()) == 1:
            raise PlanError(
                f"There is no file {value!r}. Expected a sentence, or a file that holds it. Check the path."
            )
        return value.strip()
    try:
        return Path(value).read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise PlanError(f"{value!r} is not text in UTF-8 ({error}). Expected one sentence. Save it as UTF-8.") from None


def is_same(one: str, other: str) -> bool:
    """Return whether two sentences differ only in white space and case."""
    return normalize(one) == normalize(other)


def normalize(sentence: str) -> str:
    return " ".join(sentence.split()).casefold()
