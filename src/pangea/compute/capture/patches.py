"""What a program has put into the library: functions in place of its own, methods of its classes, constants with another value.

A job has the library as it is when it is installed, so what was put there travels, and is put there, too.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

from pangea.compute.capture.atoms import is_a
from pangea.compute.capture.homes import Homes, defining_module
from pangea.compute.capture.walk import Step, Walk

_HEAP_TYPE = 1 << 9
#: Hold what a program is to do at its own end, or at its errors.
_ASIDE = {"sys", "builtins", "__main__"}
_WRAPPERS = (staticmethod, classmethod)


def take_patches(walk: Walk) -> bool:
    """Take along what was put into the modules that the job uses; whether that was new.

    Raises:
        JobDefinitionError: one that code names can't travel.
    """
    found, owners = False, _Owners(walk.homes)
    for module in [each for each in walk.libraries if each not in walk.looked_at]:
        walk.looked_at.add(module)
        for place, value in _patches(owners, module):
            found |= place not in walk.patches and _take(walk, place, value)
    return found


def _take(walk: Walk, place: tuple[str, str], value: Any) -> bool:
    shown = ".".join(place)

    def refer() -> None:
        walk.patches[place] = walk.enter(value, Step(-1, "patch", shown))

    if walk.attempt(refer):
        return True
    walk.patches.pop(place, None)
    last = place[1].rpartition(".")[2]
    if any(last in each.attributes | each.names for each in walk.scans()):
        refer()
        return True
    walk.warn(f"the program has put a function of its own at {shown}, which can't travel: a job has the library's")
    return False


class _Owners:
    """Whose functions and classes are, asked for thousands of them: once for each module."""

    def __init__(self, homes: Homes) -> None:
        self._homes = homes
        self._by_globals: dict[int, bool] = {}
        self._by_name: dict[str, bool] = {}
        self.seen: set[int] = set()

    def has(self, function: types.FunctionType) -> bool:
        """Whether a function is the user's."""
        key = id(function.__globals__)
        if key not in self._by_globals:
            self._by_globals[key] = is_users(self._homes, function)
        return self._by_globals[key]

    def has_class(self, value: type) -> bool:
        """Whether a class is the user's."""
        module = str(value.__module__)
        if module not in self._by_name:
            self._by_name[module] = self._homes.is_value(module)
        return self._by_name[module]


def _patches(owners: _Owners, module: str) -> Iterator[tuple[tuple[str, str], Any]]:
    loaded = sys.modules.get(module)
    if loaded is None or module in _ASIDE:
        return
    values = vars(loaded)
    kept = [(name, value) for name, value in values.items() if is_a(value, type, types.FunctionType)]
    for name, value in sorted(kept, key=lambda each: each[0]):
        if is_a(value, types.FunctionType):
            if value.__globals__ is not values and owners.has(value):
                yield (module, name), value
        elif not owners.has_class(value):
            yield from _of_class(owners, value)
        elif not name.startswith("__"):
            yield (module, name), value


def _of_class(owners: _Owners, value: type) -> Iterator[tuple[tuple[str, str], Any]]:
    if id(value) in owners.seen or not value.__flags__ & _HEAP_TYPE:
        return
    owners.seen.add(id(value))
    found = [name for name, entry in vars(value).items() if _is_put(owners, entry)]
    yield from (((value.__module__, f"{value.__qualname__}.{name}"), vars(value)[name]) for name in sorted(found))


def _is_put(owners: _Owners, entry: Any) -> bool:
    plain = _plain(entry)
    return is_a(plain, types.FunctionType) and owners.has(plain)


def _plain(entry: Any) -> Any:
    kind = type(entry)
    return entry.fget if kind is property else entry.__func__ if kind in _WRAPPERS else entry


def is_put(homes: Homes, entry: Any) -> bool:
    """Whether what a module or class has is a function of the user's, or made of one."""
    plain = _plain(entry)
    return is_a(plain, types.FunctionType) and is_users(homes, plain)


def is_users(homes: Homes, function: Any) -> bool:
    """Whether a function is of a module that travels by value."""
    return homes.is_value(defining_module(function))
