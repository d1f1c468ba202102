"""Answers as files: those to learn from and, apart from them, those to test on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import spacy
from spacy.tokens import Doc

from spacy_falconer.corpus.docbin import LANGUAGE, split_docs, write_docbin
from spacy_falconer.errors import AnswerError
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.annotate import Annotated
from spacy_falconer.workflow.answers import list_asked, read_answers
from spacy_falconer.workflow.choose import HELD_OUT, TEST_SHARE
from spacy_falconer.workflow.files import check_not_read, check_writable, whole


def hold_out(docs: Sequence[Doc], plan: Plan, test_file: Path | None, *, seed: int) -> tuple[list[Doc], list[Doc]]:
    """Split answers into those to learn from and those to test on; no text is in both.

    test_file (Path): Recorded answers to test on. If it has none to the plan's instructions, the texts that were chosen to
        be held out are tested on, else a fifth of `docs`.
    """
    tests = answered_docs(test_file, plan) if test_file is not None else []
    tests = tests or [doc for doc in docs if doc.user_data.get("chosen") == HELD_OUT]
    if not tests:
        return split_docs(docs, dev_share=TEST_SHARE, seed=seed + 1)
    tested = {doc.text for doc in tests}
    return [doc for doc in docs if doc.text not in tested], tests


def check_outputs(
    output: Path, test_output: Path | None, *, inputs: Iterable[Path | None] = (), test_answers: Path | None = None
) -> None:
    """Check names of outputs under which answers would not be found again, or would overwrite something else.

    inputs: Files that are read, or kept.
    RAISES (AnswerError): One does not end in .spacy, both are the same, or there are answers to test on but no output for them.
    RAISES (CorpusError): One is an input, or cannot be written.
    """
    if test_answers is not None and test_output is None:
        raise AnswerError(
            f"--test-answers {str(test_answers)!r} is given without --test-output. Name a file for the answers to test on by "
            "--test-output."
        )
    for path in filter(None, (output, test_output)):
        if path.suffix != ".spacy":
            raise AnswerError(
                f"The answers would be written to {str(path)!r}; expected a name that ends in .spacy, by which they are "
                "read again. Nothing was asked. Name another file."
            )
    if output == test_output:
        raise AnswerError(f"Answers to learn from and to test on would both be {str(output)!r}. Name two files.")
    for path in filter(None, (output, test_output)):
        check_not_read(path, *inputs, test_answers)
        check_writable(path)


def write_annotated(
    annotated: Annotated,
    plan: Plan,
    output: Path,
    test_output: Path | None,
    *,
    test_answers: Path | None = None,
    seed: int = 0,
) -> tuple[int, int]:
    """Write DocBins: answers to learn from and, if `test_output` is given, separate answers to test on.

    RETURNS (tuple[int, int]): How many texts are in each.
    """
    docs, tests = annotated.docs, []
    if test_output is not None:
        docs, tests = hold_out(docs, plan, test_answers, seed=seed)
        with whole(test_output) as part:
            write_docbin(tests, part)
    with whole(output) as part:
        write_docbin(docs, part)
    return len(docs), len(tests)


def answered_docs(path: Path, plan: Plan) -> list[Doc]:
    """Return the texts of a file of answers that any of the plan's instructions were asked about."""
    docs, _ = read_answers(path, plan, spacy.blank(LANGUAGE))
    return [doc for doc in docs if list_asked(doc)]
