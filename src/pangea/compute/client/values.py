"""Write values as Python source: what a job's functions use besides functions, classes and modules.

The text is the same for equal values in every run: sets are sorted, and what has no literal is written as a call of its
class. `refer` gives the expression for anything that is found by name, such as a class.
"""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import logging
import operator
import pathlib
import re
import struct
import types
import typing
import uuid
from collections.abc import Callable, Iterable
from typing import Any

Refer = Callable[[Any], str]

#: The parser of the guest gives up at 200 brackets.
_DEPTH_MAX = 60
#: Longer integers have no decimal form (`sys.set_int_max_str_digits`).
_DECIMAL_BITS_MAX = 1 << 12


class UnwritableError(Exception):
    """A value has no source text; the message says why, as the end of a sentence."""


def expression(value: Any, refer: Refer) -> str:
    """Write `value` as an expression.

    Args:
        value: the value.
        refer: gives the expression for a function, class or module.

    Raises:
        UnwritableError: the value, or one inside it, can't be written.
    """
    return _Writer(refer).write(value)


class _Writer:
    def __init__(self, refer: Refer) -> None:
        self._refer = refer
        self._open: list[int] = []

    def write(self, value: Any) -> str:
        if value is type(None):
            return f"{self._refer(type)}(None)"
        if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType | types.ModuleType):
            return self._refer(value)
        if id(value) in self._open:
            raise UnwritableError(f"is a {type(value).__name__} that contains itself")
        if len(self._open) > _DEPTH_MAX:
            raise UnwritableError(f"is nested more than {_DEPTH_MAX} levels deep")
        self._open.append(id(value))
        try:
            return self._write(value)
        finally:
            self._open.pop()

    def _write(self, value: Any) -> str:
        if writer := _WRITERS.get(type(value)):
            return writer(self, value)
        if isinstance(value, enum.Enum):
            return self._member(value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return self._call(type(value), list(value))
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self._dataclass(value)
        if isinstance(value, logging.Logger):
            return f"{self._refer(logging)}.getLogger({value.name!r})"
        if isinstance(value, pathlib.PurePath):
            return self._call(pathlib.Path if isinstance(value, pathlib.Path) else pathlib.PurePosixPath, [value.as_posix()])
        if isinstance(value, typing._GenericAlias | typing._SpecialGenericAlias):  # type: ignore[attr-defined]
            return self._alias(value)
        # A function of C, such as the method of a built-in type, is found by name if by anything.
        if isinstance(value, types.MethodDescriptorType | types.WrapperDescriptorType | types.ClassMethodDescriptorType):
            return self._refer(value)
        if callable(value) and hasattr(value, "__wrapped__"):
            return self._refer(value)
        if type(value).__module__.startswith("pangea.compute.data."):
            return self._chunk(value)
        raise UnwritableError(f"is of type {type(value).__module__}.{type(value).__qualname__}")

    def items(self, values: Iterable[Any]) -> str:
        return ", ".join(map(self.write, values))

    def _call(self, cls: Any, positional: Iterable[Any], keywords: dict[str, Any] | None = None) -> str:
        arguments = [self.write(value) for value in positional]
        arguments += [f"{name}={self.write(value)}" for name, value in (keywords or {}).items()]
        return f"{self._refer(cls)}({', '.join(arguments)})"

    def _member(self, value: enum.Enum) -> str:
        cls = type(value)
        if value.name in cls.__members__ and str(value.name).isidentifier():
            return f"{self._refer(cls)}.{value.name}"
        return self._call(cls, [value.value])

    def _dataclass(self, value: Any) -> str:
        fields = dataclasses.fields(value)
        extra = set(getattr(value, "__dict__", ())) - {field.name for field in fields}
        if extra or not all(field.init for field in fields):
            raise UnwritableError(f"is a {type(value).__qualname__} with attributes that its constructor doesn't take")
        values = {field.name: getattr(value, field.name) for field in fields}
        if type(value)(**values) != value:
            raise UnwritableError(f"is a {type(value).__qualname__} that its constructor doesn't make again")
        return self._call(type(value), (), values)

    def _chunk(self, value: Any) -> str:
        """Write an array or a table, as the file that it is in a chunk."""
        for write, read in (("to_npy", "from_npy"), ("to_arrow", "from_arrow")):
            if hasattr(value, write):
                return f"{self._refer(type(value))}.{read}({getattr(value, write)()!r})"
        raise UnwritableError(f"is of type {type(value).__module__}.{type(value).__qualname__}")

    def _integer(self, value: int) -> str:
        return repr(value) if value.bit_length() <= _DECIMAL_BITS_MAX else hex(value)

    def _float(self, value: float) -> str:
        return repr(value) if value - value == 0 else f"{self._refer(float)}({str(value)!r})"

    def _complex(self, value: complex) -> str:
        return self._call(complex, [value.real, value.imag])

    def _tuple(self, value: tuple[Any, ...]) -> str:
        return f"({self.items(value)}{',' if len(value) == 1 else ''})"

    def _dict(self, value: dict[Any, Any]) -> str:
        return "{" + ", ".join(f"{self.write(key)}: {self.write(item)}" for key, item in value.items()) + "}"

    def _set(self, value: set[Any]) -> str:
        return "{" + ", ".join(sorted(map(self.write, value))) + "}" if value else f"{self._refer(set)}()"

    def _frozenset(self, value: frozenset[Any]) -> str:
        return f"{self._refer(frozenset)}({self._set(set(value)) if value else ''})"

    def _time(self, value: Any) -> str:
        zone = getattr(value, "tzinfo", None)
        if zone is not None and type(zone) is not datetime.timezone:
            raise UnwritableError(f"has a time zone of type {type(zone).__qualname__}, which needs files")
        names = [name for name in ("year", "month", "day", "hour", "minute", "second", "microsecond") if hasattr(value, name)]
        keywords: dict[str, Any] = {"tzinfo": zone} if zone else {}
        if getattr(value, "fold", 0):
            keywords["fold"] = 1
        return self._call(type(value), [getattr(value, name) for name in names], keywords)

    def _zone(self, value: datetime.timezone) -> str:
        if value is datetime.UTC:
            return f"{self._refer(datetime.timezone)}.utc"
        return self._call(datetime.timezone, value.__getinitargs__())  # type: ignore[attr-defined]

    def _partial(self, value: functools.partial[Any]) -> str:
        for name in value.keywords:
            if not name.isidentifier():
                raise UnwritableError(f"is a partial with the keyword {name!r}")
        return self._call(functools.partial, [value.func, *value.args], value.keywords)

    def _reduced(self, value: Any) -> str:
        """Write an object whose `__reduce__` is a call of its class."""
        cls, arguments = value.__reduce__()[:2]
        return self._call(cls if isinstance(cls, type) else type(value), arguments)

    def _defaultdict(self, value: collections.defaultdict[Any, Any]) -> str:
        return self._call(collections.defaultdict, [value.default_factory, dict(value)])

    def _deque(self, value: collections.deque[Any]) -> str:
        return self._call(collections.deque, [list(value), value.maxlen])

    def _array(self, value: array.array[Any]) -> str:
        return self._call(array.array, [value.typecode, value.tolist()])

    def _pattern(self, value: re.Pattern[Any]) -> str:
        return f"{self._refer(re)}.compile({self.write(value.pattern)}, {int(value.flags & ~re.UNICODE)})"

    def _alias(self, value: Any) -> str:
        """Write a type of `typing`: `List`, `List[int]`, `Union[int, str]`."""
        if isinstance(value, typing._SpecialGenericAlias):  # type: ignore[attr-defined]
            return f"{self._refer(typing)}.{value._name}"
        _, (origin, arguments) = value.__reduce__()
        is_form = isinstance(origin, typing._SpecialForm)
        name = f"{self._refer(typing)}.{origin._name}" if is_form else self.write(origin)
        return f"{name}[{self.items(arguments if isinstance(arguments, tuple) else (arguments,))}]"

    def _type_variable(self, value: Any) -> str:
        if value.__constraints__ or value.__bound__ is not None:
            raise UnwritableError("is a TypeVar with a bound")
        return self._call(typing.TypeVar, [value.__name__])


def _constant(_writer: _Writer, value: Any) -> str:
    return repr(value)


_WRITERS: dict[type, Callable[[_Writer, Any], str]] = {
    type(None): _constant,
    bool: _constant,
    str: _constant,
    bytes: _constant,
    type(Ellipsis): _constant,
    type(NotImplemented): _constant,
    int: _Writer._integer,
    float: _Writer._float,
    complex: _Writer._complex,
    tuple: _Writer._tuple,
    list: lambda writer, value: f"[{writer.items(value)}]",
    dict: _Writer._dict,
    set: _Writer._set,
    frozenset: _Writer._frozenset,
    bytearray: lambda writer, value: writer._call(bytearray, [bytes(value)]),
    range: lambda writer, value: writer._call(range, [value.start, value.stop, value.step]),
    slice: lambda writer, value: writer._call(slice, [value.start, value.stop, value.step]),
    array.array: _Writer._array,
    decimal.Decimal: lambda writer, value: writer._call(decimal.Decimal, [str(value)]),
    fractions.Fraction: lambda writer, value: writer._call(fractions.Fraction, [value.numerator, value.denominator]),
    uuid.UUID: lambda writer, value: writer._call(uuid.UUID, [str(value)]),
    datetime.datetime: _Writer._time,
    datetime.date: _Writer._time,
    datetime.time: _Writer._time,
    datetime.timedelta: lambda writer, value: writer._call(type(value), [value.days, value.seconds, value.microseconds]),
    datetime.timezone: _Writer._zone,
    re.Pattern: _Writer._pattern,
    struct.Struct: lambda writer, value: f"{writer._refer(struct)}.Struct({value.format!r})",
    functools.partial: _Writer._partial,
    operator.itemgetter: _Writer._reduced,
    operator.attrgetter: _Writer._reduced,
    collections.OrderedDict: lambda writer, value: writer._call(type(value), [dict(value)]),
    collections.Counter: lambda writer, value: writer._call(type(value), [dict(value)]),
    collections.defaultdict: _Writer._defaultdict,
    collections.deque: _Writer._deque,
    types.MappingProxyType: lambda writer, value: f"{writer._refer(types)}.MappingProxyType({writer._dict(value)})",
    types.GenericAlias: lambda writer, value: f"{writer.write(value.__origin__)}[{writer.items(value.__args__)}]",
    types.UnionType: lambda writer, value: " | ".join(map(writer.write, value.__args__)),
    typing.TypeVar: _Writer._type_variable,
}
