"""Load a user's own function by the name given on the command line."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from operator import attrgetter
from os import getcwd
from typing import Any

from spacy_falconer.errors import AnswerError
from spacy_falconer.plan.show import show


def load_function(name: str, *, option: str) -> Callable[..., Any]:
    """Find the function that a user names as "module:function". The module may be in the current folder.

    option: The option that named it, for the error message.
    RAISES (AnswerError): There is no such function.
    """
    module_name, _, path = name.partition(":")
    if not module_name or not path or module_name.endswith(".py") or "/" in module_name:
        raise AnswerError(
            f"{option} {name!r} names no function. Expected 'module:function', such as 'my_rules:find' for the "
            "function find of my_rules.py in this folder."
        )
    try:
        function = attrgetter(path)(_import(module_name))
    except Exception as error:  # A user's module may fail in any way.
        raise AnswerError(
            f"{option} {name!r} cannot be loaded: {type(error).__name__}: {error}. Expected a function in a module that is "
            "installed or in this folder. Check the name, and the module."
        ) from error
    if not callable(function):
        raise AnswerError(f"{option} {name!r} is {show(function)}, not a function. Name one that takes a text.")
    return function


def _import(name: str) -> Any:
    folder = getcwd()
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(folder)
