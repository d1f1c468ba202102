"""Conditions over step ids, such as `positive and not (price or defect)`.

Python's `ast` parses them and a whitelist checks them; Python never evaluates anything.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate

from ..errors import PlanError
from .show import show

MAX_LENGTH = 1_000
MAX_DEPTH = 50  # Python's own parser gives up at 200

_CONSTANTS = {"true": True, "false": False}
_NODES = (ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.Name, ast.Load)
_FOREIGN = re.compile(r"[^\w\s()]|\b\d\w*", re.ASCII)  # so no strings, no attributes, no comments, no numbers


@dataclass(frozen=True)
class Condition:
    """A parsed condition. `names` are the step ids that it reads."""

    expression: str
    names: frozenset[str]
    tree: ast.expr = field(repr=False, compare=False)

    def evaluate(self, values: Mapping[str, bool]) -> bool:
        """Return whether the condition holds. A step without a value was not run, and counts as false."""
        return _evaluate(self.tree, {**values, **_CONSTANTS})


@lru_cache(maxsize=1024)
def parse_condition(expression: str) -> Condition:
    """Parse a condition: step ids, `and`, `or`, `not`, parentheses, `true` and `false`.

    RAISES (PlanError): The expression holds anything else, is too long or is nested too deeply.
    """
    _check_text(expression)
    try:
        tree = ast.parse(" ".join(expression.split()), mode="eval").body
    except SyntaxError:
        raise _refuse(expression, "it breaks off, or its parts do not fit together") from None
    _check_nodes(expression, tree)
    names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    return Condition(expression, names - set(_CONSTANTS), tree)


def _check_text(expression: str) -> None:
    """Check the expression before it reaches Python's parser, which can overflow."""
    if not expression.strip():
        raise _refuse(expression, "it is empty")
    depth = max(accumulate({"(": 1, ")": -1}.get(char, 0) for char in expression))
    if depth > MAX_DEPTH:
        raise _refuse(expression, f"its parentheses are nested {depth:,} deep, more than {MAX_DEPTH}")
    if len(expression) > MAX_LENGTH:
        raise _refuse(expression, f"it has {len(expression):,} characters, more than {MAX_LENGTH:,}")
    if foreign := _FOREIGN.search(expression):
        raise _refuse(expression, f"it holds {show(foreign[0])}")


def _check_nodes(expression: str, tree: ast.expr) -> None:
    for node in ast.walk(tree):
        is_boolean = isinstance(node, ast.Constant) and isinstance(node.value, bool)
        if not (is_boolean or isinstance(node, _NODES)):
            raise _refuse(expression, f"it holds {show(ast.unparse(node))}")


def _refuse(expression: str, reason: str) -> PlanError:
    return PlanError(
        f"{show(expression)} is no condition: {reason}. Expected step ids, and, or, not, parentheses, true and false. "
        "Rewrite it, for example as 'positive and not defect'."
    )


def _evaluate(node: ast.expr, values: Mapping[str, bool]) -> bool:
    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_evaluate(part, values) for part in parts)
        case ast.BoolOp(values=parts):
            return any(_evaluate(part, values) for part in parts)
        case ast.UnaryOp(operand=operand):
            return not _evaluate(operand, values)
        case ast.Name(id=name):
            return values.get(name, False)
        case ast.Constant(value=value):
            return bool(value)
    raise TypeError(f"a condition cannot hold {node!r}")  # _check_nodes lets nothing else through
