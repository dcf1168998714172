"""Ready jobs that look at rows beside a row: lags, differences, running sums, ranks, rolling windows; all as in pandas.

The order is that of the input (`sort` gives another), by group where one is asked for. A row without a group has no figure, but
that of itself: a shift by no rows.
All of the table goes through one sandbox in the end, so the outcome doesn't depend on where it was cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import accumulate
from math import inf, nan
from typing import Any, Literal

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.data import Column, DataError, Table
from pangea.compute.data.figures import raw_array
from pangea.compute.data.measures import INSTANT, NANOSECONDS, check_numbers, column_scale
from pangea.compute.model.errors import ManifestError
from pangea.compute.templates.categories import check_figures
from pangea.compute.templates.checks import choice, columns, flag, whole
from pangea.compute.templates.joins import row_keys

_ROWS_MAX = 1 << 31
_RANKS = ("average", "min", "max", "first", "dense")
_ROLLED = ("sum", "mean", "min", "max", "count", "std", "var")
_SPAN = re.compile(r"(\d*)\s*(W|D|h|min|s|ms|us|ns)")
_UNITS = {"min": "m"}


def shift(column: str, periods: int = 1, *, by: str | Sequence[str] | None = None, name: str | None = None) -> JobDefinition:
    """Add a column with the value of the row that is `periods` before (after, if it is negative); null at the edge.

    Args:
        column: its name; of any type, which stays.
        periods: how many rows.
        by: columns whose groups are shifted each by itself.
        name: of the new column; `{column}_shift` if None.

    Returns:
        A job from a table to the table with one column more.

    Raises:
        ManifestError: an option is out of range.
    """
    (given,) = columns("column", [column])
    return _added("shift", shifted, (given, whole("periods", periods, -_ROWS_MAX, _ROWS_MAX)), by, name or f"{given}_shift")


def diff(column: str, periods: int = 1, *, by: str | Sequence[str] | None = None, name: str | None = None) -> JobDefinition:
    """Add a column with what a value is more than that of the row `periods` before; null at the edge and beside null.

    Args:
        column: its name, of numbers or times. Whole numbers stay whole: int64, or unsigned as they are. Times give spans.
        periods: how many rows.
        by: columns whose groups are looked at each by itself.
        name: of the new column; `{column}_diff` if None.

    Returns:
        A job from a table to the table with one column more. It fails where a difference doesn't fit the type: where unsigned
        numbers fall, too.

    Raises:
        ManifestError: an option is out of range.
    """
    (given,) = columns("column", [column])
    return _added("diff", differing, (given, whole("periods", periods, -_ROWS_MAX, _ROWS_MAX)), by, name or f"{given}_diff")


def pct_change(column: str, periods: int = 1, *, by: str | Sequence[str] | None = None, name: str | None = None) -> JobDefinition:
    """Add a column with the part by which a value is more than that of the row `periods` before: 0.5 for half as much again.

    Args:
        column: its name, of numbers.
        periods: how many rows.
        by: columns whose groups are looked at each by itself.
        name: of the new column; `{column}_pct_change` if None.

    Returns:
        A job from a table to the table with one column of float64 more: null at the edge and beside null (nothing is filled),
        and where nought is divided by nought; infinite where something is.

    Raises:
        ManifestError: an option is out of range.
    """
    (given,) = columns("column", [column])
    plan = (given, whole("periods", periods, -_ROWS_MAX, _ROWS_MAX))
    return _added("pct_change", changing, plan, by, name or f"{given}_pct_change")


def cumsum(column: str, *, by: str | Sequence[str] | None = None, name: str | None = None) -> JobDefinition:
    """Add a column with the sum up to each row, missing values left out (and missing themselves).

    Args:
        column: its name, of numbers.
        by: columns whose groups are added up each by itself.
        name: of the new column; `{column}_cumsum` if None.

    Returns:
        A job from a table to the table with one column more: int64 of whole numbers, uint64 of unsigned ones (it fails beyond
        that), else float64.

    Raises:
        ManifestError: an option is out of range.
    """
    (given,) = columns("column", [column])
    return _added("cumsum", running, (given,), by, name or f"{given}_cumsum")


def rank(
    column: str,
    *,
    method: Literal["average", "min", "max", "first", "dense"] = "average",
    ascending: bool = True,
    pct: bool = False,
    by: str | Sequence[str] | None = None,
    name: str | None = None,
) -> JobDefinition:
    """Add a column with the place of each value among all, from 1; a missing value has none.

    Args:
        column: its name; of any type that has an order.
        method: what equal values get: the average, the lowest or the highest of their places, places in the order of the input,
            or one place without a gap behind it.
        ascending: whether the least value is the first.
        pct: whether places are given as parts of the last one.
        by: columns whose groups are ranked each by itself.
        name: of the new column; `{column}_rank` if None.

    Returns:
        A job from a table to the table with one column of float64 more.

    Raises:
        ManifestError: an option is out of range.
    """
    (given,) = columns("column", [column])
    plan = (given, choice("method", method, _RANKS), flag("ascending", ascending), flag("pct", pct))
    return _added("rank", ranked, plan, by, name or f"{given}_rank")


def rolling(
    column: str,
    window: int | str | timedelta,
    aggregate: Literal["sum", "mean", "min", "max", "count", "std", "var"] = "mean",
    *,
    on: str | None = None,
    min_periods: int | None = None,
    by: str | Sequence[str] | None = None,
    name: str | None = None,
) -> JobDefinition:
    """Add a column with a figure of the window that ends at each row.

    Args:
        column: its name, of numbers. Missing values and infinities are left out, as in pandas, which counts infinities.
        window: how many rows; or a span of time (`"7D"`, `"90min"`, a timedelta) of the column `on`: then rows later than the
            row's time less the span.
        aggregate: the figure; std and var are divided by one less than the count.
        on: a column of dates or times that rises, without a null.
        min_periods: how many values a window must have (to count them: rows); else null. None for as many as `window` says,
            or for 1, of a span.
        by: columns whose groups have windows of their own.
        name: of the new column; `{column}_{aggregate}` if None.

    Returns:
        A job from a table to the table with one column of float64 more. It fails if `on` falls, or isn't of times.

    Raises:
        ManifestError: an option is out of range.
    """
    (given,) = columns("column", [column])
    figure = choice("aggregate", aggregate, _ROLLED)
    rows, span = _window(window, on)
    least = (rows or 1) if min_periods is None else whole("min_periods", min_periods, 0, rows or _ROWS_MAX)
    return _added("rolling", rolled, (given, rows, span, on, figure, least), by, name or f"{given}_{figure}")


def span_of(name: str, value: Any) -> int:
    """Nanoseconds of a span of time: `"7D"`, a timedelta.

    Raises:
        ManifestError: it is none, or not above 0.
    """
    found = 0
    if isinstance(value, timedelta):
        found = value // timedelta(microseconds=1) * 1000
    elif isinstance(value, str) and (parts := _SPAN.fullmatch(value)):
        found = int(parts[1] or 1) * NANOSECONDS[_UNITS.get(parts[2], parts[2])]
    if found <= 0:
        raise ManifestError(
            f"{name} is {value!r:.80}; it must be a span of time above 0: a number and W, D, h, min, s, ms, us or ns",
            field=name,
        )
    return found


def _window(window: Any, on: Any) -> tuple[int, int]:
    """Rows of a window, or nanoseconds; the other is 0."""
    if on is None:
        if isinstance(window, str | timedelta):
            raise ManifestError(f"window is {window!r:.80}, a span of time: of which column? give on=", field="on")
        return whole("window", window, 1, _ROWS_MAX), 0
    columns("on", [on])
    return 0, span_of("window", window)


#: From a table, a plan and the positions of each group's rows to the column that is added, by whatever name.
Figure = Callable[[Table, Any, list[Sequence[int]]], Column]


def _added(kind: str, figure: Figure, plan: Any, by: Any, name: str) -> JobDefinition:
    keys = () if by is None else tuple(columns("by", by))
    (added,) = columns("name", [name])
    made_by = figure

    @Job.define(name=kind, split_strategy="arrow_batches")
    def job() -> None:
        @Job.execute(input="table", output="table")
        def execute(table: Table) -> Table:
            return table

        @Job.merge(output="table")
        def merge(results: list[Table]) -> Table:
            return with_figure(Table.concat(results), made_by, (plan, keys, added))

    return job


# What follows runs in the sandbox.


def with_figure(table: Table, figure: Figure, how: tuple[Any, tuple[str, ...], str]) -> Table:
    """The table with one column more."""
    plan, by, name = how
    if name in table:
        raise DataError(f"the table has a column {name!r} already: give another name=")
    column = figure(table, plan, groups_of(table, by))
    return Table.of({**table.columns, name: column.named(name)})


def groups_of(table: Table, by: Sequence[str]) -> list[Sequence[int]]:
    """The positions of each group's rows, in order; those of rows without a key are in none."""
    if not by:
        return [range(len(table))]
    found: dict[Any, list[int]] = {}
    for place, key in enumerate(row_keys([table[name] for name in by])):
        if None not in (key if type(key) is tuple else (key,)):
            found.setdefault(key, []).append(place)
    return list(found.values())


