"""Rooms are layers: a module imports only from rooms below its own, or from its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import spacy_falconer

PACKAGE = Path(spacy_falconer.__file__).parent
LAYERS = {
    "errors": 0, "types": 0,
    "plan": 1, "grounding": 1, "prompts": 1, "pages": 1,
    "metamodel": 2, "llm": 2, "corpus": 2,
    "pipeline": 3, "workflow": 4, "cli": 5, "__main__": 6,
}  # fmt: skip
MODULES = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def imported_rooms(path: Path) -> set[str]:
    """The rooms of ours that a module names in any import, relative ones too."""
    parts = ("spacy_falconer", *path.relative_to(PACKAGE).parent.parts)
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) + 1 - node.level] if node.level else ()
            names = [".".join([*base, node.module or "", alias.name]).replace("..", ".") for alias in node.names]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        rooms |= {name.split(".")[1] for name in names if name.startswith("spacy_falconer.")}
    return rooms & set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_import_steps_up(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    wrong = {room for room in imported_rooms(path) - {own} if LAYERS[room] >= LAYERS[own]}
    assert not wrong, f"{own} imports {wrong}"


def test_every_room_has_its_layer():
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert rooms <= set(LAYERS)


@pytest.mark.parametrize(("room", "library"), [("llm", "torch"), ("llm", "spacy"), ("metamodel", "openai")])
def test_a_room_never_sees_a_library(room, library):
    for path in (PACKAGE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert library not in {name.split(".")[0] for name in names}, path
