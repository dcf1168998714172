"""Numbers, instants and spans of time in an array or in a table's column, as numbers of one scale.

What has no order or is no number (text, bytes, complex numbers, records) is refused by column and type: the memory that it
consists of says nothing. NaN, NaT and nulls are missing values, as in pandas.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from pangea.compute.data.errors import DataError

NUMBER, INSTANT, SPAN = "number", "instant", "span"
#: Nanoseconds of a unit of time, by NumPy's and Arrow's name. Months have no one length.
NANOSECONDS = {
    "W": 604_800_000_000_000, "D": 86_400_000_000_000, "h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000,
    "ms": 1_000_000, "us": 1_000, "ns": 1,
}  # fmt: skip
_DAY = NANOSECONDS["D"]
_SECOND = NANOSECONDS["s"]
_NAT = -(1 << 63)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (of instants without a zone)
_KINDS = {"b": NUMBER, "i": NUMBER, "u": NUMBER, "f": NUMBER, "M": INSTANT, "m": SPAN}
_REMEDIES = {
    "U": "convert it to numbers first: x.astype(float)",
    "S": "convert it to numbers first: x.astype(float)",
    "c": "take x.real, x.imag or abs(x) first",
    "V": "choose a field first: x['name']",
}


class Scale(NamedTuple):
    """What the numbers of an array or a column stand for.

    Attributes:
        kind: NUMBER, INSTANT or SPAN.
        nanoseconds: of one, for instants (since 1970) and spans; 0 for numbers.
        has_zone: whether instants are in UTC, rather than by a clock of which nothing is known.
        unit: the name of a span's unit, as NumPy writes it: "s", "25ms".
    """

    kind: str
    nanoseconds: int = 0
    has_zone: bool = False
    unit: str = ""


class Numbers(NamedTuple):
    """The values that aren't missing, how many are, and what they stand for. Infinities are values."""

    values: list[Any]
    missing: int
    scale: Scale


def numbers_of(chunk: Any, column: str | None) -> Numbers:
    """The numbers in an array, or in a table's column.

    Raises:
        NoColumnError: there is no such column.
        DataError: it holds no numbers: names it and its type.
    """
    scale = scale_of(chunk, column)
    values = _array_values(chunk, scale) if column is None else chunk[column].stored()
    kept = [value for value in values if value is not None and value == value]
    return Numbers(kept, len(values) - len(kept), scale)


def scale_of(chunk: Any, column: str | None) -> Scale:
    """What the numbers of an array, or of a table's column, stand for.

    Raises:
        NoColumnError: there is no such column.
        DataError: they are none: names the column and its type.
    """
    if column is not None:
        return column_scale(column, chunk[column].type)
    kind = chunk.dtype.kind
    if kind not in _KINDS:
        raise DataError(f"the array is of type {shown_type(chunk)}, not of numbers: {_REMEDIES.get(kind, 'convert it first')}")
    return Scale(NUMBER) if _KINDS[kind] == NUMBER else _array_time(chunk.dtype.str, _KINDS[kind])


def check_numbers(chunk: Any, column: str | None) -> None:
    """Refuse what isn't numbers alone: a fit of dates or spans of time would be in a unit that nobody has named.

    Raises:
        DataError: names the column and its type.
    """
    scale = scale_of(chunk, column)
    if scale.kind != NUMBER:
        what = "the array" if column is None else f"column {column!r}"
        kind = chunk.dtype.str if column is None else chunk[column].type
        raise DataError(
            f"{what} is of type {kind}: numbers are needed: divide spans of time by a unit, as in x / timedelta64(1, 'h')"
        )


