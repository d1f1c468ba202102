"""Every prompt in full, as a language model gets it, beside this file in prompts/.

After a change of a prompt: `python tests/test_prompts.py`, and read what the change does to the files.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from spacy_falconer.llm.forms import TextForm
from spacy_falconer.llm.passages import Passage, PassageForm
from spacy_falconer.llm.planner import plan_messages, repair_messages
from spacy_falconer.plan import Step
from spacy_falconer.types import Answer, CharSpan, Quote

FOLDER = Path(__file__).parent / "prompts"
SENTENCE = "Extract all prices from positive reviews"
TEXTS = ["Paid $25 and love it.", "It broke. " * 60]
STEPS = [
    Step(id="positive", op="get_label", instruction="The reviewer is satisfied."),
    Step(id="price", op="get_span", instruction="Amounts of money."),
]
EACH = [
    Step(id="paid", op="get_label", instruction="The reviewer paid {span}.", for_each="price"),
    Step(id="bought", op="get_span", instruction="What was bought for {span}.", for_each="price"),
]
EXAMPLE = Answer("Broke.", "m", {"The reviewer is satisfied.": False}, {"Amounts of money.": (Quote("$1"),)})
TEXT_FORM = TextForm(TEXTS[0], STEPS, [EXAMPLE])
PASSAGE_FORM = PassageForm(
    "A pan for $25, a lid\nfor $25.", EACH, [Passage("price", CharSpan(start, start + 3), "$25") for start in (10, 25)]
)
MESSAGES = {  # by the name of the .jinja file
    "annotate": lambda: TEXT_FORM.messages,
    "annotate_passages": lambda: PASSAGE_FORM.messages,
    "annotate_repair": lambda: TEXT_FORM.repair('{"positive": 1}', ["'positive' is 1. Expected true or false."]),
    "plan": lambda: plan_messages(SENTENCE, TEXTS),
    "plan_repair": lambda: repair_messages('{"plan": {}}', "The plan has no 'steps'. Add it."),
}


def show_messages(name: str) -> str:
    return "".join(f"=== {message['role']} ===\n{message['content']}\n" for message in MESSAGES[name]())


@pytest.mark.parametrize("name", MESSAGES)
def test_the_prompt_is_word_for_word_what_is_on_file(name):
    assert show_messages(name) == (FOLDER / f"{name}.txt").read_text(encoding="utf8")


def test_every_prompt_is_on_file():
    prompts = {path.name for path in files("spacy_falconer.prompts").iterdir() if path.name.endswith(".jinja")}
    assert prompts == {f"{name}.jinja" for name in MESSAGES}


if __name__ == "__main__":
    for name in MESSAGES:
        (FOLDER / f"{name}.txt").write_text(show_messages(name), encoding="utf8")
