"""Whole numbers of a unit since 1970, or of a unit, to Python's dates and times, and back. Exactly, or not at all."""

from __future__ import annotations

from collections.abc import Callable
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

ToPython = Callable[[int], Any]
FromPython = Callable[[Any], int]


def numpy_converters(kind: str, count: int, unit: str) -> tuple[ToPython, FromPython]:
    """How items of `datetime64` (kind M) or `timedelta64` (kind m), of `count` units, become Python values, and back.

    Raises:
        DataError: there is no such unit.
    """
    if unit and unit not in MICROSECONDS and unit not in _FINER and unit not in ("Y", "M"):
        raise DataError(f"there is no unit of time {unit!r}")
    if kind == "m":
        to_python, from_python = _spans(count, unit)
    else:
        to_python, from_python = _instants(count, unit)

    def out(value: int) -> Any:
        return None if value == NAT else to_python(value)

    def back(value: Any) -> int:
        if value is None:
            return NAT
        return value if type(value) is int else from_python(value)

    return out, back


def _spans(count: int, unit: str) -> tuple[ToPython, FromPython]:
    if unit not in MICROSECONDS:
        return _as_it_is, _only_whole(unit or "no unit")
    scale = MICROSECONDS[unit] * count
    return (lambda value: span(value * scale)), (lambda value: whole(microseconds_of(value), scale, value))


def _instants(count: int, unit: str) -> tuple[ToPython, FromPython]:
    if unit == "Y":
        return (lambda value: _date(1970 + value * count, 1)), (lambda value: whole(_year_start(value), count, value))
    if unit == "M":
        return (
            lambda value: _date(1970 + value * count // 12, value * count % 12 + 1),
            lambda value: whole(_month_start(value), count, value),
        )
    if unit in ("W", "D"):
        days = (7 if unit == "W" else 1) * count
        return (lambda value: day(value * days)), (lambda value: whole(days_of(value), days, value))
    if unit not in MICROSECONDS:
        return _as_it_is, _only_whole(unit or "no unit")
    scale = MICROSECONDS[unit] * count
    return (lambda value: instant(value * scale)), (lambda value: whole(microseconds_since(value), scale, value))


def day(days: int) -> date:
    """The date so many days after 1970-01-01."""
    try:
        return date.fromordinal(EPOCH_DAY + days)
    except (ValueError, OverflowError) as exc:
        raise DataError(f"{days:,} days from 1970 lie outside of years 1 to 9999; take the raw numbers") from exc


def instant(microseconds: int) -> datetime:
    """The time so many microseconds after 1970."""
    try:
        return EPOCH + timedelta(0, 0, microseconds)
    except OverflowError as exc:
        raise DataError(f"{microseconds:,} µs from 1970 lie outside of years 1 to 9999; take the raw numbers") from exc


def instant_utc(microseconds: int) -> datetime:
    """The time so many microseconds after 1970 in UTC, aware of its zone."""
    return instant(microseconds).replace(tzinfo=UTC)


def span(microseconds: int) -> timedelta:
    """So many microseconds."""
    try:
        return timedelta(0, 0, microseconds)
    except OverflowError as exc:
        raise DataError(f"{microseconds:,} µs are more than a timedelta holds; take the raw numbers") from exc


def clock(microseconds: int) -> time:
    """The time of day so many microseconds after midnight."""
    if not 0 <= microseconds < MICROSECONDS["D"]:
        raise DataError(f"{microseconds:,} µs after midnight are no time of day; take the raw numbers")
    return (EPOCH + timedelta(0, 0, microseconds)).time()


def days_of(value: Any) -> int:
    """Days from 1970-01-01 to a date."""
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError(f"{shown(value)} is no date")
    return value.toordinal() - EPOCH_DAY


def microseconds_since(value: Any) -> int:
    """Microseconds from 1970 to a time without a zone."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return days_of(value) * MICROSECONDS["D"]
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


def _date(year: int, month: int) -> date:
    try:
        return date(year, month, 1)
    except (ValueError, OverflowError) as exc:
        raise DataError(f"the year {year} lies outside of years 1 to 9999; take the raw numbers") from exc


def _year_start(value: Any) -> int:
    if (value.month, value.day) != (1, 1):
        raise ValueError(f"{shown(value)} is not the start of a year")
    return int(value.year) - 1970


def _month_start(value: Any) -> int:
    if value.day != 1:
        raise ValueError(f"{shown(value)} is not the start of a month")
    return (int(value.year) - 1970) * 12 + int(value.month) - 1


def _as_it_is(value: int) -> int:
    return value


def _only_whole(unit: str) -> FromPython:
    def refuse(value: Any) -> int:
        raise TypeError(f"times in {unit} are whole numbers, not {shown(value)}")

    return refuse