def instant_text(value: int, scale: Scale) -> str:
    """An instant in ISO 8601: a day where the unit is one or longer, else with as many digits as the unit has.

    Texts of one scale compare as the instants do.

    Raises:
        DataError: it lies outside of years 1 to 9999.
    """
    total = value * scale.nanoseconds
    days, rest = divmod(total, _DAY)
    try:
        day = _EPOCH + timedelta(days=days)
    except OverflowError:
        raise DataError(
            f"an instant lies outside of years 1 to 9999: {value} times {scale.nanoseconds:,} ns since 1970"
        ) from None
    if not scale.nanoseconds % _DAY and not scale.has_zone:
        return f"{day:%Y-%m-%d}".rjust(10, "0")
    seconds, part = divmod(rest, _SECOND)
    digits = next(digits for digits in (0, 3, 6, 9) if not scale.nanoseconds % 10 ** (9 - digits))
    fraction = f".{part // 10 ** (9 - digits):0{digits}d}" if digits else ""
    text = (day + timedelta(seconds=seconds)).isoformat().rjust(19, "0")
    return f"{text}{fraction}{'+00:00' if scale.has_zone else ''}"


def instant_of_text(text: str) -> tuple[int, bool]:
    """Nanoseconds since 1970 of what `instant_text` wrote, and whether it has a zone."""
    head, has_zone = text.removesuffix("+00:00"), text.endswith("+00:00")
    whole, _, fraction = head.partition(".")
    seconds = (datetime.fromisoformat(whole) - _EPOCH) // timedelta(seconds=1)
    return seconds * _SECOND + int(fraction.ljust(9, "0") or 0), has_zone


def nanoseconds_of(value: Any) -> tuple[int, bool | None] | None:
    """A date, a time or a span of Python's, NumPy's or pandas' in nanoseconds (since 1970); None for anything else.

    Returns:
        The number; whether an instant has a zone, None for a span.
    """
    unit = getattr(getattr(value, "dtype", None), "kind", "")
    if unit in ("M", "m"):
        exact = int(value.astype(f"{unit}8[ns]").astype("int64"))
        return exact, False if unit == "M" else None
    extra = int(getattr(value, "nanosecond", 0) or getattr(value, "nanoseconds", 0))  # of pandas
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1) * 1_000 + extra, None
    if isinstance(value, datetime):
        epoch = _EPOCH if value.tzinfo is None else _EPOCH.replace(tzinfo=UTC)
        return (value - epoch) // timedelta(microseconds=1) * 1_000 + extra, value.tzinfo is not None
    if isinstance(value, date):
        return (value - date(1970, 1, 1)).days * _DAY, False
    return None


def column_scale(column: str, kind: str) -> Scale:
    """What the numbers of a column stand for.

    Raises:
        DataError: they are none: names the column and its type.
    """
    head, _, inside = kind.partition("[")
    unit, _, zone = inside.removesuffix("]").partition(", tz=")
    if kind.startswith(("int", "uint", "float", "bool")) or kind == "null":
        return Scale(NUMBER)
    if kind == "date32":
        return Scale(INSTANT, _DAY)
    if kind == "date64":
        return Scale(INSTANT, NANOSECONDS["ms"])
    if head == "timestamp":
        return Scale(INSTANT, NANOSECONDS[unit], bool(zone))
    if head == "duration":
        return Scale(SPAN, NANOSECONDS[unit], unit=unit)
    raise DataError(f"column {column!r} is of type {kind}, not of numbers: cast it first")


def _array_time(descr: str, kind: str) -> Scale:
    inside = descr.partition("[")[2].removesuffix("]")
    letters = inside.lstrip("0123456789")
    if letters in ("Y", "M") and kind == INSTANT:
        return Scale(INSTANT, _DAY)
    if letters not in NANOSECONDS:
        raise DataError(f"the array is of type {descr}, whose unit has no one length here: x.astype({descr[1] + '8[ns]'!r}) has")
    return Scale(kind, int(inside.removesuffix(letters) or 1) * NANOSECONDS[letters], unit=inside if kind == SPAN else "")


def _array_values(array: Any, scale: Scale) -> list[Any]:
    flat = array.reshape(-1)
    if scale.kind != NUMBER:
        is_coarse = scale.kind == INSTANT and array.dtype.str.endswith(("Y]", "M]"))
        flat = flat.astype("<M8[D]" if is_coarse else array.dtype.newbyteorder("=")).view("i8")
    values: list[Any] = flat.tolist()
    return values if scale.kind == NUMBER or _NAT not in values else [None if value == _NAT else value for value in values]


def shown_type(array: Any) -> str:
    """An array's type as a file says it, or its fields."""
    return str(array.dtype.str if array.dtype.names is None else array.dtype.descr)
