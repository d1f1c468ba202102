"""What MkDocs does not know of our pages: links that leave them, and the messages that stand in the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)")
HOLE = "..."


def on_page_markdown(markdown: str, **_: object) -> str:
    """Links to files beside docs/ lead nowhere on the site: they become the file's name. tests/test_docs.py checks them."""
    return OUTSIDE.sub(r"\1 (`\2` in the repository)", markdown).replace("<!-- messages -->", format_messages())


def read_messages() -> list[tuple[str, str, str]]:
    """Each error that the code raises: the room, the kind, and the message with holes for its values."""
    names = {
        node.name for node in ast.walk(parse(ROOT / "spacy_falconer" / "errors.py")) if isinstance(node, ast.ClassDef)
    }
    found = []
    for path in sorted((ROOT / "spacy_falconer").rglob("*.py")):
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names and node.args:
                room = path.relative_to(ROOT / "spacy_falconer").parts[0].removesuffix(".py")
                found.append((room, node.func.id, read_words(node.args[0])))
    return [one for one in found if one[2].strip(". ")]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf8"))


def read_words(node: ast.expr) -> str:
    """A string as it stands in the code, and a hole for everything else."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(read_words, node.values))
    return HOLE


def format_messages() -> str:
    rows = [f"| {room} | `{kind}` | {escape(words)} |" for room, kind, words in sorted(set(read_messages()))]
    return "\n".join(["| part | kind | message |", "|---|---|---|", *rows])


def escape(words: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|$])", r"\\\1", words).replace("\n", " ")
