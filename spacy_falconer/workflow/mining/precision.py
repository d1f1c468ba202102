"""The precision that a run reads in: the one it was begun with, even if `auto` would choose another one today."""

from __future__ import annotations

from spacy.language import Language

from spacy_falconer.workflow.mining.manifest import read_manifest
from spacy_falconer.workflow.mining.parts import Paths
from spacy_falconer.workflow.mining.reading import EXACT
from spacy_falconer.workflow.mining.state import MineState


def settle_precision(nlp: Language, wanted: str, paths: Paths, *, fresh: bool) -> str:
    """Return the precision's name: for "auto", that of the run before, else of the fastest one here.

    RAISES (ModelError): There is no such precision, or it needs a package that is not installed.
    """
    from spacy_falconer.metamodel.accelerate import check_precision, choose_precision

    if check_precision(wanted) != "auto":
        return wanted
    return (None if fresh else find_begun(paths)) or choose_precision(nlp)


def find_begun(paths: Paths) -> str | None:
    """Return the precision of the unfinished or finished run with this output; None if there is none."""
    head = read_manifest(paths.beside("manifest.json"))
    if paths.state.exists():
        with MineState(paths.state) as state:
            head = state.head()
    return head["options"].get("precision", EXACT) if head else None
