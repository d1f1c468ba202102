"""Which pipeline a component stands in."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from spacy.language import Language


class Home:
    """The pipeline that a component was made in: called, it is given, or None where it is gone.

    It is held weakly, or a component would keep alive the pipeline that it is sourced from. Copied or pickled, with the
    pipeline, it holds the copy: in another process there may be nothing else that does.
    """

    def __init__(self, nlp: Language):
        self._find: Callable[[], Language | None] = weakref.ref(nlp)

    def __call__(self) -> Language | None:
        return self._find()

    def __reduce__(self) -> tuple[Any, ...]:
        return hold, (self(),)


def hold(nlp: Language | None) -> Home:
    home = Home.__new__(Home)
    home._find = lambda: nlp
    return home
