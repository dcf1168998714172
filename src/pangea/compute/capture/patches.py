"""What a program has put into the library: functions in place of its own, methods of its classes, constants with another value.

A job has the library as it is when it is installed, so what was put there travels, and is put there, too.
"""

from __future__ import annotations

import ast
import codecs
import contextlib
import copyreg
import linecache
import re
import sys
import types
from collections.abc import Iterator
from typing import Any

from pangea.compute.capture import surroundings
from pangea.compute.capture.atoms import is_a
from pangea.compute.capture.homes import Homes, defining_module
from pangea.compute.capture.walk import Step, Walk

_HEAP_TYPE = 1 << 9
#: Hold what a program is to do at its own end, or at its errors.
_ASIDE = {"sys", "builtins", "__main__"}
#: What importing gives a module, such as where this machine has it.
_OF_IMPORT = {"__name__", "__file__", "__path__", "__cached__", "__package__"}
_CONSTANTS = (str, bytes, int, float, bool, type(None))
_WRAPPERS = (staticmethod, classmethod)
_ABSENT = object()


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


def take_registrations(walk: Walk) -> bool:
    """Take along what the program has told the library, as far as the job uses that part of it; whether that was new."""
    found = False
    for module, function, *arguments in _registrations(walk):
        key = (module, function, getattr(arguments[0], "__qualname__", str(arguments[0])))
        if key not in walk.calls and key not in walk.looked_at:
            walk.looked_at.add(key)
            found |= _take_call(walk, key, arguments)
    return found


def _take_call(walk: Walk, key: tuple[str, str, str], arguments: list[Any]) -> bool:
    shown = f"{key[0]}.{key[1]}({key[2]}, ...)"

    def refer() -> None:
        walk.calls[key] = walk.refs(arguments, "argument")

    if walk.attempt(refer):
        return True
    walk.calls.pop(key, None)
    walk.warn(f"the program has called {shown}, with something that can't travel: a job does without")
    return False


def _registrations(walk: Walk) -> Iterator[tuple[Any, ...]]:
    """What was registered: the module, the function that does it, and its arguments."""
    for text in sorted({each for function in walk.functions() for each in surroundings.texts_in(function)}):
        with contextlib.suppress(LookupError, ValueError, UnicodeError):
            handler = codecs.lookup_error(text)
            if is_a(handler, types.FunctionType) and is_users(walk.homes, handler):
                yield "codecs", "register_error", text, handler
    if walk.libraries.keys() & {"copy", "copyreg", "pickle"}:
        for kind, function in copyreg.dispatch_table.items():
            if is_a(function, types.FunctionType) and is_users(walk.homes, function):
                yield "copyreg", "pickle", kind, function
    used = {name: sys.modules[name] for name in walk.libraries if name in sys.modules}  # who loads nothing has told it nothing
    if "calendar" in used and (first := used["calendar"].firstweekday()):
        yield "calendar", "setfirstweekday", first
    if "xml.etree.ElementTree" in used:
        known = vars(used["xml.etree.ElementTree"])["_namespace_map"]
        yield from (
            ("xml.etree.ElementTree", "register_namespace", known[each], each)
            for each in sorted(known)
            if known[each] not in _PREFIXES
        )
    if "sqlite3" in used:
        yield from _of_databases(walk.homes, used["sqlite3"])


def _of_databases(homes: Homes, sqlite: types.ModuleType) -> Iterator[tuple[Any, ...]]:
    for (kind, _), function in sqlite.adapters.items():
        if homes.is_value(str(kind.__module__)):
            yield "sqlite3", "register_adapter", kind, function
    for name, function in sorted(sqlite.converters.items()):
        if name not in _CONVERTERS:
            yield "sqlite3", "register_converter", name, function


_CONVERTERS = {"DATE", "TIMESTAMP"}
_PREFIXES = {"xml", "html", "rdf", "wsdl", "xs", "xsi", "dc"}


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
    kind = type(entry)
    plain = entry.fget if kind is property else entry.__func__ if kind in _WRAPPERS else entry
    return is_a(plain, types.FunctionType) and owners.has(plain)


def is_users(homes: Homes, function: Any) -> bool:
    """Whether a function is of a module that travels by value."""
    return homes.is_value(defining_module(function))


def look_at_constant(walk: Walk, module: types.ModuleType, name: str, value: Any) -> None:
    """Take along a constant of a module of the library that is another one than in the module's text."""
    if name in _OF_IMPORT:
        return
    if type(value) in _CONSTANTS and (literal := _literal(module, name)) is not _ABSENT and literal != value:
        walk.patches[module.__name__, name] = walk.ref(value, "patch", name)


def _literal(module: types.ModuleType, name: str) -> Any:
    """What the text of a module says that its constant is.

    `NotImplemented` if it has no such name; the mark of absence if it can't be told.
    """
    file = getattr(module, "__file__", None) or ""
    if not file.endswith(".py"):
        return _ABSENT
    text = "".join(linecache.getlines(file))
    if not re.search(rf"\b{re.escape(name)}\b", text):
        return _ABSENT if _MAKES_NAMES.search(text) else NotImplemented
    found = re.findall(rf"^[ \t]*{re.escape(name)}[ \t]*(?::[^=\n]+)?=(?!=)(.*)$", text, re.MULTILINE)
    try:
        values = [ast.literal_eval(each.strip()) for each in found]
    except (ValueError, SyntaxError):
        return _ABSENT
    return values[0] if len(values) == 1 else _ABSENT


#: A text that gives its module names that it doesn't show.
_MAKES_NAMES = re.compile(r"import \*|globals\(\)|vars\(\)|locals\(\)|setattr|__getattr__")
