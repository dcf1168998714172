"""Ready jobs that keep some of a table's rows: those that a function likes, or the first of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.data import Column, Table
from pangea.compute.templates.checks import check_callable, columns


def filter_rows(function: Callable[[dict[str, Any]], Any]) -> JobDefinition:
    """Keep the rows for which a function is true; their types and columns stay, also where none is left.

    Args:
        function: from a row, a dict, to what is true or false; None is false.

    Returns:
        A job from a table to a table, in order.

    Raises:
        JobDefinitionError: `function` isn't callable.
    """
    check_callable("function", function, "one row")
    chosen_by = function

    def filter_rows_execute(chunk: Any) -> Any:
        return chunk[[bool(chosen_by(row)) for row in chunk.dicts()]]

    @Job.define(name="filter_rows", split_strategy="arrow_batches")
    def job() -> None:
        Job.execute(input="table", output="table")(filter_rows_execute)

    return job


def distinct(subset: str | Sequence[str] | None = None) -> JobDefinition:
    """Keep the first row of each: of those that are equal in some columns, or in all. NaN equals NaN, and null equals null.

    Args:
        subset: the columns that are compared; None for all.

    Returns:
        A job from a table to a table, in the order of the input. All of it goes through one sandbox in the end.

    Raises:
        ManifestError: a column is named twice.
    """
    names = None if subset is None else tuple(columns("subset", subset))

    @Job.define(name="distinct", split_strategy="arrow_batches")
    def job() -> None:
        @Job.execute(input="table", output="table")
        def execute(table: Table) -> Table:
            return first_of_each([table], names)

        @Job.merge(associative=True, output="table")
        def merge(results: list[Table]) -> Table:
            return first_of_each(results, names)

    return job


# What follows runs in the sandbox.


def first_of_each(tables: list[Table], names: tuple[str, ...] | None) -> Table:
    """The first row of each, in one record batch: equal rows are equal bytes."""
    table = Table.concat(tables)
    compared = [_compared(table[name]) for name in (names if names is not None else table.names)]
    firsts: dict[Any, int] = {}
    for place, key in enumerate(zip(*compared, strict=True)):
        firsts.setdefault(key, place)
    return table.take(list(firsts.values()))


def _compared(column: Column) -> list[Any]:
    """What is stored, with a mark for NaN, which isn't equal to itself."""
    column.comparable()
    values = column.stored()
    return [value if value == value else "NaN" for value in values] if column.type.startswith("float") else values
