"""What the package imports wherever it is installed, it requires."""

from __future__ import annotations

import ast
import re
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OTHER_NAMES = {"spacy_transformers": "spacy-transformers"}


def imported_at_once(path: Path) -> set[str]:
    """The packages that a module imports when it is imported itself."""
    body = ast.parse(path.read_text(encoding="utf8")).body
    names = [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in body if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"spacy_falconer"}


@pytest.mark.skipif(not (ROOT / "setup.cfg").exists(), reason="installed without its source")
def test_what_is_imported_is_required():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf8")
    lines = config["options"]["install_requires"].splitlines()
    required = {re.match(r"[\w-]+", line)[0] for line in lines if line and not line.startswith("#")}
    extras = {"ray", "pyarrow", "openvino", "sklearn", "zstandard", "upath", "fsspec"}
    imported = {}
    for path in (ROOT / "spacy_falconer").rglob("*.py"):
        for name in imported_at_once(path) - extras:
            imported.setdefault(OTHER_NAMES.get(name, name), path)
    assert {"numpy", "spacy"} <= imported.keys()
    assert not {name: path for name, path in imported.items() if name not in required}
