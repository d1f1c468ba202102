"""Run a pipeline over a whole corpus on many machines: Ray Data gives parts to workers, and lost parts are done again."""

from __future__ import annotations

import json
import logging
import pickle
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from spacy.language import Language

from spacy_falconer import errors
from spacy_falconer.errors import CorpusError, ModelError
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.cluster.cluster import Cluster, choose_n_workers, open_cluster
from spacy_falconer.workflow.cluster.files import NOTE, fetch, find_path, make_absolute, publish, read_notes
from spacy_falconer.workflow.cluster.splits import Split, count_lines, cut_corpus
from spacy_falconer.workflow.cluster.worker import Job, Worker, pack_pipeline, read_parts
from spacy_falconer.workflow.corpus_file import CorpusFile
from spacy_falconer.workflow.mine import BATCH_SIZE, PART_SIZE, MineReport, make_totals
from spacy_falconer.workflow.mining.clear import check_apart, clear, give_up
from spacy_falconer.workflow.mining.manifest import check_same, describe_run, find_finished, write_manifest
from spacy_falconer.workflow.mining.mined import find_plan
from spacy_falconer.workflow.mining.parts import Paths, check_part, dump_row, join_bytes
from spacy_falconer.workflow.mining.reading import EXACT
from spacy_falconer.workflow.mining.state import CLUSTER_HEAD, give_way
from spacy_falconer.workflow.mining.tabular import check_parquet, join_parquet

READER_CPUS = 0  # Readers wait for disks and workers most of the time; they must fit in beside the workers.
MAX_BLOCKS = 10_000  # Blocks of splits that Ray Data plans with.
# A part is a block of its own, which is passed on as soon as it is read.
QUIET = {"target_max_block_size": 1, "enable_progress_bars": False, "print_on_execution_start": False}

Json = dict[str, Any]
Notes = dict[tuple[int, int], Json]


def mine_on_ray(
    nlp: Language,
    corpus: CorpusFile,
    output: Path | str,
    *,
    cluster: Cluster,
    batch_size: int = BATCH_SIZE,
    precision: str = EXACT,
    part_size: int = PART_SIZE,
    fresh: bool = False,
    tick: Callable[[int], Any] = lambda n_texts: None,
) -> MineReport:
    """Write the rows that `mine` writes, with the workers of a Ray cluster.

    The corpus and the output must be at the same place for all machines: a folder that they share, or an address that
    fsspec knows. If a worker is lost, its parts are done again. A run that was killed goes on when it is started again.
    Only one run at a time may write to an output. Unlike with `mine`, a text that is in several parts is read once by each
    worker that gets it, not once in all, and there is no .seen.db for a later `since`.

    corpus: Its `path` may also be one that `find_path` returns.
    output: As in `mine`, or an address. A folder is written by the workers alone; a file is joined from their parts at the end.
    precision (str): As in `accelerate`, except "auto": machines may differ, and the rows of one run must not.
    RAISES (ModelError): As `mine`, or there is no cluster.
    RAISES (CorpusError): As `mine`, or machines do not see each other's parts.
    """
    start, plan = time.perf_counter(), find_plan(nlp)
    paths = Paths(find_path(output))
    check_apart(corpus.path, paths)
    check_parquet()  # Ray Data needs it, whatever the output is.
    check_named(precision)
    head = describe(nlp, plan, corpus, paths, {"part_size": part_size, "precision": precision})
    if not fresh and not (paths.work / CLUSTER_HEAD).exists() and (found := find_finished(paths, head)):
        return MineReport(**found["totals"], n_before=found["totals"]["n_texts"])
    notes = begin(paths, head, fresh=fresh)
    n_before = make_totals(notes.values())["n_texts"]
    # Paths are absolute: the machines do not work in this process's folder.
    job = Job(
        str(make_absolute(paths.output)), make_absolute(corpus.path), tuple(corpus.text_field), corpus.id_field, part_size,
        batch_size, precision, cluster.n_threads, cluster.n_gpus, group_by_split(notes),
    )  # fmt: skip

    def note(done: Json) -> None:
        notes[done["split"], done["part"]] = done
        tick(done["n_items"])

    with give_way(lambda: make_totals(read_notes(paths))["n_texts"], lambda: give_up(paths)):
        n_splits = mine_splits(job, pack_pipeline(nlp), cluster, find_whole(notes), note)
    totals = finish(paths, head, plan, order_parts(notes, n_splits, paths))
    return MineReport(**totals, n_before=n_before, seconds=time.perf_counter() - start)


