"""Python's values in JSON, types and all: tuples, sets, bytes, dates, NaN, dicts with keys of any kind, and what else JSON lacks.

What JSON has is written as it is. Anything else is `{"$": type, "v": parts}`, and so is a dict that has a key "$". Nothing is
ever evaluated when it is read, nor imported but an enum of the library's: instances of a caller's own classes (dataclasses, named
tuples, enums) name their class by its number among those that both sides were given, and are made of their fields without a call
of the class.
"""

from __future__ import annotations

import json
import math
from base64 import b85decode, b85encode
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Set
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID, SafeUUID

from pangea.compute.data.dtypes import parse_dtype
from pangea.compute.data.errors import DataError, NoPlaceError, shown
from pangea.compute.data.ndarrays import from_npy, npy_of, numpy_type, type_of
from pangea.compute.data.type_values import is_type, library_enum, read_enum, read_type, written_type

_TAG, _PARTS = "$", "v"
_PLAIN = (bool, int, float, str, type(None))
_NESTED = (list, dict)
_DIGITS_MAX = 4_000
#: Within it, a number is one that JSON has a word for: no NaN, nothing infinite, and not too many digits.
_SURELY = 1e308
_DEPTH_MAX = 200
#: What they are given is a tree that `_written` has made anew, so they needn't look for circles.
_TEXTS = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False)
_ASCII = json.JSONEncoder(allow_nan=False, check_circular=False)


class Classes(NamedTuple):
    """The classes of the caller's own that values may be of.

    Attributes:
        numbers: each with its number.
        learn: asked of a class that isn't among them; adds it to `numbers` and says True, or says False.
    """

    numbers: Mapping[type, int] = {}
    learn: Callable[[type], bool] | None = None

    @classmethod
    def of(cls, known: tuple[type, ...]) -> Classes:
        """Those of a tuple, numbered in order."""
        return cls({kind: number for number, kind in enumerate(known)})

    def number(self, kind: type) -> int | None:
        """The class's number; None if values can't be of it."""
        if kind in self.numbers or (self.learn is not None and self.learn(kind)):
            return self.numbers[kind]
        return None


class _At(NamedTuple):
    """Where in a value something is written."""

    depth: int
    classes: Classes

    def deeper(self) -> _At:
        return _At(self.depth + 1, self.classes)


def dumps(value: Any, classes: Classes = Classes()) -> bytes:  # noqa: B008 (it is never changed)
    """One line of JSON, without its end.

    Args:
        value: what is written.
        classes: those of the caller's own that it may be of.

    Raises:
        NoPlaceError: a value in it is of a type that has no place here; says which and where.
        DataError: it is nested too deeply, or holds itself.
    """
    try:
        written = _written(value, _At(0, classes))
    except NoPlaceError as exc:
        raise NoPlaceError(exc.reason, _place_of(value, _At(0, classes))) from None
    except RecursionError as exc:
        raise DataError("the value is nested too deeply, or holds itself") from exc
    try:
        return _TEXTS.encode(written).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 lacks and an escape has
        return _ASCII.encode(written).encode()


def loads(data: bytes | str, classes: tuple[type, ...] = ()) -> Any:
    """The value that `dumps` wrote, under classes in the order of their numbers.

    Raises:
        DataError: it is damaged.
    """
    try:
        return _read(json.loads(data), classes)
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError, AttributeError) as exc:
        raise DataError(f"this is no value written with its types: {exc}") from exc


