"""Read answers from files of both kinds, and manage what a store holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.corpus.docbin import SPANS_KEY, GroundingReport, make_docs, read_docbin
from spacy_falconer.corpus.read import read_units
from spacy_falconer.errors import AnswerError
from spacy_falconer.llm.batch import OpenBatch, cancel_batches, find_open_batches, find_texts_under_way
from spacy_falconer.llm.exchange import read_exchange, write_exchange
from spacy_falconer.llm.rows import GOLD, Row, answer_rows, choose, choose_others, gather
from spacy_falconer.llm.store import AnswerStore
from spacy_falconer.pipeline.score import asked_keys
from spacy_falconer.plan import Plan
from spacy_falconer.types import Answer, Record
from spacy_falconer.workflow.endpoint import run_to_end
from spacy_falconer.workflow.files import whole


def read_answers(path: Path, plan: Plan, nlp: Language) -> tuple[list[Doc], GroundingReport]:
    """Read answers as docs: from the .spacy file of annotate, or from recorded answers.

    Recorded answers about one text become one doc, in which a person's answer to a question precedes a model's.
    RAISES (AnswerError): The file is neither.
    """
    if path.suffix == ".spacy":
        docs, report = read_docbin(path, nlp), GroundingReport()
        check_written(docs, path)
        check_same_questions(docs, plan, path)
        for doc in docs:
            report.count(doc.spans[SPANS_KEY])
        return docs, report
    return make_docs(settle(read_exchange(path)), plan, nlp)


def check_written(docs: Iterable[Doc], path: Path) -> None:
    """RAISES (AnswerError): The docs do not say what was asked: they are someone's own training data."""
    if any(SPANS_KEY not in doc.spans or "asked" not in doc.spans[SPANS_KEY].attrs for doc in docs):
        raise AnswerError(
            f"The docs in {str(path)!r} do not say which of the plan's steps they answer. Expected the file that annotate wrote. "
            "Make one from your own data by `answers import FILE --plan PLAN --store answers.db --output answers.spacy`."
        )


def check_same_questions(docs: Iterable[Doc], plan: Plan, path: Path) -> None:
    """RAISES (AnswerError): A step was asked in other words, so that its answers are to another question."""
    steps = plan.steps_by_id
    for doc in docs:
        for key, asked in doc.user_data.get("asked", {}).items():
            if key in steps and steps[key].instruction != asked:
                raise AnswerError(
                    f"{str(path)!r} answers {key!r} as {asked!r}, but the plan asks {steps[key].instruction!r}: another "
                    "question. Annotate again with this plan, or restore the instruction that was answered."
                )


def check_answered(docs: Iterable[Doc], plan: Plan) -> None:
    """RAISES (AnswerError): No text has an answer to the plan's instructions."""
    if not keep_answered(docs, plan):
        asked = "; ".join(f"{step.id}: {step.instruction!r}" for step in plan.text_steps())
        raise AnswerError(
            f"The answers are to none of the plan's instructions. Expected some to: {asked}. Annotate with this plan, or give "
            "recorded answers whose instructions are the plan's, word for word."
        )


def keep_answered(docs: Iterable[Doc], plan: Plan) -> list[Doc]:
    """Return the texts with an answer to any of the plan's instructions."""
    keys = {step.id for step in plan.text_steps()}
    return [doc for doc in docs if keys & list_asked(doc)]


def list_asked(doc: Doc) -> set[str]:
    """Return the keys that an answered text has answers to."""
    return {*doc.cats, *asked_keys(doc.spans.get(SPANS_KEY))}


def settle(answers: Iterable[Answer]) -> list[Answer]:
    """Return one answer per text: for each question a person's, else the first model's."""
    rows: dict[str, list[Row]] = {}
    for answer in answers:
        rows.setdefault(answer.text, []).extend(answer_rows(answer))
    return [
        gather(choose(said).values(), text, [row for row in said if row.model == GOLD], choose_others(said))
        for text, said in rows.items()
    ]


def forget(
    store: Path,
    *,
    records: Iterable[Record] | None = None,
    ids: Collection[str] = (),
    model: str | None = None,
    instruction: str | None = None,
    nlp: Language | None = None,
) -> int:
    """Delete the answers that match all given criteria: about a corpus's texts or sentences, by a model, to an instruction.

    ids: Only the corpus's texts with these ids.
    nlp (Language): Cuts the texts into the sentences that were asked about, if a pipeline of one's own did; else, rules do.
    RETURNS (int): How many answers were deleted.
    RAISES (AnswerError): There is no criterion, there are ids without a corpus or one that it does not have, or batches
        under way ask about the texts.
    """
    if ids and records is None:
        raise AnswerError(f"The id {next(iter(ids))!r} is given without a corpus. Name the corpus by --texts.")
    texts = None if records is None else _list_texts(records, ids, nlp)
    with AnswerStore(store) as opened:
        under_way = find_texts_under_way(opened)
        if n_texts := len(under_way if texts is None else under_way.intersection(texts)):
            raise AnswerError(
                f"Batches under way ask about {n_texts} of these texts; their answers would come back. Nothing was "
                f"forgotten. Cancel them first: `answers batches --store {store} --cancel`."
            )
        return opened.delete(texts=texts, model=model, instruction=instruction)


def export(store: Path, file: Path) -> None:
    """Write all of a store's answers to a file of recorded answers, completely or not at all.

    RAISES (AnswerError): The file is the store.
    """
    if file.exists() and file.samefile(store):
        raise AnswerError(
            f"{str(file)!r} is the store itself. Name another file for its answers, such as answers.jsonl."
        )
    with AnswerStore(store) as opened, whole(file) as part:
        write_exchange(opened.export(), part)


def ask_failed_again(store: Path) -> None:
    """Forget which texts failed, so that they are asked about again."""
    with AnswerStore(store) as opened:
        opened.forget_failures()


def find_batches(store: Path) -> list[OpenBatch]:
    """Return the batches under way, as they were last seen."""
    with AnswerStore(store) as opened:
        return find_open_batches(opened)


def stop_batches(store: Path) -> None:
    """Cancel the batches under way, and keep what they had answered by then."""

    async def cancel() -> None:
        with AnswerStore(store) as opened:
            await cancel_batches(opened)

    run_to_end(cancel())


def _list_texts(records: Iterable[Record], ids: Collection[str], nlp: Language | None) -> list[str]:
    """Return the texts of records, and their sentences as rules and as a pipeline cut them."""
    found = [record for record in records if not ids or record.id in ids]
    unknown = sorted(set(ids) - {record.id for record in found})
    if unknown:
        raise AnswerError(f"The corpus has no text with the id {unknown[0]!r}. Nothing was forgotten. Correct it.")
    cutters = [None] if nlp is None else [None, nlp]
    sentences = chain.from_iterable(read_units(found, "sentence", cutter) for cutter in cutters)
    return [record.text for record in chain(found, sentences)]