def describe(nlp: Language, plan: Plan, corpus: CorpusFile, paths: Paths, options: Json) -> Json:
    """Return all that the rows depend on, and the engine that cuts their parts."""
    corpus_options = {"text_field": list(corpus.text_field), "id_field": corpus.id_field}
    options = {**options, **corpus_options, "output": paths.output.name, "engine": "ray"}
    return describe_run(nlp, plan, corpus=corpus.path, options=options, since=None)


def check_named(precision: str) -> None:
    """RAISES (ModelError): There is no such precision, or each machine would choose for itself."""
    from spacy_falconer.metamodel.accelerate import check_precision

    if check_precision(precision) == "auto":
        raise ModelError(
            "With the precision 'auto', each machine of a cluster would choose for itself, and they may differ. Expected a "
            "name, such as 'bf16'. Give the one that `mine` chose on a machine like the workers'."
        )


def begin(paths: Paths, head: Json, *, fresh: bool) -> Notes:
    """Return the notes of an unfinished run with the same head; if there is none, clear the folder and begin one.

    RAISES (CorpusError): The unfinished run was begun with something else, or by the other engine.
    """
    begun = paths.work / CLUSTER_HEAD
    if not fresh and paths.state.exists():
        raise CorpusError(
            f"An unfinished run in {str(paths.work)!r} was begun on one machine. Go on without --engine ray, or mine from the "
            "beginning with --fresh."
        )
    if not fresh and begun.exists():
        check_same(json.loads(begun.read_bytes()), head, paths)
        return {(note["split"], note["part"]): note for note in read_notes(paths)}
    clear(paths)
    with TemporaryDirectory() as folder:
        file = Path(folder) / CLUSTER_HEAD
        file.write_text(json.dumps(head), encoding="utf8")
        publish(file, begun)
    return {}


def group_by_split(notes: Notes) -> dict[int, frozenset[int]]:
    done = defaultdict(set)
    for split, part in notes:
        done[split].add(part)
    return {split: frozenset(parts) for split, parts in done.items()}


def find_whole(notes: Notes) -> set[int]:
    """Return the splits whose parts are all done."""
    lasts = {split: part for (split, part), note in notes.items() if note["is_last"]}
    return {split for split, last in lasts.items() if all((split, part) in notes for part in range(last))}


def mine_splits(job: Job, pipeline: bytes, cluster: Cluster, whole: set[int], note: Callable[[Json], Any]) -> int:
    """Mine all parts that are not done. RETURNS (int): The number of splits in the corpus.

    note: Called with each part's note, in the order in which the parts are done.
    """
    with open_cluster(cluster) as ray, quiet(ray):
        count = ray.remote(num_cpus=READER_CPUS)(count_lines)
        splits = cut_corpus(job.corpus, lambda stretches: ray.get([count.remote(stretch) for stretch in stretches]))
        left = [(number, split) for number, split in enumerate(splits) if number not in whole]
        for done in stream_parts(ray, left, ray.put(pipeline), job, cluster) if left else ():
            note(done)
    return len(splits)


def stream_parts(
    ray: Any, splits: Sequence[tuple[int, Split]], pipeline: Any, job: Job, cluster: Cluster
) -> Iterator[Json]:
    """Read splits in tasks, mine their parts in workers that hold the pipeline, and yield each part's note."""
    n_workers = choose_n_workers(cluster, ray.cluster_resources())
    rows = [{"number": number, "split": pickle.dumps(split)} for number, split in splits]
    parts = ray.data.from_items(rows, override_num_blocks=min(len(rows), MAX_BLOCKS)).map_batches(
        read_parts, batch_size=1, batch_format="pyarrow", fn_kwargs={"job": job}, num_cpus=READER_CPUS
    )
    done = parts.map_batches(
        Worker, batch_size=1, batch_format="pyarrow", fn_constructor_args=(pipeline, job), num_cpus=cluster.n_threads,
        num_gpus=cluster.n_gpus or None, compute=ray.data.ActorPoolStrategy(size=n_workers),
    )  # fmt: skip
    for row in done.iter_rows():
        note = json.loads(row["note"])
        if "refused" in note:
            raise getattr(errors, note["kind"])(note["refused"])
        yield note


