"""What a mining run may overwrite and remove: nothing that is not its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath

from spacy_falconer.errors import CorpusError
from spacy_falconer.workflow.cluster.files import is_remote
from spacy_falconer.workflow.mining.parts import Paths, plain_disk
from spacy_falconer.workflow.mining.state import CLUSTER_HEAD, remove_state

BESIDE = ("manifest.json", "rejects.jsonl", "seen.db", "guarantee.json")
CLEARING = "_clearing"  # Exists while a run's files are being removed, which may be interrupted.
OWN = re.compile(
    r"(part-\d{5,}|part-\d{6}-\d{6})\.(jsonl|parquet)(\.part)?|_done-\d{6}-\d{6}\.json(\.part)?|_run\.json(\.part)?"
    r"|_state\.db(-wal|-shm|-journal)?|_(manifest\.json|rejects\.jsonl|seen\.db)(\.part(-journal)?)?|" + CLEARING
)


def check_apart(corpus: Path, paths: Paths) -> None:
    """RAISES (CorpusError): The rows, or the files beside them, would be written over the corpus or into it."""
    source = find_place(corpus)
    for path in list_written(paths):
        place = find_place(path)
        if place.is_relative_to(source) or source.is_relative_to(place):
            raise CorpusError(
                f"Mining would write to {str(path)!r}, which is, contains or lies within the corpus {str(corpus)!r}: texts "
                "would be lost, or rows read as texts. Expected an output apart from it. Choose another output."
            )


def list_written(paths: Paths) -> Iterator[Path]:
    yield from (paths.output, paths.work, *map(paths.beside, BESIDE))


def find_place(path: Path) -> PurePath:
    """Return where a path or an address leads, with all links resolved."""
    if not is_remote(path):
        return path.resolve()
    is_local = path.protocol in ("file", "local")
    return Path(path.path).resolve() if is_local else PurePosixPath(path.protocol, path.path.lstrip("/"))


def clear(paths: Paths) -> None:
    """Remove what earlier runs left in the folder of the parts. Other files stay if readers skip them because their names
    begin with an underscore or a dot.

    RAISES (CorpusError): The folder holds other files, or nothing shows that mining wrote those that it holds.
    """
    held = sorted(paths.work.glob("*"), key=str)
    own = [file for file in held if OWN.fullmatch(file.name)]
    marks = (paths.state, paths.work / CLUSTER_HEAD, paths.work / CLEARING, paths.beside("manifest.json"))
    is_ours = any(mark.exists() for mark in marks)
    others = [file for file in held if not (is_ours if file in own else file.name.startswith(("_", ".")))]
    if others:
        raise CorpusError(
            f"The folder {str(paths.work)!r} is meant for parts of rows, but holds {others[0].name!r}, which mining did not "
            "write there. Choose another output."
        )
    if own:
        remove(own, paths)


def give_up(paths: Paths) -> None:
    """Mark what a run has left, or what its workers still write, to be removed by the next `clear`."""
    with plain_disk(paths.work):
        (paths.work / CLEARING).touch()
        (paths.work / CLUSTER_HEAD).unlink(missing_ok=True)


def remove(own: list[Path], paths: Paths) -> None:
    """Remove files. If that is interrupted, a mark tells the next `clear` to remove the rest."""
    mark = paths.work / CLEARING
    with plain_disk(paths.work):
        mark.touch()
        remove_state(paths.state)
        for file in own:
            file.unlink(missing_ok=True)
        mark.unlink(missing_ok=True)
