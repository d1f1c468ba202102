"""From a sentence to a plan."""

from __future__ import annotations

from pathlib import Path

import srsly

from spacy_falconer.errors import ServerError
from spacy_falconer.plan import Plan, read_plan

NO_ENDPOINT = (
    "Set OPENAI_BASE_URL and OPENAI_API_KEY to ask a language model for a plan, or give a plan file of your own."
)


def find_plan(sentence: str, known: Path | None) -> Plan:
    """The plan for a sentence: a person's own file as it is, a recorded one if it was made for this sentence.

    known (Path): A plan file. One with a "model" beside its "plan" is a recorded answer to one sentence.
    RAISES (PlanError): The file holds no plan that can be run.
    RAISES (ServerError): There is no plan for this sentence, and no endpoint to ask.
    """
    if known is None:
        raise ServerError(f"There is no plan for the sentence {sentence!r}. {NO_ENDPOINT}")
    plan = read_plan(known)
    if recorded_by(known) and normalize(plan.instruction) != normalize(sentence):
        raise ServerError(
            f"The recorded plan {str(known)!r} answers the sentence {plan.instruction!r}, not {sentence!r}. {NO_ENDPOINT}"
        )
    return plan


def recorded_by(path: Path) -> str | None:
    """The model whose recorded answer a plan file is; None for a person's own plan."""
    data = srsly.read_json(path)
    return data.get("model") if "plan" in data else None


def read_sentence(value: str) -> str:
    """A sentence, or the text of the file that holds it: quotes and dollar signs survive no command line."""
    path = Path(value)
    is_file = len(value) < 1000 and "\n" not in value and path.is_file()
    return (path.read_text(encoding="utf8") if is_file else value).strip()


def normalize(sentence: str) -> str:
    return " ".join(sentence.split()).casefold()
