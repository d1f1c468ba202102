"""A worker on a cluster: it holds a pipeline, mines one part after another, and writes each to the output."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import spacy
import torch
from spacy.language import Language

from spacy_falconer.corpus.read import Item
from spacy_falconer.errors import FalconerError
from spacy_falconer.workflow.cluster.files import find_path, name_note, name_part, publish
from spacy_falconer.workflow.cluster.splits import Split, read_split
from spacy_falconer.workflow.mining.mined import find_plan
from spacy_falconer.workflow.mining.part import Miner, Part, check_any, cut_parts
from spacy_falconer.workflow.mining.parts import Paths
from spacy_falconer.workflow.mining.reading import Reading, open_reader
from spacy_falconer.workflow.mining.state import PartDone

if TYPE_CHECKING:
    import pyarrow

REMEMBERED = 2**16  # Texts whose readings a worker keeps, in case the same texts come again.

Json = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What every task and worker of a run must know.

    output: A path or an address; what one machine writes there must be seen by all.
    done: The parts of each split that an earlier run has done.
    """

    output: str
    corpus: Path
    text_field: Sequence[str]
    id_field: str
    part_size: int
    batch_size: int
    precision: str
    n_threads: int
    n_gpus: float
    done: Mapping[int, frozenset[int]]

    @property
    def paths(self) -> Paths:
        return Paths(find_path(self.output))


def read_parts(table: pyarrow.Table, job: Job) -> Iterator[pyarrow.Table]:
    """Yield the parts of some splits, each as a table of one row. If a split cannot be read, the error takes a part's place.

    Which rows are in a part depends only on its split.
    """
    import pyarrow as pa

    for number, content in zip(table["number"].to_pylist(), table["split"].to_pylist(), strict=True):
        split, part = pickle.loads(content), -1  # noqa: S301 (ours)
        try:
            for part, is_last, some in cut_split(split, job):
                if part not in job.done.get(number, ()):
                    row = {"split": number, "part": part, "is_last": is_last, "items": pickle.dumps(some)}
                    yield pa.table({name: [value] for name, value in row.items()})
        except FalconerError as error:
            row = {"split": number, "part": part + 1, "is_last": True, "items": pickle.dumps(error)}
            yield pa.table({name: [value] for name, value in row.items()})


def cut_split(split: Split, job: Job) -> Iterator[tuple[int, bool, list[Item]]]:
    """Yield the parts of a split: the number, whether it is the last, and its rows."""
    items = read_split(split, text_field=job.text_field, id_field=job.id_field)
    for part, (some, is_last) in enumerate(mark_last(cut_parts(items, job.part_size))):
        yield part, is_last, some


def mark_last(parts: Iterable[list[Item]]) -> Iterator[tuple[list[Item], bool]]:
    """Yield each part, and whether it is the last. If there is none, yield one without rows."""
    before = None
    for part in parts:
        if before is not None:
            yield before, False
        before = part
    yield before or [], True


class Worker:
    """Mines parts on one machine of a cluster. If it is lost, another does its part again, and writes the same file."""

    def __init__(self, pipeline: Any, job: Job):
        import ray

        torch.set_num_threads(job.n_threads)
        if job.n_gpus:
            spacy.require_gpu()
        self.job = job
        self.nlp = unpack_pipeline(ray.get(pipeline))
        self.plan = find_plan(self.nlp)
        self.memory = Memory()
        self.open = ExitStack()  # For as long as the process lives.
        reader = open_reader(self.nlp, n_process=1, batch_size=job.batch_size, precision=job.precision)
        self.read = self.open.enter_context(reader)

    def __call__(self, table: pyarrow.Table) -> pyarrow.Table:
        """Mine parts. RETURNS (pyarrow.Table): The note of each, as JSON."""
        import pyarrow as pa

        return pa.table({"note": [json.dumps(self.mine_or_refuse(row)) for row in table.to_pylist()]})

    def mine_or_refuse(self, row: Json) -> Json:
        """Return a part's note, or why it was not mined: Ray keeps only the traceback of an exception."""
        try:
            return self.mine(**row)
        except FalconerError as error:
            return {"refused": str(error), "kind": type(error).__name__}

    def mine(self, *, split: int, part: int, is_last: bool, items: bytes) -> Json:
        """Mine one part, and write its rows and then the note that it is done."""
        some = pickle.loads(items)  # noqa: S301 (ours)
        if isinstance(some, FalconerError):
            raise some
        if split == part == 0:
            check_any(some)
        paths = self.job.paths
        name = name_part(split, part, paths.ending)
        with TemporaryDirectory() as folder:
            here = Paths(Path(folder) / f"rows{paths.ending}")
            here.work.mkdir()
            done = self.mine_here(some, here)
            content = {name: value for name, value in done.content.items() if name not in ("part", "start", "end")}
            where = {"split": split, "part": part, "is_last": is_last, "file": name, "n_items": len(some)}
            note = {**where, **content, "rejects": list(done.rejects)}
            publish(here.part(0), paths.work / name)
            (Path(folder) / "note.json").write_text(json.dumps(note), encoding="utf8")
            publish(Path(folder) / "note.json", paths.work / name_note(split, part))
        return note

    def mine_here(self, items: Sequence[Item], here: Paths) -> PartDone:
        """Mine one part to a folder of its own, as `mine` does on one machine."""
        Miner(self.nlp, self.plan, here, self.memory, None, self.read).mine(Part(0, 0, items), lambda n_texts: None)
        return self.memory.done


class Memory:
    """Takes the place of `MineState`: it knows only what this worker has read recently, not what others have.

    done: The last part.
    """

    def __init__(self) -> None:
        self.readings: OrderedDict[bytes, Reading] = OrderedDict()
        self.done: PartDone

    def find_readings(self, keys: Iterable[bytes]) -> dict[bytes, Reading]:
        return {key: self.readings[key] for key in keys if key in self.readings}

    def note(self, done: PartDone) -> None:
        self.done = done
        self.readings.update(done.readings)
        while len(self.readings) > REMEMBERED:
            self.readings.popitem(last=False)


def pack_pipeline(nlp: Language) -> bytes:
    """Return a saved pipeline as the bytes of one archive."""
    packed = io.BytesIO()
    with TemporaryDirectory() as folder, tarfile.open(fileobj=packed, mode="w") as archive:
        nlp.to_disk(folder)
        archive.add(folder, "pipeline")
    return packed.getvalue()


def unpack_pipeline(packed: bytes) -> Language:
    with TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        return spacy.load(Path(folder) / "pipeline")
