"""Detect texts in other languages than the one an encoder was made for, by their script and their most common words.

This is only a hint: a text is named only if it has several common words of another language, and few of the encoder's.
"""

from __future__ import annotations

import importlib.util
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

LANGUAGES = ["en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "nb", "fi", "tr", "ro", "cs", "hu", "id"]
LANGUAGES += ["vi", "ca", "hr", "sk", "sl", "lv", "lt", "et", "ru", "uk", "bg", "ar", "fa"]
READ = 600  # Characters at the beginning of a text by which it is judged.
FEWEST = 2  # The fewest words of another language, or letters of another script, that count.
OWN_SHARE = 0.2  # If this share of the words is common in the own language, the text is in it.
OTHER_SHARE = 0.15
WORD = re.compile(r"[^\W\d_]{2,}")


def make_detector(language: str) -> Callable[[str], str | None]:
    """Make a function that returns the language of a text if it is not in `language`, else None.

    language (str): A code, such as "en". If its common words are not known, the function always returns None.
    RETURNS (Callable): For a text in another script, it returns the name of the script, such as "cyrillic".
    """
    own = read_common_words(language)
    if not own:
        return lambda text: None
    others = {code: read_common_words(code) for code in LANGUAGES if code != language}
    known_by = {
        word: frozenset(code for code in others if word in others[code]) for word in set().union(*others.values())
    }
    own_scripts = {name_script(letter) for word in own for letter in word}

    def detect(text: str) -> str | None:
        sample = text[:READ]
        script = None if sample.isascii() and "latin" in own_scripts else find_script(sample, own_scripts)
        return script or find_language(WORD.findall(sample.lower()), own, known_by)

    return detect


def find_script(text: str, own: set[str]) -> str | None:
    """Return the most frequent other script, if most letters are in none of the own scripts."""
    letters = Counter(name_script(character) for character in text if character.isalpha())
    foreign = {script: n for script, n in letters.items() if script not in own}
    n_foreign = sum(foreign.values())
    return max(foreign, key=foreign.__getitem__) if n_foreign >= FEWEST and 2 * n_foreign > letters.total() else None


def find_language(words: list[str], own: frozenset[str], known_by: dict[str, frozenset[str]]) -> str | None:
    """Return the language with the most common words among the words, if it has many more of them than the own language.

    Words with an accent count for it, too.
    """
    n_own = sum(word in own for word in words)
    if n_own >= OWN_SHARE * len(words):
        return None
    hits = Counter(code for word in words if word not in own for code in known_by.get(word, ()))
    if not hits:
        return None
    code = min(hits, key=lambda code: (-hits[code], LANGUAGES.index(code)))
    n_accented = sum(word not in own and not word.isascii() for word in words)
    n_own_only = sum(word in own and code not in known_by.get(word, ()) for word in words)
    n_hits = hits[code] + n_accented
    return code if n_hits >= max(FEWEST, OTHER_SHARE * len(words)) and n_hits > 2 * n_own_only else None


@cache
def name_script(letter: str) -> str:
    """Return the first word of a letter's Unicode name: "latin", "cyrillic", "cjk"."""
    return unicodedata.name(letter, "unknown").split()[0].lower()


@cache
def read_common_words(language: str) -> frozenset[str]:
    """Return spaCy's stop words of a language, without loading the rest of the language, which takes seconds for some."""
    import spacy

    path = Path(spacy.__file__).parent / "lang" / language / "stop_words.py"
    spec = importlib.util.spec_from_file_location(f"stop_words_{language}", path) if path.exists() else None
    if spec is None or spec.loader is None:
        return frozenset()
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return frozenset(word.lower() for word in module.STOP_WORDS if WORD.fullmatch(word.lower()))
