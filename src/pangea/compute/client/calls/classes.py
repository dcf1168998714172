"""Which classes of the user's a call's values may be of: dataclasses, named tuples and enums.

Values name them by number only. The classes themselves travel with the function, so that what comes back is of the very classes
that the caller has; a class that only the sandbox knows is refused there by name.
"""

from __future__ import annotations

import functools
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from enum import Enum
from types import CodeType, FunctionType, MethodType
from typing import Any

from pangea.compute.data import tagged

#: A subclass of these holds more than its fields.
_WITH_CONTENTS = (int, float, complex, str, bytes, bytearray, list, dict, set, frozenset, deque, BaseException)
#: Functions and classes that are looked at for others: beyond this they are somebody's library.
_LOOKED_AT_MAX = 2_000


class Classes:
    """The classes that values are known to be of, in the order in which they were found."""

    def __init__(self, *functions: Any) -> None:
        """Know the classes that `functions` name, and those that these name; none, of None."""
        self._numbers: dict[type, int] = {}
        for found in _reached(functions):
            self.add(found)

    @property
    def known(self) -> tuple[type, ...]:
        """All of them, for `tagged.loads` and for the function to take along."""
        return tuple(self._numbers)

    def learn(self, classes: tuple[type, ...]) -> None:
        """Know these, too."""
        for kind in classes:
            self.add(kind)

    def add(self, kind: type) -> bool:
        """Know `kind` from now on; whether it is one that values may be of."""
        if kind not in self._numbers and is_value_class(kind):
            self._numbers[kind] = len(self._numbers)
        return kind in self._numbers

    def dumps(self, value: Any) -> bytes:
        """`tagged.dumps`, with classes learned on the way.

        Raises:
            DataError: a value of a type that has no place here; says which.
        """
        return tagged.dumps(value, tagged.Classes(self._numbers, self.add))


def is_value_class(kind: type) -> bool:
    """Whether instances are described by their fields alone, and the class is the user's."""
    if kind.__module__ in sys.stdlib_module_names or kind.__module__ == "builtins" or _is_pangea(kind):
        return False
    if issubclass(kind, tuple):
        return hasattr(kind, "_fields")
    return issubclass(kind, Enum) or (is_dataclass(kind) and not issubclass(kind, _WITH_CONTENTS))


def _is_pangea(value: type | FunctionType) -> bool:
    """Whether something is this package's own, which a function's module may name beside its job."""
    return str(value.__module__).startswith("pangea.compute.")


def _reached(functions: Iterable[Any]) -> Iterator[type]:
    waiting, seen = [*functions], set[int]()
    while waiting and len(seen) < _LOOKED_AT_MAX:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, type):
            if is_value_class(value):
                yield value
            waiting += [each for each in vars(value).values() if isinstance(each, FunctionType)]
        elif isinstance(value, FunctionType):
            waiting += [] if _is_pangea(value) else _named(value)
        elif isinstance(value, functools.partial):
            waiting += [value.func, *value.args, *value.keywords.values()]
        elif isinstance(value, MethodType):
            waiting += [value.__func__, value.__self__ if isinstance(value.__self__, type) else type(value.__self__)]
        elif type(value) in (list, tuple, dict):
            waiting += value.values() if isinstance(value, dict) else value
        else:
            waiting += [type(value)] if is_value_class(type(value)) else []


def _named(function: FunctionType) -> list[Any]:
    """What a function's code can name: globals, cells, defaults; of containers that are constants nothing."""
    names: set[str] = set()
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
    found = [function.__globals__[name] for name in sorted(names) if name in function.__globals__]
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    wrapped = getattr(function, "__wrapped__", None)
    return [*found, *cells, *defaults, *([wrapped] if wrapped is not None else [])]


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False
