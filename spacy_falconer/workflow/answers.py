"""Answers from either of their two files."""

from __future__ import annotations

from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc

from spacy_falconer.corpus.docbin import GroundingReport, make_docs, read_docbin
from spacy_falconer.llm.exchange import read_exchange
from spacy_falconer.plan import Plan


def read_answers(path: Path, plan: Plan, nlp: Language) -> tuple[list[Doc], GroundingReport]:
    """Answers as docs: from the .spacy file of annotate, or from recorded answers.

    RAISES (AnswerError): The file is neither.
    """
    if path.suffix == ".spacy":
        docs, report = read_docbin(path, nlp), GroundingReport()
        for doc in docs:
            report.count(doc.spans["sc"])
        return docs, report
    return make_docs(read_exchange(path), plan, nlp)
