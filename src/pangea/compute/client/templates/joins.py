"""A ready job that joins a table with a small one on a key: the small one travels with the job, each chunk is looked up in it."""

from __future__ import annotations

import functools
import zlib
from base64 import b85decode, b85encode
from collections.abc import Sequence
from itertools import chain, compress
from typing import Any, Literal

from pangea.compute.client.job import Job, JobDefinition
from pangea.compute.client.preprocessor import prepare_input
from pangea.compute.client.templates.checks import choice, columns
from pangea.compute.data import Column, DataError, Table
from pangea.compute.engine.cutting import cut
from pangea.compute.model.errors import InputError, ManifestError
from pangea.compute.model.options import JobOptions
from pangea.compute.model.units import CHUNK_BYTES_MAX, MIB, human_bytes

#: Of the small table, compressed and written as text: an archive has 8 MiB.
_SMALL_BYTES_MAX = 6 * MIB


def join(
    small: Any,
    on: str | Sequence[str],
    *,
    small_on: str | Sequence[str] | None = None,
    how: Literal["inner", "left"] = "inner",
    suffix: str = "_right",
) -> JobDefinition:
    """Look up each row of a table in a small table.

    Args:
        small: the small table: a frame, a dict of columns, a list of dicts, a file's path.
        on: the key's columns.
        small_on: the key's columns in the small table, if they have other names there.
        how: "inner" keeps the rows that are found; "left" keeps all, with nulls where nothing is found.
        suffix: put behind the name of a small table's column that the large one has, too.

    Returns:
        A job from a table to a table: the rows in order, each as often as its key is in the small table (in that one's order),
        with the small table's other columns behind. A null or NaN is no key: it is never found.

    Raises:
        ManifestError: an option is out of range, or the small table has no such column.
        InputError: the small table can't be read, or is larger than 6 MiB, compressed.
    """
    keys, small_keys = columns("on", on), columns("small_on", on if small_on is None else small_on)
    is_left = choice("how", how, ("inner", "left")) == "left"
    if len(keys) != len(small_keys):
        raise ManifestError(f"on has {len(keys)} columns and small_on has {len(small_keys)}", field="small_on")
    if not isinstance(suffix, str) or not suffix:
        raise ManifestError(f"suffix is {suffix!r:.80}; it must be some text", field="suffix")
    table = _small(small)
    for name in small_keys:
        if name not in table.columns:
            hint = f"it has {', '.join(map(repr, table.names))}"
            raise ManifestError(f"the small table has no column {name!r}", hint=hint, field="small_on")
    small_text, small_names = _packed(table), tuple(small_keys)
    plan = (tuple(keys), is_left, suffix)

    @Job.define(name="join", split_strategy="arrow_batches")
    def job() -> None:
        @Job.execute(input="table", output="table")
        def execute(table: Table) -> Table:
            return joined(table, small_side(small_text, small_names), plan)

    return job


def _small(small: Any) -> Table:
    if isinstance(small, Table):
        return small
    options = JobOptions.of({"split_strategy": "arrow_batches", "max_chunk_size": CHUNK_BYTES_MAX})
    with prepare_input(small, "table", options) as inputs:
        parts = [bytes(segment) for segment in cut(inputs, options, custom_max=CHUNK_BYTES_MAX)]
    if parts == [b""]:
        raise InputError("the small table is empty: it has no columns", hint="give at least the columns' names and types")
    return Table.concat(map(Table.from_arrow, parts))


def _packed(table: Table) -> str:
    text = b85encode(zlib.compress(table.to_arrow(), 9))
    if len(text) > _SMALL_BYTES_MAX:
        raise InputError(
            f"the small table has {human_bytes(len(text))} when compressed; {human_bytes(_SMALL_BYTES_MAX)} travel with a job",
            hint="swap the two tables, leave out columns, or sort both and join them natively",
            bytes=len(text),
            bytes_max=_SMALL_BYTES_MAX,
        )
    return text.decode()


# What follows runs in the sandbox.

#: The small table by key: positions of its rows; and its other columns' types and values, with a None behind the last.
Small = tuple[dict[Any, list[int]], dict[str, tuple[str, list[Any]]], tuple[str, ...]]


@functools.lru_cache(maxsize=1)
def small_side(text: str, key_names: tuple[str, ...]) -> Small:
    """The small table, unpacked: once for all chunks of a task."""
    table = Table.from_arrow(zlib.decompress(b85decode(text)))
    found: dict[Any, list[int]] = {}
    for position, key in enumerate(_keys([table[name] for name in key_names])):
        found.setdefault(key, []).append(position)
    found.pop(None, None)
    rest = {name: (column.type, [*_stored(column), None]) for name, column in table.columns.items() if name not in key_names}
    return found, rest, tuple(table[name].type for name in key_names)


def joined(table: Table, small: Small, plan: tuple[tuple[str, ...], bool, str]) -> Table:
    """The rows of `table` with those of the small one that have their key."""
    key_names, is_left, suffix = plan
    found, rest, key_types = small
    for name, kind in zip(key_names, key_types, strict=True):
        if _family(table[name].type) != _family(kind):
            raise DataError(
                f"the key {name!r} is of type {table[name].type} here and {kind} in the small table: cast one of them"
            )
    hits: list[list[int] | None] = list(map(found.get, _keys([table[name] for name in key_names])))
    if is_left:
        hits = [hit or [-1] for hit in hits]
    large: Any = range(len(table))
    if not all(hits):
        large, hits = list(compress(large, hits)), list(filter(None, hits))
    right = list(chain.from_iterable(hits))  # type: ignore[arg-type]
    if len(right) != len(hits):
        large = [at for at, hit in zip(large, hits, strict=True) for _ in hit]  # type: ignore[union-attr]
    kept = table if large == range(len(table)) else table.take(large)
    columns: dict[str, Any] = dict(kept.columns)
    types: dict[str, str] = {}
    for small_name, (kind, values) in rest.items():
        name = f"{small_name}{suffix}" if small_name in columns else small_name
        if name in columns:
            raise DataError(f"both tables have a column {name!r}: choose another suffix")
        columns[name], types[name] = [values[at] for at in right], kind
    return Table.of(columns, types)


def _keys(key_columns: list[Column]) -> list[Any]:
    """A key for each row; None where it is missing."""
    stored = [_stored(column) for column in key_columns]
    if len(stored) == 1:
        return stored[0]
    return [None if None in key else key for key in zip(*stored, strict=True)]


def _stored(column: Column) -> list[Any]:
    """The values as they are stored (dates as whole numbers), None for nulls."""
    return list(chain.from_iterable(vector.raw() for vector in column.vectors))


def _family(kind: str) -> str:
    """Types whose stored values compare."""
    for family in ("string", "binary"):
        if kind.removeprefix("large_") == family:
            return family
    return "number" if kind.startswith(("int", "uint", "float")) else kind
