"""Redact texts: a user's own function changes each of them before it is sent.

Replies are about the changed text. A quote from it becomes the characters of the original text that it stands for. A
quote that touches a replaced stretch, even in part, stands for the whole of it. If "Anna Smith" was sent as "[NAME]",
each of the quotes "[NAME]", "[NAME" and "NAME" becomes "Anna Smith". A quote that lies entirely in added words stands for
nothing in the original and has no place; like any other quote without a place, it is counted but not used.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from operator import attrgetter, itemgetter
from typing import Any

from spacy_falconer.errors import AnswerError, RedactError
from spacy_falconer.grounding import find_quotes
from spacy_falconer.llm.edits import Edit, apply_edits, find_edits
from spacy_falconer.llm.function import load_function
from spacy_falconer.llm.prompt import clean
from spacy_falconer.plan.show import show
from spacy_falconer.types import Answer, CharSpan, Quote


@dataclass(frozen=True)
class Redacted:
    """A text as it is sent, and what was replaced in the original.

    edits: In order, not overlapping.
    """

    original: str
    edits: tuple[Edit, ...]

    @cached_property
    def text(self) -> str:
        return apply_edits(self.original, self.edits)

    def to_original(self, start: int, end: int) -> CharSpan:
        """Return the characters of the original that one or more characters of the redacted text stand for.

        A replaced stretch is included as a whole if any of its replacement is. Empty for words that were only added.
        """
        return _map(self._sent, self._own, start, end)

    def to_redacted(self, start: int, end: int) -> CharSpan:
        """Return the characters of the redacted text that stand for one or more characters of the original."""
        return _map(self._own, self._sent, start, end)

    def restore(self, answer: Answer) -> Answer:
        """Turn an answer about the redacted text into one about the original.

        The places of passages that were asked about are already places in the original.
        """
        spans = {key: tuple(dict.fromkeys(map(self._restore_quote, said))) for key, said in answer.spans.items()}
        about = {place: self.restore(one) for place, one in answer.about.items()}
        return Answer(self.original, answer.model, answer.labels, spans, about=about)

    def hide(self, answer: Answer) -> Answer:
        """Turn an answer about the original into one about the redacted text, with quotes in the redacted words.

        Quotes without a place in the original or in the redacted text are left out, and so are people's answers and
        answers about single passages.
        """
        spans = {key: tuple(self._hide_quotes(quotes)) for key, quotes in answer.spans.items()}
        return Answer(self.text, answer.model, answer.labels, spans)

    @cached_property
    def _own(self) -> list[CharSpan]:
        """Each edit's place in the original."""
        return [CharSpan(edit.start, edit.end) for edit in self.edits]

    @cached_property
    def _sent(self) -> list[CharSpan]:
        """Each edit's place in the redacted text."""
        places, moved = [], 0
        for edit in self.edits:
            places.append(CharSpan(edit.start + moved, edit.start + moved + len(edit.replacement)))
            moved += len(edit.replacement) - (edit.end - edit.start)
        return places

    def _restore_quote(self, quote: Quote) -> Quote:
        if quote.start is None:
            return quote
        place = self.to_original(quote.start, quote.start + len(quote.quote))
        words = clean(self.original[place.start : place.end])
        return Quote(words, place.start) if words.strip() else Quote(quote.quote)

    def _hide_quotes(self, quotes: Sequence[Quote]) -> Iterable[Quote]:
        places = [self.to_redacted(place.start, place.end) for place in find_quotes(self.original, quotes) if place]
        found = [Quote(self.text[place.start : place.end], place.start) for place in places]
        return dict.fromkeys(quote for quote in found if quote.quote.strip())


@dataclass(frozen=True)
class Redactor:
    """Changes texts by a function before they are sent.

    function: Takes a text. Returns the changed text, or the changes: (start, end, replacement) of each stretch to
        replace, in any order, not overlapping. If it returns a text, a comparison finds which words were replaced, and
        joins neighbours that have no shared word between them into one passage; changes are exact.
    name: What the function is called in messages.
    """

    function: Callable[[str], Any]
    name: str

    def apply(self, text: str) -> Redacted:
        """Return the text as it may be sent.

        RAISES (RedactError): The function failed, or returned something else. The text must not be sent.
        """
        try:
            changed = self.function(text)
            changes = changed if isinstance(changed, str) else list(changed)
        except Exception as error:
            raise RedactError(
                f"--redact {self.name} failed on {show(text)}: {type(error).__name__}: {error}. Expected the changed "
                "text, or a list of (start, end, replacement). The text was not sent. Correct the function."
            ) from error
        if isinstance(changes, str):
            return Redacted(text, tuple(find_edits(text, changes)))
        return Redacted(text, self._check(text, changes))

    def _check(self, text: str, changes: Sequence[Any]) -> tuple[Edit, ...]:
        wrong = [change for change in changes if not _is_edit(change, len(text))]
        edits = sorted((Edit(*change) for change in changes), key=itemgetter(0, 1)) if not wrong else []
        wrong += [tuple(after) for before, after in pairwise(edits) if after.start < before.end]
        if wrong:
            raise RedactError(
                f"--redact {self.name} gives {show(wrong[0])} among its changes of {show(text)}. Expected (start, end, "
                f"replacement) with 0 <= start <= end <= {len(text)}, not overlapping. The text was not sent. Correct "
                "the function."
            )
        return tuple(edits)


def load_redactor(name: str) -> Redactor:
    """Load the function that a user names as "module:function". The module may be in the current folder.

    RAISES (RedactError): There is no such function.
    """
    try:
        function = load_function(name, option="--redact")
    except AnswerError as error:
        raise RedactError(str(error)) from error
    return Redactor(function, name)


def hide_answers(answers: Iterable[Answer], redactor: Redactor) -> list[Answer]:
    """Return answers to show to the language model, about the texts as they may be sent."""
    return [redactor.apply(answer.text).hide(answer) for answer in answers]


def _is_edit(change: Any, n_characters: int) -> bool:
    if not isinstance(change, Sequence) or isinstance(change, str) or len(change) != 3:
        return False
    start, end, replacement = change
    are_places = all(isinstance(place, int) and not isinstance(place, bool) for place in (start, end))
    return are_places and isinstance(replacement, str) and 0 <= start <= end <= n_characters


def _map(given: Sequence[CharSpan], wanted: Sequence[CharSpan], start: int, end: int) -> CharSpan:
    """Map characters of one text to the other. Each list has the places of the edits in one of the texts."""
    first = bisect_right(given, start, key=attrgetter("start")) - 1
    last = bisect_left(given, end, key=attrgetter("start")) - 1
    return CharSpan(_map_start(given, wanted, start, first), _map_end(given, wanted, end, last))


def _map_start(given: Sequence[CharSpan], wanted: Sequence[CharSpan], start: int, edit: int) -> int:
    if edit < 0:
        return start
    return wanted[edit].start if start < given[edit].end else start - given[edit].end + wanted[edit].end


def _map_end(given: Sequence[CharSpan], wanted: Sequence[CharSpan], end: int, edit: int) -> int:
    if edit < 0:
        return end
    return wanted[edit].end if end <= given[edit].end else end - given[edit].end + wanted[edit].end
