"""A ready job that sums up rows by equal spans of time, those without a row included, by the clock of the column's zone."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.data import Column, DataError, Table
from pangea.compute.data.measures import INSTANT, NANOSECONDS, column_scale
from pangea.compute.data.zones import zone_of
from pangea.compute.model.errors import ManifestError
from pangea.compute.templates.aggregates import Wanted, wanted_aggregates
from pangea.compute.templates.calendars import Calendar, calendar_of, period_after, period_of
from pangea.compute.templates.categories import described
from pangea.compute.templates.checks import columns
from pangea.compute.templates.groups import grouped, merged
from pangea.compute.templates.windows import span_of

_BINS_MAX = 10_000_000
_DAYS = re.compile(r"(\d*)\s*D")
_BLANKS: dict[str, int | bool] = {"count": 0, "sum": 0, "any": False, "all": True}
_UNITS = ("s", "ms", "us", "ns")


def resample(
    rule: str | timedelta, on: str, aggregates: Mapping[str, str | Sequence[str]], *, size: str | None = None
) -> JobDefinition:
    """Sum up the rows of each span of time, from that of the first row to that of the last one.

    Args:
        rule: how long a span is: `"15min"`, `"6h"`, `"1D"`, a timedelta; or a period of the calendar, as pandas names it: `"W"`
            and `"W-MON"` (weeks that end on Sunday, on Monday), `"MS"` and `"ME"` (months), `"QS"`, `"QE"`, `"YS"`, `"YE"`, with
            a month behind, if need be (`"QS-FEB"`), or several of these (`"2W"`, `"6MS"`), counted from that of the first row.
            Days and periods are by the clock of the column's zone, however many hours they have; other spans are counted from
            midnight of the first row's day, and the hour that a clock repeats in autumn is two.
        on: the column of dates or times. Rows where it is missing are left out.
        aggregates: what to make of each column, as for `group_by`.
        size: name of a column with the number of rows of each span; None for none.

    Returns:
        A job from a table to a table of one row a span, in order: `on`, when the span begins (of weeks, and of periods that are
        called by their end, their last day), then `{column}_{aggregate}`, then `size`. Of a span without rows counts and sums are
        0, and other figures null. The columns that are named go through one sandbox in the end.

    Raises:
        ManifestError: an option is out of range, a column is named twice, or there is nothing to make.
    """
    (name,) = columns("on", [on])
    days = int(match[1] or 1) if isinstance(rule, str) and (match := _DAYS.fullmatch(rule)) else 0
    calendar = calendar_of(rule)
    span = 0 if calendar else span_of("rule", rule)
    wanted = wanted_aggregates(aggregates)
    names = [name, *(f"{each}_{what}" for each, whats in wanted for what in whats), *([size] if size is not None else [])]
    if len(names) == 1 or len({*names}) < len(names):
        raise ManifestError(f"the result's columns would be {', '.join(names)}: no figures, or one twice", field="aggregates")
    kept = tuple(dict.fromkeys((name, *(each for each, _ in wanted))))
    plan = (name, span, calendar or days, wanted, size)

    @Job.define(name="resample", split_strategy="arrow_batches")
    def job() -> None:
        @Job.execute(input="table", output="table")
        def execute(table: Table) -> Table:
            return table.select(*kept)

        @Job.merge(output="table")
        def merge(results: list[Table]) -> Table:
            return resampled(Table.concat(results), plan)

    return job


# What follows runs in the sandbox.

#: The column of times; nanoseconds of a span; instead days of one, or periods of the calendar; the figures; the column of sizes.
Plan = tuple[str, int, int | Calendar, Wanted, str | None]


def resampled(table: Table, plan: Plan) -> Table:
    """A row for each span."""
    name, span, by_date, wanted, size = plan
    column = table[name]
    scale = column_scale(name, column.type)
    if scale.kind != INSTANT:
        raise DataError(f"column {name!r} is of type {column.type}: spans of time are of dates or times")
    stored = column.stored()
    places = [place for place, value in enumerate(stored) if value is not None]
    has_order = any(what in ("first", "last") for _, whats in wanted for what in whats)
    if has_order:
        places.sort(key=stored.__getitem__)  # as in pandas, by time and then as they come
    times = [stored[place] * scale.nanoseconds for place in places]
    kept = table if len(places) == len(stored) and not has_order else table.take(places)
    zone = zone_of(column.kind.zone) if column.kind.zone else UTC
    try:
        bins, edges = _by_dates(times, by_date, zone) if by_date else _by_span(times, span, zone)
    except (OverflowError, ValueError) as exc:
        if isinstance(exc, DataError):
            raise
        raise DataError(f"column {name!r} has times whose spans reach beyond the years 1 to 9999: leave such rows out") from exc
    key = "\0bin"
    numbered = Table.of({key: bins, **kept.columns}, {key: "int64"})
    figures = ((key,), wanted, size, False, 1)
    found = merged([grouped(numbered, figures)], figures)
    starts = _starts(column, edges, scale.nanoseconds)
    blanks = {f"{each}_{what}": _BLANKS[what] for each, whats in wanted for what in whats if what in _BLANKS}
    return _with_empty(found, starts.named(name), key, blanks | ({size: 0} if size is not None else {}))


def _by_span(times: list[int], span: int, zone: tzinfo) -> tuple[list[int], list[int]]:
    """The number of each time's span, and when spans begin: counted from midnight of the first day."""
    if not times:
        return [], []
    first = min(times)
    start = first - (first - _midnight(_day_of(first, zone), zone)) % span
    count = _checked((max(times) - start) // span + 1)
    return [(value - start) // span for value in times], [start + index * span for index in range(count)]


def _by_dates(times: list[int], by_date: int | Calendar, zone: tzinfo) -> tuple[list[int], list[int]]:
    """Likewise, of so many days of the calendar, or of its periods."""
    if not times:
        return [], []
    dates = _days_of(times, zone)
    first, last = min(dates), max(dates)
    names = _each_days(first, last, by_date) if isinstance(by_date, int) else _each_period(first, last, by_date)
    starts = [_midnight(name, zone) for name in names]
    edges = list(dict.fromkeys(starts))  # a day that a zone has left out begins with the next one
    place = {start: index for index, start in enumerate(edges)}
    number = {name: place[start] for name, start in zip(names, starts, strict=True)}
    if isinstance(by_date, int):
        of_day = {day: number[names[(day - first).days // by_date]] for day in set(dates)}
    else:
        of_day = {day: number[_name_in(names, period_of(day, by_date), by_date)] for day in set(dates)}
    return [of_day[day] for day in dates], edges


def _days_of(times: list[int], zone: tzinfo) -> list[date]:
    """The day of each instant: asked once for a quarter of an hour, unless the day or the clock changes within it.

    Either may: zones were ahead by 19 minutes and 32 seconds, and clocks have gone back a minute after midnight.
    """
    known: dict[int, date | None] = {}
    quarter, second = 15 * NANOSECONDS["m"], NANOSECONDS["s"]
    dates = []
    for value in times:
        at = value // quarter
        if at not in known:
            first, last = _clock(at * quarter, zone), _clock((at + 1) * quarter - second, zone)
            is_one = (first.date(), first.utcoffset()) == (last.date(), last.utcoffset())
            known[at] = first.date() if is_one else None
        dates.append(known[at] or _day_of(value, zone))
    return dates


def _each_days(first: date, last: date, days: int) -> list[date]:
    count = _checked((last - first).days // days + 1)
    return [first + timedelta(index * days) for index in range(count)]


def _each_period(first: date, last: date, calendar: Calendar) -> list[date]:
    names, end = [period_of(first, calendar)], period_of(last, calendar)
    while names[-1] < end:
        names.append(period_after(names[-1], calendar))
    return names


def _name_in(names: list[date], name: date, calendar: Calendar) -> date:
    """What the periods with a single one among them are called by: the next name if that is their end, else the last one."""
    return names[bisect_left(names, name) if calendar[1] else bisect_right(names, name) - 1]


def _checked(count: int) -> int:
    if count > _BINS_MAX:
        raise DataError(f"there would be {count:,} spans of time; {_BINS_MAX:,} are the most: take longer ones")
    return count


def _day_of(nanoseconds: int, zone: tzinfo) -> date:
    """The day of an instant, by the zone's clock."""
    return _clock(nanoseconds, zone).date()


def _clock(nanoseconds: int, zone: tzinfo) -> datetime:
    """An instant, by the zone's clock."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=nanoseconds // NANOSECONDS["s"])).astimezone(zone)


def _midnight(day: date, zone: tzinfo) -> int:
    """When a day begins, in nanoseconds since 1970."""
    since = datetime.combine(day, time(), zone).astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1) * 1000


def _starts(column: Column, edges: list[int], nanoseconds: int) -> Column:
    """The beginnings of spans as a column of the same type; of a finer unit where that has no such instants."""
    if not any(edge % nanoseconds for edge in edges):
        return column.made_of([edge // nanoseconds for edge in edges], column.type)
    unit = next(unit for unit in _UNITS if not any(edge % NANOSECONDS[unit] for edge in edges))
    zone = f", tz={column.kind.zone}" if column.kind.zone else ""
    return column.made_of([edge // NANOSECONDS[unit] for edge in edges], f"timestamp[{unit}{zone}]")


def _with_empty(found: Table, starts: Column, key: str, blanks: Mapping[str, int | bool]) -> Table:
    """The figures with a row for each span, those without any included."""
    places = {bin_number: place for place, bin_number in enumerate(found[key].tolist())}
    rows = [places.get(index, -1) for index in range(len(starts))]
    columns: dict[str, Any] = {starts.name: starts}
    types: dict[str, str] = {}
    for figure, column in found.columns.items():
        if figure != key:
            held = [*column.stored(), blanks.get(figure)]
            columns[figure], types[figure] = [held[row] for row in rows], column.type
    return described(columns, types, {figure: column.known_categories for figure, column in found.columns.items()})