def _written(value: Any, at: _At) -> Any:
    if at.depth > _DEPTH_MAX:
        raise DataError(f"the value is nested more than {_DEPTH_MAX} deep, or holds itself")
    kind = type(value)
    if kind is list:
        return _several(value, at.deeper())
    if kind is dict and _TAG not in value and set(map(type, value)) <= {str}:
        return dict(zip(value, _several(value.values(), at.deeper()), strict=True))
    if kind in _PLAIN and not _is_odd(value):
        return value
    if kind in _WRITERS:
        name, write = _WRITERS[kind]
        return {_TAG: name, _PARTS: write(value, at.deeper())}
    if (kind.__module__, kind.__name__) in _FORMS:
        name, form = _FORMS[kind.__module__, kind.__name__]
        return {_TAG: name, _PARTS: form(value)}
    if kind.__module__ == "numpy" and any(base.__name__ == "generic" for base in kind.__mro__):
        return _of_scalar(value)
    if name := library_enum(kind):
        return {_TAG: "member", _PARTS: [name, *_fields_of(value, at.deeper())]}
    if is_type(value):
        return {_TAG: "type", _PARTS: written_type(value, at.classes.number)}
    number = at.classes.number(kind)
    if number is not None:
        return {_TAG: "object", _PARTS: [number, _fields_of(value, at.deeper())]}
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    article = "an" if name.lstrip("_")[0] in "aeiou" else "a"
    raise NoPlaceError(f"{article} {name} can't travel as a value: {shown(value)}")


def _place_of(value: Any, at: _At) -> str:
    """Where in `value` the first is that has no place; empty: it is `value` itself."""
    for place, part in _parts_of(value, at.classes):
        try:
            _written(part, at)
        except NoPlaceError:
            return place + _place_of(part, at.deeper())
        except (DataError, RecursionError):
            continue
    return ""


