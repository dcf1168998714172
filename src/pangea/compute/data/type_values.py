"""Types as values: built-in ones, those of usual values, the library's enums, the caller's own, and what is made of them.

A type is written as its name, or its number among the caller's own, and what is made of types as a list of those. Only what is
named here is ever imported when one is read.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import operator
import types
import typing
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, Generic
from uuid import UUID

from pangea.compute.data.errors import NoPlaceError, shown

#: The library's enums that the guest has, by the module that defines them.
_ENUMS = {
    "annotationlib": ("Format",),
    "calendar": ("Day", "Month"),
    "enum": ("EnumCheck", "FlagBoundary"),
    "http": ("HTTPMethod", "HTTPStatus"),
    "inspect": ("BufferFlags", "_ParameterKind"),
    "plistlib": ("PlistFormat",),
    "py_compile": ("PycInvalidationMode",),
    "re": ("RegexFlag",),
    "signal": ("Handlers", "Signals"),
    "symtable": ("SymbolTableType",),
    "uuid": ("SafeUUID",),
}
_OTHERS = (
    type(None),
    type(...),
    Counter,
    OrderedDict,
    defaultdict,
    deque,
    date,
    datetime,
    time,
    timedelta,
    Decimal,
    Fraction,
    UUID,
)
_PLAIN: dict[str, Any] = {name: each for name, each in vars(builtins).items() if isinstance(each, type) and each.__name__ == name}
_PLAIN |= {each.__name__: each for each in _OTHERS}
_NAMES = {each: name for name, each in _PLAIN.items()}
_PLAIN |= {"Any": typing.Any, "...": ...}
_ALIASES = (types.GenericAlias, type(typing.List[int]))  # noqa: UP006 (its own type is meant)
_UNIONS = (types.UnionType, type(typing.Union[int, str]))  # noqa: UP007 (the same)


def library_enum(kind: type) -> str:
    """The name of an enum of the library's that has a place here; empty of any other class."""
    return f"{kind.__module__}.{kind.__name__}" if kind.__name__ in _ENUMS.get(kind.__module__, ()) else ""


def read_enum(name: str) -> type[Enum]:
    """The enum that `library_enum` named.

    Raises:
        LookupError: there is none of that name.
        AttributeError: this Python has it not.
    """
    module, _, own = name.rpartition(".")
    if own not in _ENUMS[module]:
        raise LookupError(name)
    return typing.cast(type[Enum], getattr(importlib.import_module(module), own))


def is_type(value: Any) -> bool:
    """Whether a value is a type, or made of types."""
    return isinstance(value, (type, *_ALIASES, *_UNIONS))


def written_type(value: Any, number: Callable[[type], int | None]) -> Any:
    """What stands for a type.

    Args:
        value: the type.
        number: says the number of a class of the caller's own; None of any other.

    Raises:
        NoPlaceError: it has no place here.
    """
    if value is typing.Any or value is ...:
        return "Any" if value is typing.Any else "..."
    parts = [written_type(each, number) for each in typing.get_args(value)] if isinstance(value, (*_ALIASES, *_UNIONS)) else []
    if isinstance(value, _UNIONS):
        return ["union", *parts]
    if isinstance(value, _ALIASES):
        origin: Any = typing.get_origin(value)
        named = written_type(origin, number)
        if parts and type(again := origin[typing.get_args(value)]) is type(value) and again == value:  # not List[int]
            return ["of", named, *parts]
    elif isinstance(value, type):
        name = _NAMES.get(value) or library_enum(value)
        found = number(value) if not name else None
        if name or found is not None:
            return name or found
    raise NoPlaceError(f"the type {shown(value)} can't travel as a value")


def read_type(written: Any, classes: Sequence[type]) -> Any:
    """The type that `written_type` wrote, under the caller's classes in the order of their numbers.

    Raises:
        LookupError, TypeError, AttributeError: it is damaged, or this Python has it not.
    """
    if isinstance(written, str):
        return _PLAIN[written] if written in _PLAIN else read_enum(written)
    if isinstance(written, int):
        return classes[written]
    what, *inner = written
    parts = [read_type(each, classes) for each in inner]
    if what == "union":
        return functools.reduce(operator.or_, parts)
    if what != "of" or not (parts[0] in _NAMES or issubclass(parts[0], Generic)):
        raise TypeError(f"{shown(parts[0])} isn't made of types")
    return parts[0][tuple(parts[1:])]
