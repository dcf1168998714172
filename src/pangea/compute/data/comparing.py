"""Comparisons item by item, as NumPy's and pandas': they give masks. What can't be compared is refused by type, not unequal.

Null, NaN and NaT are unequal to everything, themselves included, and neither below nor above.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import repeat
from typing import Any, NamedTuple

from pangea.compute.data.errors import shown
from pangea.compute.data.measures import INSTANT, SPAN, nanoseconds_of

Comparison = Callable[[Any, Any], bool]

NUMBER, COMPLEX, TEXT, BYTES, RECORD, TIME, NOTHING = "numbers", "complex numbers", "text", "bytes", "records", "times", "nothing"
INSIDE = "lists or structs"
_SIGNS: dict[Comparison, str] = {
    operator.eq: "==", operator.ne: "!=", operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=",
}  # fmt: skip
_NUMBERS = (bool, int, float, complex, Decimal)
_TYPES: dict[str, tuple[type, ...]] = {
    NUMBER: _NUMBERS, COMPLEX: _NUMBERS, TEXT: (str,), BYTES: (bytes,), RECORD: (tuple,),
}  # fmt: skip


class Side(NamedTuple):
    """One side of a comparison.

    Attributes:
        values: None where there is none; dates, times and spans of time in nanoseconds.
        family: what they are: two sides of one family compare.
        what: the values, for messages.
        has_zone: of instants.
    """

    values: Sequence[Any]
    family: str
    what: str
    has_zone: bool = False


def flags(one: Side, other: Any, compare: Comparison) -> list[bool]:
    """Compare each value of `one` with `other`: one value, a side or a list of as many.

    Raises:
        TypeError: the two have no common order, or nothing in common.
        ValueError: there is another number of others.
    """
    if compare not in (operator.eq, operator.ne) and one.family in (COMPLEX, RECORD, INSIDE):
        raise TypeError(f"{one.what} holds {one.family}, which have no order: {_SIGNS[compare]} compares what has one")
    missing = compare is operator.ne
    return [
        missing if value is None or each is None else bool(compare(value, each))
        for value, each in zip(one.values, _others(one, other), strict=False)
    ]


def _others(one: Side, other: Any) -> Iterator[Any] | Sequence[Any]:
    if isinstance(other, Side):
        if NOTHING not in (one.family, other.family) and _unlike(one, other):
            raise TypeError(f"{one.what} holds {_described(one)}, and {other.what} {_described(other)}: convert one of them")
    elif hasattr(other, "item") and getattr(other, "shape", ()) == ():  # a number of NumPy's
        return repeat(_value(one, other if one.family in (INSTANT, SPAN) else other.item()))
    elif getattr(other, "ndim", 0) == 1 and hasattr(other, "tolist"):  # NumPy's array, or pandas' column
        other = _items(one, other)
    elif not isinstance(other, list | range):
        return repeat(_value(one, other))
    values = other.values if isinstance(other, Side) else [None if each is None else _value(one, each) for each in other]
    if len(values) != len(one.values):
        raise ValueError(f"{one.what} has {len(one.values):,} items, and is compared with {len(values):,}")
    return values


def _items(one: Side, array: Any) -> list[Any]:
    """The items as they compare, None for NaT."""
    if getattr(array.dtype, "kind", "") in "Mm" and one.family in (INSTANT, SPAN):
        return [each if each == each else None for each in array]
    found: list[Any] = array.tolist()
    return found


def _unlike(one: Side, other: Side) -> bool:
    numbers = {NUMBER, COMPLEX}
    is_alike = one.family == other.family or {one.family, other.family} <= numbers
    return not is_alike or (one.family == INSTANT and one.has_zone != other.has_zone)


def _described(side: Side) -> str:
    return side.family if side.family != INSTANT else f"instants {'with a' if side.has_zone else 'without a'} time zone"


def _value(one: Side, other: Any) -> Any:
    """The other as the values are."""
    if other is None:
        raise TypeError(f"{one.what} is compared with None: is_missing() says where nothing is")
    if one.family == NOTHING:
        return other
    if one.family in (INSTANT, SPAN):
        return _nanoseconds(one, other)
    if one.family == TIME and isinstance(other, time) and other.tzinfo is None:
        return ((other.hour * 60 + other.minute) * 60 + other.second) * 10**9 + other.microsecond * 1_000
    if not isinstance(other, _TYPES.get(one.family, ())):
        raise TypeError(f"{one.what} holds {one.family}, and is compared with {shown(other)}: convert one of them")
    return other


def _nanoseconds(one: Side, other: Any) -> int:
    if isinstance(other, str) and one.family == INSTANT:
        try:
            other = datetime.fromisoformat(other) if len(other) > len("2024-01-01") else date.fromisoformat(other)
        except ValueError:
            raise TypeError(f"{one.what} is compared with {shown(other)}, which is no date in ISO 8601") from None
    found = nanoseconds_of(other)
    if found is None or (found[1] is None) != (one.family == SPAN):
        wanted = "a date or a datetime" if one.family == INSTANT else "a timedelta"
        raise TypeError(f"{one.what} is compared with {shown(other)}: give {wanted}")
    if one.family == INSTANT and found[1] != one.has_zone:
        raise TypeError(f"{one.what} holds {_described(one)}, and is compared with {shown(other)}")
    return found[0]