@contextmanager
def quiet(ray: Any) -> Iterator[None]:
    """Inside the block, Ray Data passes on parts one by one and prints nothing but errors."""
    context, logger = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    settings = {name: getattr(context, name) for name in QUIET if hasattr(context, name)}
    level = logger.level
    for name in settings:
        setattr(context, name, QUIET[name])
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        for name, value in settings.items():
            setattr(context, name, value)


def order_parts(notes: Notes, n_splits: int, paths: Paths) -> list[Json]:
    """Return the parts in the corpus's order, each with the numbers of its first row and of the row after its last.

    RAISES (CorpusError): A part cannot be seen from this machine.
    """
    there = {path.name for path in paths.work.glob("part-*")}
    missing = [note["file"] for note in notes.values() if note["file"] not in there]
    if missing or find_whole(notes) != set(range(n_splits)):
        raise CorpusError(
            f"{len(missing)} of {len(notes)} parts of rows are not in {str(paths.work)!r}, first {min(missing, default='')!r}: "
            "the machines do not share that folder. Expected an output that all of them see. Give one, such as s3://bucket/rows."
        )
    parts, end = [], 0
    for number, key in enumerate(sorted(notes)):
        start, end = end, end + notes[key]["n_items"]
        parts.append({"part": number, "start": start, "end": end, **notes[key]})
    return parts


def finish(paths: Paths, head: Json, plan: Plan, parts: Sequence[Json]) -> Json:
    """Write the complete rows and the files beside them, the manifest last. RETURNS (Json): The sums over parts."""
    totals = make_totals(parts)
    with TemporaryDirectory() as folder:
        here = Paths(Path(folder) / paths.output.name)
        here.work.mkdir()
        if not paths.is_folder:
            join_fetched(paths, parts, here.output, plan)
            publish(here.output, paths.output)
        write_rejects(parts, here, paths)
        write_manifest(here, head, [describe_part(part, paths) for part in parts], totals)
        publish(here.beside("manifest.json"), paths.beside("manifest.json"))
    tidy(paths)
    return totals


def describe_part(part: Json, paths: Paths) -> Json:
    """Return a part's entry in the manifest."""
    left_out = {"split", "is_last", "n_items", "rejects", *(() if paths.is_folder else ("file",))}
    return {name: value for name, value in part.items() if name not in left_out}


def join_fetched(paths: Paths, parts: Sequence[Json], joined: Path, plan: Plan) -> None:
    """Join all parts to one local file, fetching one at a time."""
    with TemporaryDirectory() as folder:
        files = (check_part(fetch(paths.work / part["file"], Path(folder)), part["checksum"]) for part in parts)
        if paths.ending == ".parquet":
            join_parquet(files, joined, plan)
        else:
            join_bytes(files, joined)


def write_rejects(parts: Iterable[Json], here: Paths, paths: Paths) -> None:
    """Write the rows of the corpus that are not records, if there are any."""
    target = paths.beside("rejects.jsonl")
    if not any(part["rejects"] for part in parts):
        target.unlink(missing_ok=True)
        return
    with here.beside("rejects.jsonl").open("wb") as lines:
        lines.writelines(dump_row(reject) for part in parts for reject in part["rejects"])
    publish(here.beside("rejects.jsonl"), target)


def tidy(paths: Paths) -> None:
    """Remove what a finished run no longer needs."""
    forget(paths)
    if not paths.is_folder:
        clear(paths)
        if paths.work.exists() and not any(paths.work.iterdir()):
            paths.work.rmdir()
    else:
        for file in paths.work.glob(f"{NOTE}*"):
            file.unlink()


def forget(paths: Paths) -> None:
    """Remove a run's head, without which its other files mean nothing."""
    (paths.work / CLUSTER_HEAD).unlink(missing_ok=True)


def count_done(output: Path) -> int:
    """Return how many rows of the corpus an unfinished run has done."""
    paths = Paths(find_path(output))
    return sum(note["n_items"] for note in read_notes(paths)) if (paths.work / CLUSTER_HEAD).exists() else 0
