"""What an installed package gives: entry points, configs, and an import that costs little."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
import spacy
from spacy.util import load_config

import spacy_falconer

ROOT = Path(spacy_falconer.__file__).parents[1]
ENTRY_POINTS = [entry for entry in distribution("spacy-falconer").entry_points if entry.group != "console_scripts"]


@pytest.mark.parametrize("entry", ENTRY_POINTS, ids=lambda entry: f"{entry.group}/{entry.name}")
def test_every_entry_point_loads(entry):
    assert callable(entry.load())


def test_the_factories_are_known_to_spacy():
    for name in ("falconer_label", "falconer_span", "falconer_plan"):
        assert spacy.blank("en").has_factory(name)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.cfg")), ids=lambda path: path.name)
def test_every_config_builds_a_pipeline(path):
    nlp = spacy.util.load_model_from_config(load_config(path), auto_fill=True)
    assert nlp.pipe_names == ["transformer", "falconer_label", "falconer_span"]


@pytest.mark.parametrize("heavy", ["torch", "transformers", "openai", "sqlite3", "pydantic"])
def test_importing_the_package_loads_nothing_heavy(heavy):
    script = f"import sys, spacy_falconer; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_the_public_names():
    assert set(spacy_falconer.__all__) == {"Plan", "__version__", "get_label", "get_span", "induce"}
    assert all(getattr(spacy_falconer, name) for name in spacy_falconer.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        spacy_falconer.nothing  # noqa: B018


def test_the_version_is_the_packages():
    assert spacy_falconer.__version__ == distribution("spacy-falconer").version