def shifted(table: Table, plan: tuple[str, int], groups: list[Sequence[int]]) -> Column:
    """The values of other rows."""
    name, periods = plan
    column: Column = table[name]
    if not periods:
        return column  # rows without a key, too, as in pandas
    stored = column.stored()
    moved: list[Any] = [None] * len(stored)
    for places in groups:
        for index, place in enumerate(places):
            if 0 <= index - periods < len(places):
                moved[place] = stored[places[index - periods]]
    return column.made_of(moved, column.type).described_by(column.known_categories)


def differing(table: Table, plan: tuple[str, int], groups: list[Sequence[int]]) -> Column:
    """The values less those of other rows."""
    name, _ = plan
    check_figures(table[name], ["diff"])
    if table[name].type == "bool":
        return _changes(table, plan, groups)
    is_narrow = table[name].type in ("int8", "int16", "int32")  # whose differences may not fit, and fit into 64 bits
    column: Column = table[name].astype("int64") if is_narrow else table[name]
    before = shifted(table, plan, groups)
    try:
        difference: Column = column - (before.astype("int64") if is_narrow else before)
    except TypeError as exc:
        raise DataError(str(exc)) from exc
    except DataError as exc:
        if not (column.type.startswith("uint") and "don't fit" in str(exc)):
            raise
        raise DataError(
            f"column {name!r} falls, and type {column.type} has nothing below zero (where pandas begins again at the top):"
            " cast it first, x.astype('int64')"
        ) from exc
    return difference


