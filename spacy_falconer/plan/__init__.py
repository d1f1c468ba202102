"""The plan: what it is, how it is checked, shown and run. A plan is data, never code."""

from .check import check_plan
from .conditions import Condition, parse_condition
from .execute import Reader, Row, execute, execute_sentences
from .schema import Plan, Step, parse_plan, plan_json_schema, read_plan, write_plan
from .tree import format_tree

__all__ = [
    "Condition",
    "Plan",
    "Reader",
    "Row",
    "Step",
    "check_plan",
    "execute",
    "execute_sentences",
    "format_tree",
    "parse_condition",
    "parse_plan",
    "plan_json_schema",
    "read_plan",
    "write_plan",
]
