"""A frame with a row for each value of some columns, and a column for each value of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pangea.compute.client.submission.submit import submit_job
from pangea.compute.model.errors import ManifestError, ResultError
from pangea.compute.templates.aggregates import AGGREGATES
from pangea.compute.templates.checks import choice, columns
from pangea.compute.templates.groups import group_by
from pangea.compute.templates.summaries import indexable

#: Cells of the rectangle, empty ones among them: how many there are follows from the values, not from the rows.
_CELLS_MAX: Final = 50_000_000


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