def _changes(table: Table, plan: tuple[str, int], groups: list[Sequence[int]]) -> Column:
    """Where truth values are others than those of other rows: their difference in pandas."""
    column: Column = table[plan[0]]
    pairs = zip(column.tolist(), shifted(table, plan, groups).tolist(), strict=True)
    return column.made_of([None if one is None or other is None else one != other for one, other in pairs], "bool")


def changing(table: Table, plan: tuple[str, int], groups: list[Sequence[int]]) -> Column:
    """The values by those of other rows, less 1."""
    import numpy as np

    name, _ = plan
    check_numbers(table, name)
    column: Column = table[name]
    check_figures(column, ["pct_change"])
    pairs = zip(column.tolist(), shifted(table, plan, groups).tolist(), strict=True)
    known = [(nan, nan) if value is None or before is None else (float(value), float(before)) for value, before in pairs]
    values, others = np.array(known, "f8").reshape(-1, 2).T
    with np.errstate(all="ignore"):
        parts = (values / others - 1).tolist()
    return column.made_of([None if part != part else part for part in parts], "float64")


def running(table: Table, plan: tuple[str], groups: list[Sequence[int]]) -> Column:
    """Sums up to each row."""
    (name,) = plan
    check_numbers(table, name)
    column: Column = table[name]
    check_figures(column, ["cumsum"])
    kind = "float64" if column.type.startswith("float") else "uint64" if column.type.startswith("uint") else "int64"
    values, sums = column.tolist(), list[Any]([None] * len(column))
    for places in groups:
        there = [place for place in places if values[place] is not None and values[place] == values[place]]
        for place, total in zip(there, accumulate(values[place] for place in there), strict=True):
            sums[place] = total
    return column.made_of(sums if kind == "float64" else [None if each is None else int(each) for each in sums], kind)


def ranked(table: Table, plan: tuple[str, str, bool, bool], groups: list[Sequence[int]]) -> Column:
    """Places among all values."""
    name, method, rises, is_part = plan
    column: Column = table[name]
    values = (column if column.is_ordered else column.plain()).comparable()  # pandas ranks categories without an order by value
    ranks: list[float | None] = [None] * len(values)
    for places in groups:
        there = sorted([place for place in places if values[place] is not None], key=values.__getitem__, reverse=not rises)
        start, dense = 0, 0
        while start < len(there):
            stop = start + 1
            while stop < len(there) and values[there[stop]] == values[there[start]]:
                stop += 1
            dense += 1
            for index in range(start, stop):
                ranks[there[index]] = float(_place(method, start, stop, index, dense))
            start = stop
        if is_part:
            last = dense if method == "dense" else len(there)
            for place in there:
                ranks[place] = (ranks[place] or 0.0) / last
    return column.made_of(ranks, "float64")