def _parts_of(value: Any, classes: Classes) -> Iterator[tuple[str, Any]]:
    kind = type(value)
    if kind is not list and kind not in _WRITERS and classes.number(kind) is None:
        return  # it is refused as a whole
    if isinstance(value, Mapping):
        yield from ((f".keys(), {shown(key)}", key) for key in value)
        yield from ((f"[{shown(key)}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple | deque):
        names = getattr(value, "_fields", ())
        yield from ((f".{names[number]}" if number < len(names) else f"[{number}]", part) for number, part in enumerate(value))
    elif isinstance(value, Set):
        yield from ((f", {shown(part)}", part) for part in value)
    else:
        yield from ((f".{name}", getattr(value, name)) for name in _attributes(value))


def _is_odd(value: Any) -> bool:
    """Whether JSON has no word for a plain value."""
    if type(value) is float:
        return not math.isfinite(value)
    return type(value) is int and value.bit_length() > 3 * _DIGITS_MAX


def _of_scalar(value: Any) -> Any:
    """One of NumPy's numbers and the like, without the head that an array has, as there may be many."""
    if isinstance(descr := type_of(value).descr, str):
        return {_TAG: "scalar", _PARTS: [descr, b85encode(value.tobytes()).decode()]}
    return {_TAG: "record", _PARTS: _array_text(value)}


def _read(value: Any, classes: tuple[type, ...]) -> Any:
    if type(value) is list:
        return [_read(each, classes) if type(each) in _NESTED else each for each in value]
    if type(value) is not dict:
        return value
    if _TAG not in value:
        return {key: _read(each, classes) if type(each) in _NESTED else each for key, each in value.items()}
    parts, name = value[_PARTS], value[_TAG]
    if name in _BUILDERS:
        return _BUILDERS[name](parts, lambda part: _read(part, classes))
    if name == "object":
        return _object(classes[parts[0]], _read(parts[1], classes))
    if name == "member":
        return _object(read_enum(parts[0]), _read(parts[1:], classes))
    if name == "type":
        return read_type(parts, classes)
    return _READERS[name](parts)


def _fields_of(value: Any, at: _At) -> Any:
    """What makes an instance: an enum's name or value, a tuple's items, attributes of slots and of its dict."""
    if isinstance(value, Enum):
        is_named = value.name in type(value).__members__
        return [is_named, _written(value.name if is_named else value.value, at)]
    items = _several(tuple.__iter__(value), at) if isinstance(value, tuple) else []
    return [items, {name: _written(getattr(value, name), at) for name in _attributes(value)}]


def _attributes(value: Any) -> list[str]:
    slots = [name for kind in type(value).__mro__ for name in _slots(kind) if hasattr(value, name)]
    return [*slots, *getattr(value, "__dict__", ())]


def _slots(kind: type) -> tuple[str, ...]:
    names = kind.__dict__.get("__slots__", ())
    names = (names,) if isinstance(names, str) else tuple(names)
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


def _object(kind: type, fields: Any) -> Any:
    if issubclass(kind, Enum):
        is_named, key = fields
        return kind[key] if is_named else kind(key)
    items, attributes = fields
    made = tuple.__new__(kind, items) if issubclass(kind, tuple) else object.__new__(kind)
    for name, value in attributes.items():
        object.__setattr__(made, name, value)  # frozen ones, too
    return made


def _several(values: Any, at: _At) -> list[Any]:
    """Each of them; those that are nearly all, without a call."""
    return [
        each
        if (kind := type(each)) is str or ((kind is int or kind is float) and -_SURELY <= each <= _SURELY)
        else _written(each, at)
        for each in values
    ]


def _sorted_several(values: Any, at: _At) -> list[Any]:
    """In an order that doesn't depend on hashes, which differ from run to run."""
    return sorted(_several(values, at), key=json.dumps)


def _pairs(value: Any, at: _At) -> list[Any]:
    return [[_written(key, at), _written(each, at)] for key, each in value.items()]


def _instant(value: datetime, _: _At) -> list[Any]:
    zone = value.tzinfo
    offset = value.utcoffset()
    text = value.replace(tzinfo=None).isoformat()
    if zone is None or offset is None:
        return [text, value.fold]
    name = getattr(zone, "key", None) or (zone.tzname(None) if isinstance(zone, timezone) and zone is not UTC else "")
    return [text, value.fold, offset // timedelta(microseconds=1), name]


def _read_instant(parts: Any) -> datetime:
    plain = datetime.fromisoformat(parts[0]).replace(fold=parts[1])
    if len(parts) == 2:
        return plain
    offset = timedelta(microseconds=parts[2])
    if not offset and not parts[3]:
        return plain.replace(tzinfo=UTC)
    fixed = timezone(offset, parts[3]) if parts[3] and not parts[3].startswith("UTC") else timezone(offset)
    return plain.replace(tzinfo=_zone(parts[3], plain, offset) or fixed)


def _zone(name: str, at: datetime, offset: timedelta) -> Any:
    """The zone with its rules where these are known, as long as they say what the offset says."""
    import zoneinfo

    if "/" not in name:
        return None
    try:
        zone = zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None
    return zone if at.replace(tzinfo=zone).utcoffset() == offset else None


def _clock(value: time, _: _At) -> list[Any]:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise DataError(f"{shown(value)} is a time of day in a zone whose offset depends on the day")
    return [
        value.replace(tzinfo=None).isoformat(),
        value.fold,
        None if value.tzinfo is None else _microseconds(value.utcoffset()),
    ]


def _read_clock(parts: Any) -> time:
    zone = None if parts[2] is None else timezone(timedelta(microseconds=parts[2]))
    return time.fromisoformat(parts[0]).replace(fold=parts[1], tzinfo=UTC if parts[2] == 0 else zone)


def _microseconds(span: Any) -> int:
    return int(span // timedelta(microseconds=1))


def _identifier(value: UUID, _: _At) -> Any:
    """Its digits, and whether it was made safely if that is known, as of this machine's own `uuid1`."""
    return value.hex if value.is_safe is SafeUUID.unknown else [value.hex, value.is_safe.name]


def _array_text(array: Any) -> str:
    return b85encode(npy_of(array)).decode()


def _read_array(text: str) -> Any:
    return from_npy(b85decode(text)).copy()


def _read_scalar(parts: Any) -> Any:
    dtype, data = numpy_type(parse_dtype(parts[0])), b85decode(parts[1])
    if dtype.itemsize == 0:  # no letters
        return dtype.type()
    if len(data) != dtype.itemsize:
        raise DataError(f"a scalar of {dtype.itemsize} bytes has {len(data)}")
    import numpy

    return numpy.frombuffer(data, dtype)[0]


def _table_text(table: Any) -> str:
    return b85encode(table.to_arrow()).decode()


def _read_table(text: str) -> Any:
    from pangea.compute.data.table import Table

    return Table.from_arrow(b85decode(text))


Writer = Callable[[Any, _At], Any]
_WRITERS: dict[type, tuple[str, Writer]] = {
    float: ("float", lambda value, _: repr(value)),
    int: ("int", lambda value, _: hex(value)),
    dict: ("dict", _pairs),
    tuple: ("tuple", _several),
    set: ("set", _sorted_several),
    frozenset: ("frozenset", _sorted_several),
    deque: ("deque", lambda value, at: [_several(value, at), value.maxlen]),
    Counter: ("counter", _pairs),
    OrderedDict: ("ordered", _pairs),
    bytes: ("bytes", lambda value, _: b85encode(value).decode()),
    bytearray: ("bytearray", lambda value, _: b85encode(bytes(value)).decode()),
    complex: ("complex", lambda value, _: [repr(value.real), repr(value.imag)]),
    datetime: ("datetime", _instant),
    date: ("date", lambda value, _: value.isoformat()),
    time: ("time", _clock),
    timedelta: ("timedelta", lambda value, _: [value.days, value.seconds, value.microseconds]),
    Decimal: ("decimal", lambda value, _: str(value)),
    Fraction: ("fraction", lambda value, _: [hex(value.numerator), hex(value.denominator)]),
    UUID: ("uuid", _identifier),
    slice: ("slice", lambda value, at: _several([value.start, value.stop, value.step], at)),
    range: ("range", lambda value, _: [value.start, value.stop, value.step]),
}
#: Found by name, as not every program has imported their modules.
_FORMS: dict[tuple[str, str], tuple[str, Callable[[Any], str]]] = {
    ("numpy", "ndarray"): ("array", _array_text),
    ("numpy", "memmap"): ("array", _array_text),  # the file doesn't travel
    ("pangea.compute.data.table", "Table"): ("table", _table_text),
}
#: Of what holds other values: made of its parts with what reads each.
_BUILDERS: dict[str, Callable[[Any, Callable[[Any], Any]], Any]] = {
    "dict": lambda parts, read: {read(key): read(each) for key, each in parts},
    "tuple": lambda parts, read: tuple(map(read, parts)),
    "set": lambda parts, read: set(map(read, parts)),
    "frozenset": lambda parts, read: frozenset(map(read, parts)),
    "deque": lambda parts, read: deque(map(read, parts[0]), parts[1]),
    "counter": lambda parts, read: Counter({read(key): read(each) for key, each in parts}),
    "ordered": lambda parts, read: OrderedDict((read(key), read(each)) for key, each in parts),
    "slice": lambda parts, read: slice(*map(read, parts)),
}
_READERS: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "int": lambda parts: int(parts, 16),
    "bytes": b85decode,
    "bytearray": lambda parts: bytearray(b85decode(parts)),
    "complex": lambda parts: complex(float(parts[0]), float(parts[1])),
    "datetime": _read_instant,
    "date": date.fromisoformat,
    "time": _read_clock,
    "timedelta": lambda parts: timedelta(*parts),
    "decimal": Decimal,
    "fraction": lambda parts: Fraction(int(parts[0], 16), int(parts[1], 16)),
    "uuid": lambda parts: UUID(parts) if isinstance(parts, str) else UUID(parts[0], is_safe=SafeUUID[parts[1]]),
    "range": lambda parts: range(*parts),
    "array": _read_array,
    "scalar": _read_scalar,
    "record": lambda parts: _read_array(parts)[()],
    "table": _read_table,
}
