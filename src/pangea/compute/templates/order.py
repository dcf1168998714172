"""Ready jobs that put rows in order: all of them, or the first few.

Sorting is stable: rows that compare equal stay in the order of the input. Nulls and NaN come last, in either direction.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Any

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.data import DataError, Table
from pangea.compute.model.errors import ManifestError
from pangea.compute.templates.checks import columns, flag, whole

_ROWS_MAX = 1 << 31
#: Column names with whether they fall, the most important one first.
Order = tuple[tuple[str, bool], ...]


def sort(by: str | Sequence[str] | None = None, *, descending: bool | Iterable[bool] = False) -> JobDefinition:
    """Sort the rows of a table, or the numbers of an array.

    Args:
        by: the columns to sort by, the most important one first; None for an array of one axis.
        descending: whether the largest come first; for all columns, or for each.

    Returns:
        A job whose result is the table (or the array), sorted. All of it goes through one sandbox in the end: limits.memory and
        limits.result bound its size.

    Raises:
        ManifestError: a column is named twice, or `descending` isn't one for each.
    """
    if by is None:
        return _sort_array(flag("descending", descending))
    order = _order(by, descending)

    @Job.define(name="sort", split_strategy="arrow_batches")
    def job() -> None:
        @Job.execute(input="table", output="table")
        def execute(table: Table) -> Table:
            return sorted_rows(table, order)

        @Job.merge(associative=True, output="table")
        def merge(results: list[Table]) -> Table:
            return sorted_rows(Table.concat(results), order)

    return job


def top_k(count: int, by: str | Sequence[str], *, descending: bool | Iterable[bool] = True) -> JobDefinition:
    """Take the first rows in order: of `descending`, those with the largest values.

    Args:
        count: how many rows.
        by: the columns to order by, the most important one first.
        descending: as for `sort`.

    Returns:
        A job whose result is a table of at most `count` rows, in order; what `sort` gives, cut off.

    Raises:
        ManifestError: `count` is out of range, a column is named twice, or `descending` isn't one for each.
    """
    order, first = _order(by, descending), whole("count", count, 1, _ROWS_MAX)

    @Job.define(name="top_k", split_strategy="arrow_batches")
    def job() -> None:
        @Job.execute(input="table", output="table")
        def execute(table: Table) -> Table:
            return first_rows(table, order, first)

        @Job.merge(associative=True, output="table")
        def merge(results: list[Table]) -> Table:
            return first_rows(Table.concat(results), order, first)

    return job


def _sort_array(is_falling: bool) -> JobDefinition:
    @Job.define(name="sort", split_strategy="npy_rows")
    def job() -> None:
        @Job.execute(input="array", output="array")
        def execute(array: Any) -> Any:
            return sorted_items([array], is_falling)

        @Job.merge(associative=True, output="array")
        def merge(results: list[Any]) -> Any:
            return sorted_items(results, is_falling)

    return job


def _order(by: Any, descending: Any) -> Order:
    names = columns("by", by)
    falls = (
        list(descending) if isinstance(descending, Iterable) and not isinstance(descending, str) else [descending] * len(names)
    )
    if len(falls) != len(names):
        raise ManifestError(
            f"descending has {len(falls)} values; give True, False, or one of those for each of {len(names)} columns",
            field="descending",
        )
    return tuple((name, flag("descending", falls_here)) for name, falls_here in zip(names, falls, strict=True))


# What follows runs in the sandbox.


def sorted_rows(table: Table, order: Order, count: int | None = None) -> Table:
    """The rows in order, or the first of them, in one record batch: equal rows are equal bytes."""
    positions: Sequence[int] = range(len(table))
    for name, is_falling in reversed(order):
        values = table[name].comparable()
        there = sorted([at for at in positions if values[at] is not None], key=values.__getitem__, reverse=is_falling)
        positions = [*there, *(at for at in positions if values[at] is None)] if len(there) < len(table) else there
    return table.take(positions[:count])


def first_rows(table: Table, order: Order, count: int) -> Table:
    """The first rows in order."""
    (name, is_falling), more = order[0], order[1:]
    values = table[name].comparable()
    if more or None in values:
        return sorted_rows(table, order, count)
    best = heapq.nlargest if is_falling else heapq.nsmallest  # both keep the order of equal ones
    return table.take(best(count, range(len(table)), key=values.__getitem__))


def sorted_items(arrays: list[Any], is_falling: bool) -> Any:
    """The items of all arrays in order, NaN and NaT last; complex numbers by their real parts first, as NumPy has them."""
    for array in arrays:
        if array.ndim != 1:
            raise DataError(f"an array of shape {array.shape} can't be sorted: give one of one axis, or a table and its columns")
    import numpy as np

    whole = np.concatenate(arrays)
    found = np.sort(whole, kind="stable")
    if is_falling:
        is_missing = whole != whole if whole.dtype.names is None else np.zeros(len(whole), bool)
        there = whole[~is_missing]  # backwards and back: equal ones stay as they were
        found = np.concatenate([np.sort(there[::-1], kind="stable")[::-1], np.sort(whole[is_missing], kind="stable")])
    return found.astype(whole.dtype.newbyteorder(arrays[0].dtype.byteorder), copy=False)