def _place(method: str, start: int, stop: int, index: int, dense: int) -> float:
    """The place, from 1, of a value among equal ones that are at `start` to `stop`."""
    return {"average": (start + 1 + stop) / 2, "min": start + 1, "max": stop, "first": index + 1, "dense": dense}[method]


def rolled(table: Table, plan: tuple[str, int, int, str | None, str, int], groups: list[Sequence[int]]) -> Column:
    """Figures of windows."""
    import numpy as np

    name, rows, span, on, aggregate, least = plan
    check_numbers(table, name)
    column: Column = table[name]
    check_figures(column, ["rolling"])
    held, missing = raw_array(column)
    values = held.astype("f8")
    is_there = ~np.isnan(values) if aggregate == "count" else np.isfinite(values)  # pandas counts infinities
    is_there = is_there if missing is None else is_there & ~missing
    times = _rising(table, on) if on is not None else None
    found = np.full(len(values), nan)
    for places in groups:
        chosen = np.asarray(places, "i8")
        starts = np.maximum(np.arange(len(chosen)) - rows + 1, 0)
        if times is not None:
            here = times[chosen]
            _check_rises(here, on)
            starts = np.searchsorted(here, here - span, side="right")
        if len(chosen):
            found[chosen] = _figures(values[chosen], is_there[chosen], starts, aggregate, least)
    figures = [None if value != value else value for value in found.tolist()]
    return column.made_of(figures, "float64")


def _rising(table: Table, on: str) -> Any:
    """Times as nanoseconds."""
    import numpy as np

    scale = column_scale(on, table[on].type)
    if scale.kind != INSTANT:
        raise DataError(f"column {on!r} is of type {table[on].type}: windows of a span of time are on dates or times")
    stored = table[on].stored()
    if None in stored:
        raise DataError(f"column {on!r}, row {stored.index(None):,}: a time is missing; leave such rows out first")
    ends = [value * scale.nanoseconds for value in (min(stored, default=0), max(stored, default=0))]
    if not -(1 << 62) < ends[0] <= ends[1] < 1 << 62:
        raise DataError(f"column {on!r} has times that don't fit into nanoseconds of 64 bits")
    return np.asarray(stored, "i8") * scale.nanoseconds


def _check_rises(times: Any, on: str | None) -> None:
    if (times[1:] < times[:-1]).any():
        raise DataError(f"column {on!r} falls: sort the table by it first")


def _figures(values: Any, is_there: Any, starts: Any, aggregate: str, least: int) -> Any:
    """A figure of the values from each of `starts` to the row itself; NaN where there are fewer than `least` of them."""
    import numpy as np

    counts = _reduced(np.add, is_there.astype("f8"), 0.0, starts)
    if aggregate in ("min", "max"):
        blank, best = (inf, np.minimum) if aggregate == "min" else (-inf, np.maximum)
        found = _reduced(best, np.where(is_there, values, blank), blank, starts)
    elif aggregate == "count":
        found = counts
    elif aggregate in ("sum", "mean"):
        found = _reduced(np.add, np.where(is_there, values, 0.0), 0.0, starts)
    else:
        found = _variances(values, is_there, starts)
    with np.errstate(all="ignore"):
        found = found / counts if aggregate == "mean" else np.sqrt(found) if aggregate == "std" else found
    if aggregate == "count":  # what it counts may all be missing: as in pandas, rows are enough
        return np.where(np.arange(1, len(starts) + 1) - starts >= least, found, nan)
    return np.where(counts >= max(least, 0 if aggregate == "sum" else 1), found, nan)


def _reduced(function: Any, values: Any, blank: float, starts: Any) -> Any:
    """`function` of each window; each ends at its own row."""
    import numpy as np

    edges = np.empty(2 * len(starts), "i8")
    edges[::2], edges[1::2] = starts, np.arange(1, len(starts) + 1)
    return function.reduceat(np.append(values, blank), edges.astype(np.intp))[::2]


def _variances(values: Any, is_there: Any, starts: Any) -> Any:
    """Sums of squared distances from the mean, by the count less one: in two passes, about a value of the window."""
    import numpy as np

    found = np.full(len(starts), nan)
    for row, start in enumerate(starts.tolist()):
        window = values[start : row + 1][is_there[start : row + 1]]
        if len(window) > 1:
            about = window - window[0]
            found[row] = ((about - about.mean()) ** 2).sum() / (len(window) - 1)
    return found
