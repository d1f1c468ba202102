"""Decide whose fault it is when requests fail: that of the text they are about, or the endpoint's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from spacy_falconer.errors import RequestError
from spacy_falconer.llm.rows import Question
from spacy_falconer.llm.store import Usage

N_DOUBTS = 3  # Texts that fail one after another, without a reply to any, before the endpoint counts as down.


class Failed(NamedTuple):
    """A text about which questions failed, and what that took."""

    text: str
    questions: Sequence[Question]
    error: RequestError
    usage: Sequence[Usage] = ()


class Verdict:
    """Holds back texts that got no reply, until it is known whose fault that is."""

    def __init__(self) -> None:
        self._n_replies = 0
        self._held: list[Failed] = []
        self._n_dead = 0

    def begin(self) -> int:
        """Return a mark for the moment at which a text is begun."""
        return self._n_replies

    def replied(self) -> list[Failed]:
        """Note that the endpoint replied. RETURNS: The texts held back, which are at fault themselves."""
        held, self._held = self._held, []
        self._n_replies, self._n_dead = self._n_replies + 1, 0
        return held

    def doubt(self, failed: Failed, began: int) -> bool:
        """Hold back a text. RETURNS: Whether the endpoint is down. A text counts only if no other got a reply meanwhile."""
        self._held.append(failed)
        self._n_dead += began == self._n_replies
        return self._n_dead >= N_DOUBTS

    def close(self) -> list[Failed]:
        """Note that all texts are done. RETURNS: The texts held back, which are at fault themselves.

        RAISES (RequestError): No text got any reply.
        """
        if self._held and not self._n_replies:
            raise self._held[0].error
        return self.replied()
