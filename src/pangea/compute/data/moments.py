"""Whole numbers of a unit since 1970, or of a unit, to Python's dates and times, and back. Exactly, or not at all.

Whole lists are turned at once: what is done for each value is a single expression.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from pangea.compute.data.errors import DataError, shown

NAT = -(1 << 63)
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - numbers without a zone become times without one
EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = date(1970, 1, 1).toordinal()
DAY_MS = 86_400_000

#: How many microseconds a unit has, where it has whole ones.
MICROSECONDS = {
    "W": 604_800_000_000, "D": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1,
}  # fmt: skip
_FINER = ("ns", "ps", "fs", "as")
_MICROSECOND = timedelta(microseconds=1)

#: Whole numbers to Python values, a list of them at once.
ToPython = Callable[[Sequence[int]], list[Any]]
#: A Python value to a whole number.
FromPython = Callable[[Any], int]


def converted(values: list[Any], convert: ToPython) -> list[Any]:
    """`values` as Python values; None stays None.

    Raises:
        DataError: a date or a span of time has no place in Python's.
    """
    if None not in values:
        return convert(values)
    found = iter(convert([value for value in values if value is not None]))
    return [None if value is None else next(found) for value in values]


def numpy_converter(kind: str, count: int, unit: str) -> FromPython:
    """How Python values become items of `datetime64` (kind M) or `timedelta64` (kind m), of `count` units; None becomes NaT.

    Raises:
        DataError: there is no such unit.
    """
    if unit and unit not in MICROSECONDS and unit not in _FINER and unit not in ("Y", "M"):
        raise DataError(f"there is no unit of time {unit!r}")
    from_python = _spans(count, unit) if kind == "m" else _instants(count, unit)

    def back(value: Any) -> int:
        if value is None:
            return NAT
        return value if type(value) is int else from_python(value)

    return back


def _spans(count: int, unit: str) -> FromPython:
    if unit not in MICROSECONDS:
        return _only_whole(unit or "no unit")
    scale = MICROSECONDS[unit] * count
    return lambda value: whole(microseconds_of(value), scale, value)


def _instants(count: int, unit: str) -> FromPython:
    if unit in ("Y", "M"):
        months = (12 if unit == "Y" else 1) * count
        return lambda value: whole(_month_start(value), months, value)
    if unit in ("W", "D"):
        days = (7 if unit == "W" else 1) * count
        return lambda value: whole(days_since(value), days, value)
    if unit not in MICROSECONDS:
        return _only_whole(unit or "no unit")
    scale = MICROSECONDS[unit] * count
    return lambda value: whole(microseconds_since(value), scale, value)


def days_of(days: int, per: int = 1) -> ToPython:
    """Multiples of `days` days, divided by `per` and rounded down, to dates."""

    def convert(values: Sequence[int]) -> list[Any]:
        try:
            if days == per == 1:
                return [date.fromordinal(EPOCH_DAY + value) for value in values]
            return [date.fromordinal(EPOCH_DAY + value * days // per) for value in values]
        except (ValueError, OverflowError) as exc:
            raise _outside(values) from exc

    return convert


def instants_of(microseconds: int, *, is_utc: bool = False) -> ToPython:
    """Multiples of `microseconds` to times, with the zone UTC or with none."""
    epoch = EPOCH_UTC if is_utc else EPOCH
    unit = _unit(microseconds)

    def convert(values: Sequence[int]) -> list[Any]:
        try:
            return [epoch + value * unit for value in values]
        except OverflowError as exc:
            raise _outside(values) from exc

    return convert


def spans_of(microseconds: int) -> ToPython:
    """Multiples of `microseconds` to spans of time."""
    unit = _unit(microseconds)

    def convert(values: Sequence[int]) -> list[Any]:
        try:
            return [value * unit for value in values]
        except OverflowError as exc:
            raise DataError(f"a span of time is longer than a timedelta holds; {_raw_numbers(values)}") from exc

    return convert


def clocks_of(microseconds: int) -> ToPython:
    """Multiples of `microseconds` since midnight to times of day."""
    unit, end = _unit(microseconds), MICROSECONDS["D"] // microseconds

    def convert(values: Sequence[int]) -> list[Any]:
        if values and not 0 <= min(values) <= max(values) < end:
            raise DataError(f"a number is no time of day; {_raw_numbers(values)}")
        return [(EPOCH + value * unit).time() for value in values]

    return convert


def _unit(microseconds: int) -> timedelta:
    try:
        return timedelta(microseconds=microseconds)
    except OverflowError as exc:
        raise DataError(f"a unit of {microseconds:,} µs is longer than Python's time") from exc


def _outside(values: Sequence[int]) -> DataError:
    return DataError(f"a date lies outside of years 1 to 9999; {_raw_numbers(values)}")


def _raw_numbers(values: Sequence[int]) -> str:
    return f"the raw numbers go from {min(values):,} to {max(values):,}: take those"


def days_since(value: Any) -> int:
    """Days from 1970-01-01 to a date."""
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError(f"{shown(value)} is no date")
    return value.toordinal() - EPOCH_DAY


def microseconds_since(value: Any) -> int:
    """Microseconds from 1970 to a time without a zone."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return days_since(value) * MICROSECONDS["D"]
    if not isinstance(value, datetime) or value.tzinfo is not None:
        raise TypeError(f"{shown(value)} is no datetime without a time zone")
    return (value - EPOCH) // _MICROSECOND


def microseconds_since_utc(value: Any) -> int:
    """Microseconds from 1970 in UTC to a time with a zone."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError(f"{shown(value)} is no datetime with a time zone")
    return (value - EPOCH_UTC) // _MICROSECOND


def microseconds_of(value: Any) -> int:
    """Microseconds of a span of time."""
    if not isinstance(value, timedelta):
        raise TypeError(f"{shown(value)} is no timedelta")
    return value // _MICROSECOND


def microseconds_of_day(value: Any) -> int:
    """Microseconds from midnight to a time of day."""
    if not isinstance(value, time) or value.tzinfo is not None:
        raise TypeError(f"{shown(value)} is no time of day without a time zone")
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


def whole(number: int, scale: int, value: Any) -> int:
    """`number` in units of `scale`, if it is a whole number of them."""
    quotient, rest = divmod(number, scale)
    if rest:
        raise ValueError(f"{shown(value)} is finer than the type's unit")
    return quotient


def _month_start(value: Any) -> int:
    if not isinstance(value, date) or isinstance(value, datetime) or value.day != 1:
        raise TypeError(f"{shown(value)} is not the date of a month's first day")
    return (value.year - 1970) * 12 + value.month - 1


def _only_whole(unit: str) -> FromPython:
    def refuse(value: Any) -> int:
        raise TypeError(f"times in {unit} are whole numbers, not {shown(value)}")

    return refuse
