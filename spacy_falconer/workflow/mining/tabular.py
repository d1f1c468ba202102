"""Mined rows as Parquet, with all the columns of a plan, whichever of them a row fills."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_falconer.errors import CorpusError
from spacy_falconer.plan import Plan
from spacy_falconer.plan.execute import Row

if TYPE_CHECKING:
    import pyarrow

GROUP_ROWS = 100_000  # The least rows in a row group of the joined file; the last may have fewer.


def make_schema(plan: Plan, *, has_by: bool) -> pyarrow.Schema:
    """Return the columns of a plan's rows. Other columns of the corpus are JSON, as their types are not known beforehand.

    has_by (bool): The rows say who answered.
    """
    pa = _load()
    place = [("start", pa.int64()), ("end", pa.int64())]
    words = pa.struct([("text", pa.string()), *place])
    score = [("score", pa.float64())]
    about = pa.list_(pa.struct([("for", words), *score, ("value", pa.bool_())]))
    labels = [(step.id, pa.float64() if step.for_each is None else about) for step in plan.label_steps]
    passage = [("text", pa.string()), *place, *score]
    spans = [
        (step.id, pa.list_(pa.struct(passage if step.for_each is None else [*passage, ("for", words)])))
        for step in plan.span_steps
        if step.id in plan.output
    ]
    columns = [("id", pa.string()), ("labels", pa.struct(labels)), ("spans", pa.struct(spans))]
    columns += [("sentence", pa.struct(place))] if plan.unit == "sentence" else []
    columns += [("by", pa.string())] if has_by else []
    # Parquet does not allow a column without fields.
    return pa.schema([*((name, kind) for name, kind in columns if kind != pa.struct([])), ("fields", pa.string())])


def write_parquet(rows: Sequence[Row], path: Path, plan: Plan, *, has_by: bool = False) -> None:
    from pyarrow import parquet

    schema = make_schema(plan, has_by=has_by)
    flat = [{**row, "fields": dump_fields(row["fields"]) if "fields" in row else None} for row in rows]
    parquet.write_table(_load().Table.from_pylist(flat, schema=schema), path)


def dump_fields(fields: Mapping[str, Any]) -> str:
    return json.dumps(without_nan(dict(fields)), default=str)


def without_nan(value: Any) -> Any:
    """Return the same value with None for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def join_parquet(files: Iterable[Path], joined: Path, plan: Plan, *, has_by: bool = False) -> None:
    """Join files to one, reading one after another."""
    from pyarrow import parquet

    pa, schema = _load(), make_schema(plan, has_by=has_by)
    with parquet.ParquetWriter(joined, schema) as writer:
        waiting: list[pyarrow.Table] = []
        for file in files:
            waiting.append(parquet.read_table(file, schema=schema))
            if sum(table.num_rows for table in waiting) >= GROUP_ROWS:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting))


def read_parquet(path: Path) -> Iterator[Row]:
    """Yield the rows as they are in JSON: what a row does not have is left out."""
    from pyarrow import parquet

    with parquet.ParquetFile(path) as opened:
        for batch in opened.iter_batches(batch_size=1024):
            yield from map(_unpack, batch.to_pylist())


def check_parquet() -> None:
    """RAISES (CorpusError): Parquet cannot be written, as pyarrow is not installed."""
    _load()


def _unpack(row: Row) -> Row:
    found = {key: value for key, value in row.items() if value is not None}
    for column in ("labels", "spans"):
        found[column] = {key: value for key, value in found.get(column, {}).items() if value is not None}
    return {**found, "fields": json.loads(found["fields"])} if "fields" in found else found


def _load() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise CorpusError("Writing Parquet needs pyarrow. Install it: pip install 'spacy-falconer[parquet]'.") from None
    return pyarrow
