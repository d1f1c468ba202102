"""Run a pipeline over a whole corpus, and write rows to a file. A run may be killed at any moment, and goes on later."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy.language import Language

from spacy_falconer.corpus.read import Item, Place, read_items
from spacy_falconer.errors import CorpusError
from spacy_falconer.plan import Plan
from spacy_falconer.types import Record
from spacy_falconer.workflow.corpus_file import CorpusFile
from spacy_falconer.workflow.mining.clear import check_apart, clear
from spacy_falconer.workflow.mining.manifest import (
    check_same,
    describe_run,
    find_finished,
    list_changes,
    open_seen,
    write_manifest,
)
from spacy_falconer.workflow.mining.mined import find_plan
from spacy_falconer.workflow.mining.mined import make_rows as make_rows
from spacy_falconer.workflow.mining.part import Miner, Part, Tick, check_any, cut_parts, digest_items
from spacy_falconer.workflow.mining.parts import Paths, dump_row, durable, join_parts, plain_disk, write_part
from spacy_falconer.workflow.mining.precision import settle_precision
from spacy_falconer.workflow.mining.reading import EXACT, open_reader
from spacy_falconer.workflow.mining.state import CLUSTER_HEAD, MineState, Seen, give_way, remove_state
from spacy_falconer.workflow.mining.tabular import check_parquet

if TYPE_CHECKING:
    from spacy_falconer.workflow.guarantee.run import Guaranteed

BATCH_SIZE = 256
PART_SIZE = 10_000  # The most rows of the corpus in a part, which is read again if a run is killed.
COUNTS = ("n_texts", "n_rows", "n_duplicates", "n_skipped", "n_rejected", "n_damaged", "n_unread_tokens")


@dataclass
class MineReport:
    """What was read and what was found.

    n_texts: Records that the rows are made from, including those of an unfinished run that this one continued (`n_before`).
    n_duplicates: Records, or their sentences, whose text had been read already, and was not read again.
    n_skipped: Records that the run named by `since` had read.
    n_rejected: Rows of the corpus that are not records, or that the pipeline failed on; `n_damaged` files end with one.
    n_unread_tokens: Tokens that the encoder has no piece for.
    languages: How many texts seem to be in another language than the pipeline's, by language or script.
    seconds: The time of this run, including the pipeline's reading for a guarantee.
    """

    n_texts: int = 0
    n_rows: int = 0
    n_duplicates: int = 0
    n_skipped: int = 0
    n_rejected: int = 0
    n_damaged: int = 0
    n_unread_tokens: int = 0
    languages: dict[str, int] = field(default_factory=dict)
    n_before: int = 0
    seconds: float = 0.0

    @property
    def texts_per_second(self) -> float:
        return (self.n_texts - self.n_before) / self.seconds if self.seconds else 0.0


def mine(
    nlp: Language,
    records: Iterable[Record],
    output: Path,
    *,
    n_process: int = 1,
    batch_size: int = BATCH_SIZE,
    precision: str = EXACT,
    part_size: int = PART_SIZE,
    since: Path | None = None,
    fresh: bool | None = False,
    guaranteed: Guaranteed | None = None,
    tick: Tick = lambda n_texts: None,
) -> MineReport:
    """Write a row for every text that the plan keeps, in the corpus's order.

    A text that occurs in the corpus several times is read once, and each of its records gets its rows. Rows of a corpus on
    disk that are not records go to a file beside the rows, and do not stop the run. A run that was killed goes on.

    records: A `CorpusFile`, or records from elsewhere, which must be given again in the same order for a run to go on.
    output (Path): A `.jsonl` or `.parquet` file, or a folder for parts of Parquet. A file appears when it is complete; until
        then an old one stays. Beside it: .manifest.json (what it was made from), .rejects.jsonl, .seen.db (for `since`).
    n_process (int): How many processes read. Each holds the pipeline.
    batch_size (int): Texts that are read at once; fewer if they are long.
    precision (str): As in `accelerate`. A run that goes on with "auto" keeps the precision that was chosen.
    part_size (int): The most rows that are read again if a run is killed.
    since (Path): The manifest of an earlier run: records whose id and text it read are skipped.
    fresh (bool): Forget an unfinished run. False: go on with it, or raise an error if anything has changed. None: go on with
        it, or begin again if anything has changed.
    guaranteed: What `workflow.guarantee` returned for the same records: the readings of all texts, which are not read
        again, and what is certain.
    tick: Called with the number of the corpus's rows that were read since the last call.
    RAISES (ModelError): The pipeline holds no plan, or one of the processes ended.
    RAISES (CorpusError): The corpus cannot be read, the rows cannot be written, or the unfinished run was begun with
        something else.
    """
    start = time.perf_counter()
    answered, promised = (guaranteed.readings, {"guarantee": guaranteed.describe()}) if guaranteed else ({}, {})
    precision = (
        guaranteed.precision if guaranteed else settle_precision(nlp, precision, Paths(output), fresh=bool(fresh))
    )
    chosen = {} if precision == EXACT else {"precision": precision}
    run = make_run(nlp, records, output, part_size=part_size, since=since, **chosen, **promised)
    if fresh is False:
        check_engine(run.paths)
    if not fresh and not run.paths.state.exists() and (found := find_finished(run.paths, run.head)):
        tidy(run.paths)
        return MineReport(**found["totals"], n_before=found["totals"]["n_texts"])
    reading = {"n_process": n_process, "batch_size": batch_size, "precision": precision}
    with open_state(run, fresh=fresh) as state, open_reader(nlp, **reading) as read:
        n_before = make_totals(state.parts())["n_texts"]
        mine_parts(run, Miner(nlp, run.plan, run.paths, state, run.seen, read, answered, run.is_guaranteed), tick)
        finish(run, state)
        report = MineReport(**make_totals(state.parts()), n_before=n_before)
    tidy(run.paths)
    report.seconds = time.perf_counter() - start + (guaranteed.seconds if guaranteed else 0.0)
    return report


@dataclass(frozen=True)
class Run:
    """What is mined, from what, and to where."""

    nlp: Language
    plan: Plan
    records: Iterable[Record]
    paths: Paths
    head: dict[str, Any]
    seen: Seen | None
    part_size: int

    @property
    def is_guaranteed(self) -> bool:
        """Whether rows say who answered."""
        return "guarantee" in self.head["options"]


def make_run(
    nlp: Language, records: Iterable[Record], output: Path, *, part_size: int, since: Path | None, **more: Any
) -> Run:
    plan, paths = find_plan(nlp), Paths(output)
    if paths.ending == ".parquet":
        check_parquet()
    options: dict[str, Any] = {"output": output.name, "part_size": part_size, **more}
    corpus = records if isinstance(records, CorpusFile) else None
    if corpus is not None:
        check_apart(corpus.path, paths)
        options.update(text_field=list(corpus.text_field), id_field=corpus.id_field)
    seen = open_seen(since, paths)
    head = describe_run(nlp, plan, corpus=corpus.path if corpus else None, options=options, since=since)
    return Run(nlp, plan, records, paths, head, seen, part_size)


@contextmanager
def open_state(run: Run, *, fresh: bool | None) -> Iterator[MineState]:
    """Open the state of an unfinished run that was begun with the same, or else a new one.

    RAISES (CorpusError): The unfinished run was begun with something else.
    """
    paths = run.paths
    if not paths.state.exists():
        clear(paths)
    with MineState(paths.state) as state:
        begun = state.head()
        if begun is not None and not fresh and (fresh is False or not list_changes(begun, run.head)):
            check_same(begun, run.head, paths)
            yield state
            return
    clear(paths)
    with begin(run) as state:
        yield state


@contextmanager
def begin(run: Run) -> Iterator[MineState]:
    """Begin a new run, and open its state."""
    path = run.paths.state
    with give_way(lambda: count_read(path), lambda: clear(run.paths)), MineState(path) as state:
        state.begin(run.head)
        yield state


def check_engine(paths: Paths) -> None:
    """RAISES (CorpusError): The unfinished run was begun by the other engine."""
    if (paths.work / CLUSTER_HEAD).exists():
        raise CorpusError(
            f"An unfinished run in {str(paths.work)!r} was begun on a cluster. Go on with --engine ray, or mine from the "
            "beginning with --fresh."
        )


def count_read(path: Path) -> int:
    """Return how many texts a run has read, by its state."""
    with MineState(path) as state:
        return make_totals(state.parts())["n_texts"]


def tidy(paths: Paths) -> None:
    """Remove what a finished run no longer needs."""
    with plain_disk(paths.work):
        remove_state(paths.state)
        if not paths.is_folder and paths.work.exists():
            clear(paths)
            if not any(paths.work.iterdir()):
                paths.work.rmdir()


def mine_parts(run: Run, miner: Miner, tick: Tick) -> None:
    """Mine the parts that are not done yet, one after another."""
    items, start, done = read_input(run.records), 0, miner.state.parts()
    for part in done:
        check_part(part, list(islice(items, part["end"] - start)))
        start = part["end"]
    number = len(done)
    for some in cut_parts(items, run.part_size):  # Not with `enumerate`, which holds a part while the next is read.
        if not number:
            check_any(some)
        miner.mine(Part(number, start, some), tick)
        number, start = number + 1, start + len(some)
        del some


def read_input(records: Iterable[Record]) -> Iterator[Item]:
    """Yield every row of the input with its place, including those that are not records."""
    if isinstance(records, CorpusFile):
        yield from read_items(records.path, text_field=tuple(records.text_field), id_field=records.id_field)
    else:
        yield from ((Place("records", number), record) for number, record in enumerate(records, start=1))


def check_part(part: dict[str, Any], items: Sequence[Item]) -> None:
    """RAISES (CorpusError): The rows are not the ones that the part was mined from."""
    if digest_items(items) != part["digest"]:
        raise CorpusError(
            f"The corpus has changed since a run was begun: its rows {part['start'] + 1} to {part['end']} are not what was "
            "mined. Mine from the beginning with --fresh."
        )


def finish(run: Run, state: MineState) -> None:
    """Write the complete rows and the files beside them. If any were written before, they are written again, the same."""
    paths, parts = run.paths, state.parts()
    if not paths.is_folder:
        join_parts(paths, parts, run.plan, has_by=run.is_guaranteed)
    elif not parts:
        write_part([], paths.part(0), run.plan, has_by=run.is_guaranteed)
    write_rejects(state, paths.beside("rejects.jsonl"))
    state.copy_records(paths.beside("seen.db"))
    write_manifest(paths, run.head, parts, make_totals(parts))


def write_rejects(state: MineState, path: Path) -> None:
    """Write the rows of the corpus that are not records, if there are any."""
    path.unlink(missing_ok=True)
    if any(True for _ in state.rejects()):
        with durable(path) as part, part.open("wb") as lines:
            lines.writelines(map(dump_row, state.rejects()))


def make_totals(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums over parts."""
    totals: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    for part in parts:
        totals.update({name: part[name] for name in COUNTS})
        languages.update(part["languages"])
    return {**{name: totals[name] for name in COUNTS}, "languages": dict(languages.most_common())}


def count_done(output: Path) -> int:
    """Return how many rows of the corpus an unfinished run has done."""
    paths = Paths(output)
    if not paths.state.exists():
        return 0
    with MineState(paths.state) as state:
        return sum(part["end"] - part["start"] for part in state.parts())
