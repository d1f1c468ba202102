"""Remember which pipeline a component is in."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from spacy.language import Language


class Home:
    """The pipeline that a component was made in. Calling it returns the pipeline, or None if that is gone.

    The reference is weak, or a component would keep alive the pipeline that it was sourced from. A copied or pickled
    one holds the copy of the pipeline strongly: in another process nothing else may hold it.
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
