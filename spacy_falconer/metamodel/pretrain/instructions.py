"""Word the labels of data sets as people would ask for them.

A label has a meaning ("names of people"), some have other names ("persons"), and templates turn either into
instructions for spans, or into statements that are true or false of a text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from random import Random

from spacy_falconer.errors import CorpusError
from spacy_falconer.metamodel.pretrain import wordings

Meanings = Mapping[str, Mapping[str, str]]


def read_meanings(data: Path) -> Meanings:
    """Read what each label of each set means, from the data folder, and add what that leaves out."""
    path = data / "label_meanings.json"
    if not path.exists():
        raise CorpusError(
            f"No label meanings {path}. Expected a JSON file of set, label, meaning: check the data folder."
        )
    found = json.loads(path.read_text(encoding="utf8"))
    missing = wordings.MISSING_MEANINGS
    return {name: {**found.get(name, {}), **missing.get(name, {})} for name in {**found, **missing}}


def find_meaning(meanings: Meanings, name: str, label: str) -> str:
    """Return a label's meaning, or its name as words if none is known."""
    return meanings.get(name, {}).get(label) or spell_label(label)


def spell_label(label: str) -> str:
    """Spell `domain:small_talk` and `GetWeather` as words: "small talk", "get weather"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", label.split(":")[-1])
    return re.sub(r"[_\-\s]+", " ", words).strip().lower()


def word_spans(meaning: str, rng: Random) -> str:
    """Return one of many ways to ask for the spans of a label."""
    if meaning.endswith("?"):
        return vary(rng.choice((meaning, meaning, _shorten_question(meaning))), rng)
    return vary(rng.choice(wordings.SPAN_TEMPLATES).format(_rename(meaning, rng)), rng)


def word_mention(meaning: str, is_there: bool, rng: Random) -> tuple[str, bool]:
    """Return a statement that spans of a label are there, or that none are, and whether it holds."""
    name = _shorten_question(meaning) if meaning.endswith("?") else _rename(meaning, rng)
    if rng.random() < 0.15:
        return vary(rng.choice(wordings.NO_MENTION_TEMPLATES).format(name), rng), not is_there
    return vary(rng.choice(wordings.MENTION_TEMPLATES).format(name), rng), is_there


def word_label(meanings: Meanings, name: str, label: str, rng: Random) -> str:
    """Return one of many ways to state that a label holds."""
    if label in wordings.STATEMENTS.get(name, {}):
        return vary(rng.choice(wordings.STATEMENTS[name][label]), rng)
    meaning = meanings.get(name, {}).get(label, "")
    if meaning.startswith("is the intent"):
        return vary(rng.choice(_rephrase_intent(meaning)), rng)
    spelled = wordings.INTENTS.get(label.split(":")[-1], spell_label(label))
    is_wish = spelled.split()[0] in wordings.VERBS and rng.random() < 0.7
    templates = wordings.WANT_TEMPLATES if is_wish else wordings.TOPIC_TEMPLATES
    return vary(rng.choice(templates).format(spelled), rng)


def word_genre(name: str, rng: Random) -> tuple[str, bool] | None:
    """Return a statement about the kind of text, and whether it holds; None if a set has no clear kind."""
    own = wordings.GENRE_OF.get(name)
    if own is None:
        return None
    others = [genre for genre in wordings.GENRES if not are_related(own, genre)]
    genre = own if rng.random() < 0.5 else rng.choice(others)
    return vary(rng.choice(wordings.GENRES[genre]), rng), genre == own


def are_related(genre: str, other: str) -> bool:
    """Return whether a text of one kind may be of the other kind as well."""
    return genre == other or bool(wordings.RELATED_GENRES & {(genre, other), (other, genre)})


def vary(text: str, rng: Random) -> str:
    """Vary upper and lower case at the start, and the full stop at the end. Names such as "UI" keep their case."""
    text = text.strip()
    if not text[1:2].isupper():
        text = (text[:1].upper() if rng.random() < 0.6 else text[:1].lower()) + text[1:]
    if text.endswith("?"):
        return text
    return text.rstrip(".") + ("." if rng.random() < 0.5 else "")


def _rename(meaning: str, rng: Random) -> str:
    """Return another name for what is meant, or the meaning, with or without what it says in brackets."""
    names = wordings.SYNONYMS.get(meaning, ())
    if names and rng.random() < 0.7:
        return rng.choice(names)
    return re.sub(r"\s*\(.*?\)", "", meaning) if rng.random() < 0.5 else meaning


def _shorten_question(question: str) -> str:
    """Turn "What is the date mentioned in this sentence?" into "the date"."""
    return re.sub(r"^what is | mentioned in this sentence|\?$", "", question, flags=re.IGNORECASE)


def _rephrase_intent(question: str) -> tuple[str, ...]:
    """Return "is the intent to ask about refunds?" as it is, as statements, and as a topic."""
    rest = re.sub(r"^is the intent |\?$", "", question)
    topic = re.sub(r"^(?:to )?(?:asking|ask|talk)?(?: something)?(?: about| related to| for)? ?", "", rest)
    return question, f"The intent is {rest}.", f"The user's intent is {rest}.", topic
