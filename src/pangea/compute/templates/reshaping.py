"""A frame with a row for each value of some columns, and a column for each value of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pangea.compute.client.submission.submit import submit_job
from pangea.compute.model.errors import ManifestError
from pangea.compute.templates.checks import choice, columns
from pangea.compute.templates.groups import AGGREGATES, group_by


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
    known = found[found[figure].notna()]
    wide = known.pivot(index=rows if len(rows) > 1 else rows[0], columns=across, values=figure)
    return wide if blank is None else wide.fillna(blank).astype("int64")
