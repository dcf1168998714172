"""Plain Python values of one column: what has no type in common is named, before pyarrow makes one silently of two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

from pangea.compute.data.making import INT64_MAX, UINT64_MAX

_DATE, _LOCAL, _INSTANT, _CLOCK = "a date", "a time without a zone", "a time with a zone", "a time of day"
#: What values of these types are; the first that fits.
_FAMILIES: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "a number"),
    (float, "a number"),
    (str, "text"),
    (bytes, "bytes"),
    (bytearray, "bytes"),
    (memoryview, "bytes"),
    (datetime, _LOCAL),
    (date, _DATE),
    (time, _CLOCK),
    (timedelta, "a span of time"),
    (Decimal, "a decimal"),
    (list, "a list"),
    (tuple, "a list"),
    (dict, "a dict"),
)
_EXACT = {kind: family for kind, family in _FAMILIES if kind is not datetime and kind is not time}
_EXACT |= {type(None): ""}


class MixedError(ValueError):
    """Values that have no type in common.

    Attributes:
        index: of the first that isn't of the family of those before.
    """

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


def consistent(pa: Any, values: Any, kind: Any) -> tuple[Any, Any]:
    """The values, and the type of their column, so that pyarrow loses nothing of them.

    Dates among times become times at midnight; NaT becomes None; nanoseconds of pandas' Timestamps are kept.

    Args:
        pa: pyarrow.
        values: of a column; what isn't a list or a tuple has a type already, and is left alone.
        kind: the column's type, if it has one already; None: it is found.

    Raises:
        MixedError: names the first value that doesn't belong to those before, also if it is in a list or a dict.
    """
    if not isinstance(values, list | tuple):
        return values, kind
    _check_inside([(row, value) for row, value in enumerate(values) if isinstance(value, list | tuple | dict)])
    if (
        set(map(type, values)) <= _EXACT.keys()
        and len({_EXACT[each] for each in set(map(type, values))} - {""}) < 2
        and kind is None
    ):
        return values, pa.uint64() if _are_unsigned(values) else None
    values = [None if _is_nat(value) else value for value in values]
    families = list(_families(values))
    if kind is None and _DATE in families and _LOCAL in families:
        values = [_midnight(value) for value in values]
        families = [_LOCAL if family == _DATE else family for family in families]
    expected = _family_of(pa, kind)
    for index, family in enumerate(families):
        if family and expected and family != expected and not (family == _DATE and expected == _LOCAL):
            raise MixedError(index, f"it is {family}, where the column has {expected}")
        expected = expected or family
    if expected == _LOCAL:
        values = [_midnight(value) for value in values]
    if kind is None and any(getattr(value, "nanosecond", 0) for value in values):
        kind = pa.timestamp("ns", tz="UTC" if expected == _INSTANT else None)
    return values, kind


def _check_inside(values: Sequence[tuple[int, Any]]) -> None:
    """See that the items of all lists belong together, and so do the values under each key of dicts.

    Raises:
        MixedError: names the row.
    """
    lists = [(row, item) for row, value in values if not isinstance(value, dict) for item in value]
    keys = dict.fromkeys(chain.from_iterable(value for _, value in values if isinstance(value, dict)))
    dicts = [[(row, value[key]) for row, value in values if isinstance(value, dict) and key in value] for key in keys]
    for items in (lists, *dicts):
        expected = ""
        for (row, _), family in zip(items, _families([item for _, item in items]), strict=True):
            if family and expected and family != expected:
                raise MixedError(row, f"there is {family} in it, where before it was {expected}")
            expected = expected or family
        if expected in ("a list", "a dict"):
            _check_inside([(row, item) for row, item in items if item is not None])


def _are_unsigned(values: Sequence[Any]) -> bool:
    """Whether they are whole numbers for which uint64 has room, and int64 hasn't."""
    if not set(map(type, values)) <= {int, type(None)}:
        return False
    numbers = [value for value in values if value is not None]
    return bool(numbers) and min(numbers) >= 0 and INT64_MAX < max(numbers) <= UINT64_MAX


def _families(values: Sequence[Any]) -> Iterator[str]:
    for index, value in enumerate(values):
        family = next((family for kind, family in _FAMILIES if isinstance(value, kind)), "")
        if isinstance(value, datetime) and value.tzinfo is not None:
            family = _INSTANT
        if isinstance(value, time) and value.tzinfo is not None:
            raise MixedError(index, "it is a time of day in a zone, which no column holds")
        yield family


def _family_of(pa: Any, kind: Any) -> str:
    """What values of a type are; "" if that doesn't matter, or pyarrow sees to it."""
    types = pa.types
    if kind is None:
        return ""
    if types.is_timestamp(kind):
        return _INSTANT if kind.tz else _LOCAL
    tests = (
        (types.is_date, _DATE),
        (types.is_time, _CLOCK),
        (types.is_duration, "a span of time"),
        (types.is_boolean, "true or false"),
        (types.is_binary, "bytes"),
        (types.is_string, "text"),
        (types.is_integer, "a number"),
        (types.is_floating, "a number"),
    )
    return next((family for test, family in tests if test(kind)), "")


def _midnight(value: Any) -> Any:
    is_day = isinstance(value, date) and not isinstance(value, datetime)
    return datetime(value.year, value.month, value.day) if is_day else value  # noqa: DTZ001 (as the others have no zone)


def _is_nat(value: Any) -> bool:
    return type(value).__name__ == "NaTType" or (value is not None and type(value).__name__ == "NAType")
