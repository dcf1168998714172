"""What a job makes of a table, as one .parquet or .csv file: batch by batch, so that it may be larger than memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pangea.compute.client.definition.job import JobDefinition
from pangea.compute.client.results.file_formats import (
    CSV_WORDLESS,
    noted_for_pandas,
    refuse_columns,
    refuse_ordered_numbers,
    without_blank_lines,
    without_categories,
)
from pangea.compute.client.results.reading import arrow_of
from pangea.compute.client.submission.submit import submit_job
from pangea.compute.inputs.cutting import cut
from pangea.compute.inputs.preprocessor import prepare_input
from pangea.compute.model.errors import ManifestError, ResultError
from pangea.compute.model.libraries import need
from pangea.compute.model.options import JobOptions
from pangea.compute.model.units import CHUNK_BYTES_MAX, MIB
from pangea.compute.templates.checks import whole

_CHUNK_MIN, _CHUNK_MAX = 16 << 10, 4 * MIB


def to_parquet(
    data: Any,
    path: str | os.PathLike[str],
    job: JobDefinition | None = None,
    *,
    batch_bytes: int = 64 * MIB,
    **submit_options: Any,
) -> int:
    """Write what a job makes of a table to a .parquet file, which pandas, polars and DuckDB read.

    The table is read, sent to the job and written batch by batch, each a job by itself; so neither the table nor the result
    has to fit into memory. The file appears when it is whole.

    Args:
        data: a table; anything `submit_job` takes for one, such as "trips/*.csv".
        path: of the file, which is replaced if there is one.
        job: from a table to a table, without a merge: `filter_rows`, `map_rows(…, output="table")`, `join`; None to write the
            table as it is.
        batch_bytes: bytes of the table that are in memory at once, about.
        submit_options: keywords of `submit_job`.

    Returns:
        How many rows were written.

    Raises:
        ManifestError: the job takes or gives something else, or has a merge.
        ResultError: the results of the batches have other columns or types; names them.
    """
    parquet = need("pyarrow.parquet", "writing .parquet")

    def writer(file: Any, schema: Any) -> Any:
        return parquet.ParquetWriter(file, noted_for_pandas(schema))

    def shaped(table: Any) -> Any:
        refuse_ordered_numbers(table.schema)
        return table

    return _written(_tables(data, job, batch_bytes, submit_options), Path(path), writer, shaped)


def to_csv(
    data: Any,
    path: str | os.PathLike[str],
    job: JobDefinition | None = None,
    *,
    batch_bytes: int = 64 * MIB,
    **submit_options: Any,
) -> int:
    """Write what a job makes of a table to a .csv file: a header, text in quotes where it has to be, nothing for null.

    Args:
        data: a table; anything `submit_job` takes for one.
        path: of the file, which is replaced if there is one.
        job: from a table to a table, without a merge; None to write the table as it is.
        batch_bytes: bytes of the table that are in memory at once, about.
        submit_options: keywords of `submit_job`.

    Returns:
        How many rows were written.

    Raises:
        ManifestError: the job takes or gives something else, or has a merge.
        ResultError: the results of the batches have other columns or types, or such as CSV has no words for; names them.
    """
    csv = need("pyarrow.csv", "writing .csv")

    def writer(file: Any, schema: Any) -> Any:
        return csv.CSVWriter(file, schema, write_options=csv.WriteOptions(quoting_style="needed"))

    def shaped(table: Any) -> Any:
        table = without_categories(table)
        refuse_columns(table.schema, CSV_WORDLESS, "CSV has no words for it")
        return without_blank_lines(table)

    return _written(_tables(data, job, batch_bytes, submit_options), Path(path), writer, shaped)


def _tables(data: Any, job: Any, batch_bytes: Any, submit_options: dict[str, Any]) -> Iterator[Any]:
    """What the job makes of each batch, as a pyarrow.Table."""
    most = whole("batch_bytes", batch_bytes, 1, 1 << 40)
    if job is not None and (not isinstance(job, JobDefinition) or job.merge is not None or job.split is not None):
        raise ManifestError(
            "job must be from a table to a table, without split and merge", hint="write its result with as_frame()", field="job"
        )
    if job is not None and job.kinds["execute"] != ("table", "table"):
        raise ManifestError(
            f"job is from {job.kinds['execute'][0]} to {job.kinds['execute'][1]}; it must be from table to table", field="job"
        )
    return _batches_done(data, job, most, submit_options)


def _batches_done(data: Any, job: JobDefinition | None, most: int, submit_options: dict[str, Any]) -> Iterator[Any]:
    options = JobOptions.of({"split_strategy": "arrow_batches", "max_chunk_size": min(_CHUNK_MAX, max(_CHUNK_MIN, most))})
    with prepare_input(data, "table", options) as inputs:
        batch: list[bytes] = []
        for segment in cut(inputs, options, custom_max=CHUNK_BYTES_MAX):
            batch.append(bytes(segment))
            if sum(map(len, batch)) >= most:
                yield _made(batch, job, submit_options)
                batch = []
        if batch:
            yield _made(batch, job, submit_options)


def _made(batch: list[bytes], job: JobDefinition | None, submit_options: dict[str, Any]) -> Any:
    return arrow_of(b"".join(batch)) if job is None else submit_job(job, batch, **submit_options).as_arrow()


def _written(tables: Iterator[Any], path: Path, make_writer: Any, shaped: Callable[[Any], Any] | None = None) -> int:
    """Write them into one file beside `path`, which takes its place."""
    rows, writer, first = 0, None, None
    unfinished = path.with_name(f"{path.name}.unfinished-{os.getpid()}")
    try:
        with unfinished.open("xb") as file:
            for number, table in enumerate(tables):
                first = table.schema if first is None else first
                fitting = _fitting(table, first, number)
                shape = fitting if shaped is None else shaped(fitting)
                writer = make_writer(file, shape.schema) if writer is None else writer
                writer.write_table(shape)
                rows += table.num_rows
            if writer is None:
                raise ResultError("the table has no columns, so there is nothing to write")
            writer.close()
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return rows


def _fitting(table: Any, schema: Any, number: int) -> Any:
    """The table with the types of the first; a column without any value has whichever."""
    arrow = need("pyarrow", "writing a table")
    if table.schema.names != schema.names:
        raise ResultError(f"batch {number:,} has the columns {table.schema.names}, the first one {schema.names}")
    found = []
    for column, field in zip(table.columns, schema, strict=True):
        if column.type != field.type and not arrow.types.is_null(column.type):
            raise ResultError(
                f"column {field.name!r} is {column.type} in batch {number:,}, and {field.type} in the first one",
                hint="give its type in the job: types={...} in map_rows, Table.of(…, types=…) in execute",
                column=field.name,
            )
        found.append(column if column.type == field.type else column.cast(field.type))
    return arrow.Table.from_arrays(found, schema=schema)
