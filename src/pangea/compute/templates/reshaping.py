"""Columns become rows, and rows columns: `melt`, and a frame with a column for each value of another (`pivot`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.client.submission.submit import submit_job
from pangea.compute.data import Column, DataError, Table
from pangea.compute.model.errors import ManifestError, ResultError
from pangea.compute.templates.aggregates import AGGREGATES
from pangea.compute.templates.checks import choice, columns
from pangea.compute.templates.groups import group_by
from pangea.compute.templates.summaries import indexable

#: Cells of the rectangle, empty ones among them: how many there are follows from the values, not from the rows.
_CELLS_MAX: Final = 50_000_000


def melt(
    id_vars: str | Sequence[str] = (),
    value_vars: str | Sequence[str] | None = None,
    *,
    var_name: str = "variable",
    value_name: str = "value",
) -> JobDefinition:
    """Make rows of columns: all values of the first of them, then those of the next.

    Args:
        id_vars: columns whose values stand beside each.
        value_vars: the columns that become rows; None for all others.
        var_name: of the column that says which column it was.
        value_name: of the column of the values.

    Returns:
        A job from a table to a table. All of it goes through one sandbox in the end. It fails where the columns aren't of one
        type, nor all of numbers (then they get the type that holds them all).

    Raises:
        ManifestError: a column is named twice.
    """
    kept = tuple(columns("id_vars", id_vars, least=0))
    chosen = None if value_vars is None else tuple(columns("value_vars", value_vars))
    names = tuple(columns("var_name and value_name", [*kept, var_name, value_name]))[len(kept) :]

    @Job.define(name="melt", split_strategy="arrow_batches")
    def job() -> None:
        @Job.execute(input="table", output="table")
        def execute(table: Table) -> Table:
            return table

        @Job.merge(output="table")
        def merge(results: list[Table]) -> Table:
            return melted(Table.concat(results), kept, chosen, names)

    return job


def pivot(
    data: Any,
    index: str | Sequence[str],
    column: str,
    values: str | None = None,
    aggregate: str = "mean",
    **submit_options: Any,
) -> Any:
    """Sum up a column by the values of others, one of which becomes columns: pandas' `pivot_table`, or its `crosstab`.

    Args:
        data: a table; anything `submit_job` takes for one.
        index: the columns whose values are the rows.
        column: the column whose values become columns.
        values: the column that is summed up; None to count the rows.
        aggregate: what is made of it, as of `group_by`.
        submit_options: keywords of `submit_job`.

    Returns:
        A pandas frame with the rows and the columns in order; what no row of the data says is missing (of counts 0). Rows and
        columns without any figure are left out, and so are rows of the data whose key is missing.

    Raises:
        ManifestError: an option is out of range, or a column is named twice.
        JobFailedError: there is no such column, or it has no such figure.
        ResultError: the frame would have more than 50 million cells.
    """
    rows = columns("index", index)
    (across,) = columns("column", [column])
    if across in rows or values in (*rows, across):
        raise ManifestError(f"index, column and values are {rows}, {across!r}, {values!r}: one is named twice", field="column")
    figure = choice("aggregate", aggregate, AGGREGATES)
    if values is None:
        size = next(each for each in ("count", "rows", "size", "number") if each not in (*rows, across))
        found = submit_job(group_by([*rows, across], {}, size=size), data, **submit_options).as_frame()
        return _across(found, rows, across, size, 0)
    (name,) = columns("values", [values])
    found = submit_job(group_by([*rows, across], {name: [figure]}), data, **submit_options).as_frame()
    return _across(found, rows, across, f"{name}_{figure}", 0 if figure == "count" else None)


def _across(found: Any, rows: list[str], across: str, figure: str, blank: int | None) -> Any:
    """The figures as a rectangle."""
    known = indexable(found[found[figure].notna()], [*rows, across, figure])
    height, width = len(known[rows].drop_duplicates()), known[across].nunique()
    if height * width > _CELLS_MAX:
        raise ResultError(
            f"the frame would have {height:,} rows and {width:,} columns: {height * width:,} cells; {_CELLS_MAX:,} are the most",
            hint="use group_by, which has a row for each figure that there is, or make the values of the columns fewer",
        )
    wide = known.pivot(index=rows if len(rows) > 1 else rows[0], columns=across, values=figure)
    wide = wide.sort_index(axis=1)  # where a category has no rows, pandas leaves the others as they came
    return wide if blank is None else wide.fillna(blank).astype("int64")


# What follows runs in the sandbox.


def melted(table: Table, kept: Sequence[str], chosen: Sequence[str] | None, names: Sequence[str]) -> Table:
    """Columns one below the other, each beside the columns that are kept."""
    others = [name for name in table.names if name not in kept] if chosen is None else chosen
    rows = range(len(table))
    places = [*rows] * len(others)
    made: dict[str, Any] = {name: table[name].take(places) for name in kept}
    variable, value = names
    labels = [name for name in others for _ in rows]
    values = [table[name].named(value) for name in others]
    below = Table.of({variable: labels}, {variable: "string"})
    return Table.of({**made, **below.columns, value: _one_below_the_other(others, values, value)})


def _one_below_the_other(names: Sequence[str], values: list[Column], name: str) -> Any:
    """One column of several: of their type, or of one that holds the numbers of all."""
    import numpy as np

    if not values:
        return Table.of({name: []}, {name: "null"})[name]
    kinds = {each.type for each in values}
    if len(kinds) > 1:
        if not all(kind.startswith(("int", "uint", "float")) for kind in kinds):
            told = ", ".join(f"{each!r} {column.type}" for each, column in zip(names, values, strict=True))
            raise DataError(
                f"columns of different types can't be one below the other: {told}: cast them, or name some (value_vars)"
            )
        kind = np.result_type(*sorted(kinds)).name
        values = [each.astype(kind) for each in values]
    return Table.concat([Table.of({name: each}) for each in values])[name]
