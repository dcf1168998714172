"""A ready job that joins each row of a table with the nearest row of a small one, by time or by another number."""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.data import DataError, Table
from pangea.compute.data.categories import Categories
from pangea.compute.data.measures import NUMBER, column_scale
from pangea.compute.model.errors import ManifestError
from pangea.compute.templates.categories import described
from pangea.compute.templates.checks import choice, columns, flag, number
from pangea.compute.templates.joins import check_alike, free_name, packed, row_keys, small_table, unpacked
from pangea.compute.templates.windows import span_of

_DIRECTIONS = ("backward", "forward", "nearest")


def join_asof(
    small: Any,
    on: str,
    *,
    small_on: str | None = None,
    by: str | Sequence[str] | None = None,
    small_by: str | Sequence[str] | None = None,
    direction: Literal["backward", "forward", "nearest"] = "backward",
    tolerance: float | str | timedelta | None = None,
    allow_exact_matches: bool = True,
    suffix: str = "_right",
) -> JobDefinition:
    """Join each row with the last row of a small table that isn't after it (the first not before it, or the nearest one).

    Args:
        small: the small table: a frame, a dict of columns, a list of dicts, a file's path. Sorted by `small_on`, without nulls.
        on: the column to go by: numbers, dates, times or spans. The table itself may be in any order.
        small_on: the same of the small table, if it has another name there.
        by: columns that have to be equal.
        small_by: the same of the small table, if they have other names there.
        direction: where to look. Of two that are equally near, "nearest" is the earlier one.
        tolerance: how far away a row may be: a number, or a span of time such as "90s" or a timedelta.
        allow_exact_matches: whether an equal value counts.
        suffix: put behind the name of a small table's column that the large one has, too.

    Returns:
        A job from a table to a table: each row once, in order, with the small table's other columns behind; null where there is
        no row near enough, and where `on` is missing. One of `by` that is missing equals another, as to pandas.

    Raises:
        ManifestError: an option is out of range, or the small table has no such column, falls or has a null there.
        InputError: the small table can't be read, or is larger than 6 MiB, compressed.
    """
    ((key,), (small_key,)) = columns("on", [on]), columns("small_on", [on if small_on is None else small_on])
    groups = () if by is None else tuple(columns("by", by))
    small_groups = groups if small_by is None else tuple(columns("small_by", small_by))
    if len(groups) != len(small_groups):
        raise ManifestError(f"by has {len(groups)} columns and small_by has {len(small_groups)}", field="small_by")
    table = small_table(small)
    _check_names(table, (small_key, *small_groups), suffix)
    far = _tolerance(tolerance, _check_rises(table, small_key))
    small_text, names = packed(table), (small_key, small_groups)
    plan = (
        key,
        groups,
        choice("direction", direction, _DIRECTIONS),
        far,
        flag("allow_exact_matches", allow_exact_matches),
        suffix,
    )

    @Job.define(name="join_asof", split_strategy="arrow_batches")
    def job() -> None:
        @Job.execute(input="table", output="table")
        def execute(table: Table) -> Table:
            return nearest_joined(table, by_group(small_text, *names), plan)

    return job


def _check_names(table: Table, names: tuple[str, ...], suffix: Any) -> None:
    if not isinstance(suffix, str) or not suffix:
        raise ManifestError(f"suffix is {suffix!r:.80}; it must be some text", field="suffix")
    for name in names:
        if name not in table.columns:
            hint = f"it has {', '.join(map(repr, table.names))}"
            raise ManifestError(f"the small table has no column {name!r}", hint=hint, field="small_on")


def _check_rises(table: Table, name: str) -> str:
    """The kind of the small table's values; an error if they fall, or if one is missing."""
    try:
        kind = column_scale(name, table[name].type).kind
    except DataError as error:
        raise ManifestError(f"the small table's {error}", field="small_on") from error
    values = row_keys([table[name]])
    if None in values:
        raise ManifestError(
            f"the small table's column {name!r}, row {values.index(None):,}: a value is missing", field="small_on"
        )
    falls = next((row for row in range(1, len(values)) if values[row] < values[row - 1]), None)
    if falls is not None:
        raise ManifestError(
            f"the small table's column {name!r} falls at row {falls:,}", hint="sort the small table by it first", field="small_on"
        )
    return kind


def _tolerance(given: Any, kind: str) -> float | None:
    """In the units that keys have: nanoseconds, or the number itself."""
    if given is None:
        return None
    if isinstance(given, str | timedelta) != (kind != NUMBER):
        wanted = "a number" if kind == NUMBER else "a span of time such as '90s'"
        raise ManifestError(f"tolerance is {given!r:.80}; for a column of this type it must be {wanted}", field="tolerance")
    return number("tolerance", given, 0.0, float("inf")) if kind == NUMBER else span_of("tolerance", given)


# What follows runs in the sandbox.

#: The small table, and for each group its values, rising, and the positions of their rows.
Sides = tuple[Table, dict[Any, tuple[list[Any], list[int]]], str, tuple[str, ...]]
Plan = tuple[str, tuple[str, ...], str, float | None, bool, str]


@functools.lru_cache(maxsize=1)
def by_group(text: str, key: str, groups: tuple[str, ...]) -> Sides:
    """The small table, unpacked: once for all chunks of a task."""
    table = unpacked(text)
    found: dict[Any, tuple[list[Any], list[int]]] = {}
    group_keys: Sequence[Any] = row_keys([table[name] for name in groups]) if groups else [()] * len(table)
    for place, (value, group) in enumerate(zip(row_keys([table[key]]), group_keys, strict=True)):
        values, places = found.setdefault(group, ([], []))
        values.append(value)
        places.append(place)
    return table, found, key, groups


def nearest_joined(table: Table, sides: Sides, plan: Plan) -> Table:
    """The rows of `table`, each with the row of the small one that is nearest."""
    key, groups, direction, far, is_exact, suffix = plan
    small, found, small_key, small_groups = sides
    for name, other in zip((key, *groups), (small_key, *small_groups), strict=True):
        check_alike(name, table[name].type, small[other].type)
    column_scale(key, table[key].type)
    group_keys: Sequence[Any] = row_keys([table[name] for name in groups]) if groups else [()] * len(table)
    hits = []
    for value, group in zip(row_keys([table[key]]), group_keys, strict=True):
        values, places = found.get(group, ([], []))
        hit = -1 if value is None else _nearest(values, value, direction, is_exact)
        is_near = hit >= 0 and (far is None or abs(values[hit] - value) <= far)
        hits.append(places[hit] if is_near else -1)
    columns: dict[str, Any] = dict(table.columns)
    types: dict[str, str] = {}
    known: dict[str, Categories | None] = {}
    for name, column in small.columns.items():
        if name not in (small_key, *small_groups) or (name == small_key != key):
            held = [*column.stored(), None]
            name = free_name(name, columns, suffix)  # noqa: PLW2901
            columns[name], types[name], known[name] = [held[hit] for hit in hits], column.type, column.known_categories
    return described(columns, types, known)


def _nearest(values: list[Any], value: Any, direction: str, is_exact: bool) -> int:
    """The position of the value to take, -1 if there is none."""
    before = (bisect_right if is_exact else bisect_left)(values, value) - 1
    after = (bisect_left if is_exact else bisect_right)(values, value)
    after = -1 if after == len(values) else after
    if direction != "nearest":
        return before if direction == "backward" else after
    if before < 0 or after < 0:
        return max(before, after)
    return before if value - values[before] <= values[after] - value else after
