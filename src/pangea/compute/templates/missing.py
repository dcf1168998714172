"""Ready jobs about what is missing in a table, null and NaN alike: fill it, or drop the rows that have it; as in pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.data import Column, DataError, Table
from pangea.compute.model.errors import ManifestError
from pangea.compute.templates.checks import choice, columns

#: Types whose values are stored as whole numbers, which stand for nothing by themselves.
_TIMES = ("date", "time", "duration")


def fillna(value: Any) -> JobDefinition:
    """Put a value wherever one is missing; the types of the columns stay.

    Args:
        value: for all columns that miss one; or a dict of a value for each column that is to be filled.

    Returns:
        A job from a table to a table, in order. It fails where a value isn't of its column's type, or none of its categories.

    Raises:
        ManifestError: `value` is itself missing, or a dict without columns.
    """
    chosen: dict[Any, Any] | None = dict(value) if isinstance(value, Mapping) else None
    if chosen is not None:
        columns("value", list(chosen))
    for each in (value,) if chosen is None else chosen.values():
        if each is None or each != each:  # NaN, NaT
            raise ManifestError(f"value is {each!r}, which is missing itself", field="value")
    for_all, by_column = (value, None) if chosen is None else (None, chosen)

    @Job.define(name="fillna", split_strategy="arrow_batches")
    def job() -> None:
        @Job.execute(input="table", output="table")
        def execute(table: Table) -> Table:
            return filled(table, dict.fromkeys(table.names, for_all) if by_column is None else by_column)

    return job


def dropna(subset: str | Sequence[str] | None = None, *, how: Literal["any", "all"] = "any") -> JobDefinition:
    """Drop rows in which values are missing.

    Args:
        subset: the columns that are looked at; None for all.
        how: whether any of them, or all, must be missing.

    Returns:
        A job from a table to a table, in order.

    Raises:
        ManifestError: an option is out of range.
    """
    names = None if subset is None else tuple(columns("subset", subset))
    enough = all if choice("how", how, ("any", "all")) == "all" else any

    @Job.define(name="dropna", split_strategy="arrow_batches")
    def job() -> None:
        @Job.execute(input="table", output="table")
        def execute(table: Table) -> Table:
            marks = [missing_in(table[name]) for name in (table.names if names is None else names)]
            return table[[not enough(row) for row in zip(*marks, strict=True)]] if marks else table

    return job


# What follows runs in the sandbox.


def missing_in(column: Column) -> list[bool]:
    """Of each value, whether it is missing."""
    return [value is None or value != value for value in column.stored()]


def filled(table: Table, values: Mapping[str, Any]) -> Table:
    """The table with a value wherever one of its column's is missing."""
    return Table.of({**table.columns, **{name: _filled(table[name], value) for name, value in values.items()}})


def _filled(column: Column, value: Any) -> Column:
    places = [place for place, is_missing in enumerate(missing_in(column)) if is_missing]
    if not places:
        return column
    stored = column.stored()
    (filler,) = _stored_as(column, value)
    for place in places:
        stored[place] = filler
    return column.made_of(stored, column.type).described_by(column.known_categories)


def _stored_as(column: Column, value: Any) -> list[Any]:
    """A value as the column has it."""
    hint = "give a dict of a value for each column that is to be filled"
    if column.categories is not None and value not in column.categories:
        raise DataError(f"column {column.name!r}: {value!r:.80} is none of its categories")
    if isinstance(value, int) and (
        column.type.startswith(("timestamp", *_TIMES)) or (isinstance(value, bool) != (column.type == "bool"))
    ):
        raise DataError(f"column {column.name!r} is of type {column.type}, and is to be filled with {value!r:.80}: {hint}")
    try:
        return column.plain().made_of([value], column.type).stored()
    except DataError as exc:
        raise DataError(f"{exc}: {hint}") from exc
