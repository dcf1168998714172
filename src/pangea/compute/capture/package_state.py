"""What a program has set in pure-Python packages, whose text alone travels: their settings, and what it has registered there.

A package is imported anew in a job. What a program has set there before is told by what its modules hold now:

- names of modules and attributes of classes that aren't what the text says: numbers, texts, and tables of such;
- objects that a module has under a name, such as `mpmath.mp`: of their attributes, numbers, texts and tables of such;
- tables of modules, classes and such objects: of their entries, those that are the user's functions, classes and instances;
- names that functions assign (`global`), as long as all that they assign in that module are plain, before and now.

What says how far a package has come by itself stays behind: it would be wrong without the rest, and comes about again.
"""

from __future__ import annotations

import os
import re
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

from pangea.compute.capture.atoms import is_a
from pangea.compute.capture.homes import SITE, SITE_FOLDERS, Homes
from pangea.compute.capture.originals import UNKNOWN, Original, original
from pangea.compute.capture.putting import put_entries, put_state
from pangea.compute.capture.standing import CONSTANTS
from pangea.compute.capture.walk import Walk

#: As registrations have it: module, function, and what tells it from others; then the arguments.
Call = tuple[tuple[str, str, str], list[Any]]
Place = tuple[str, ...]
_HEAP_TYPE = 1 << 9
_CONSTANTS = frozenset(map(id, CONSTANTS))
_TABLES = frozenset(map(id, (list, dict, set)))
_NESTED = frozenset(map(id, (list, tuple, dict, set, frozenset)))
#: Where `gettext` looks.
_LANGUAGES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
_DEPTH_MAX = 4
_ITEMS_MAX = 10_000
_GROUP_MAX = 10
#: Truth values, and names that have none yet, that say how far a package has come.
_PROGRESS = re.compile(r"load|init|ready|built|build|cache|lazy|done|seen|setup|compil|parsed|install|regist", re.IGNORECASE)


def take_package_state(walk: Walk) -> bool:
    """Take along what the program has set in the packages that the job brings; whether that was new."""
    found = _take_languages(walk)
    read = {name for each in walk.scans() for name in each.attributes}
    for module in _modules(walk):
        calls = [*_told(module, read), *_settings(module, read), *_registered(walk.homes, module), *_assigned(module, read)]
        for key, arguments in calls:
            if key not in walk.calls:
                found |= _take(walk, key, arguments)
    return found


def _take_languages(walk: Walk) -> bool:
    """Take along in which languages this machine speaks, if a package asks `gettext` for them."""
    if ("state", "gettext") in walk.looked_at or not any(b"gettext" in text for text in walk.homes.packages.files.values()):
        return False
    walk.looked_at.add(("state", "gettext"))
    said = {name: os.environ[name] for name in _LANGUAGES if name in os.environ}
    return bool(said) and _take(walk, *_call(put_entries, ("os", "environ"), said))


def _modules(walk: Walk) -> list[types.ModuleType]:
    """The loaded modules of the packages that come along, less those that were looked at."""
    shipped = walk.homes.packages.modules()
    new = [name for name in sorted(shipped & sys.modules.keys()) if ("state", name) not in walk.looked_at]
    walk.looked_at.update(("state", name) for name in new)
    return [each for each in map(sys.modules.__getitem__, new) if is_a(each, types.ModuleType)]


def _take(walk: Walk, key: tuple[str, str, str], arguments: list[Any]) -> bool:
    def refer() -> None:
        walk.calls[key] = walk.refs(arguments, "argument")

    if walk.attempt(refer, lean=True):
        return True
    walk.calls.pop(key, None)
    return False


def _call(function: Any, place: Place, state: Mapping[Any, Any]) -> Call:
    names = ", ".join(str(each) for each in state if type(each) in (str, int))
    return ("operator", "call", f"{function.__name__} {'.'.join(place)}: {names}"), [
        function,
        place,
        tuple(state),
        tuple(state.values()),
    ]


def _told(module: types.ModuleType, read: set[str]) -> Iterator[Call]:
    """What isn't as the text says."""
    text = original(module)
    if text is None:
        return
    owners: list[tuple[Place, Original, dict[str, Any]]] = [((module.__name__,), text, vars(module))]
    for name, kind in sorted(vars(module).items()):
        if _is_own_class(module, name, kind) and (body := text.class_(name)) is not None:
            owners.append(((module.__name__, name), body, dict(vars(kind))))
    for place, written, values in owners:
        plain = {name: each for name, each in values.items() if name[:2] != "__" and _is_setting(name, each, read)}
        changed = {name: each for name, each in sorted(plain.items()) if written.was(name, each) is not UNKNOWN}
        if changed:
            yield _call(put_state, place, changed)


def _is_own_class(module: types.ModuleType, name: str, value: Any) -> bool:
    is_plain = is_a(value, type) and value.__flags__ & _HEAP_TYPE
    return bool(is_plain) and (value.__module__, value.__qualname__) == (module.__name__, name)


def _instances(module: types.ModuleType) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The package's own objects that a module has under a name, and their attributes."""
    top = module.__name__.partition(".")[0]
    for name, value in sorted(vars(module).items()):
        kind = type(value)
        if not kind.__flags__ & _HEAP_TYPE or is_a(value, type, types.ModuleType) or name[:2] == "__":
            continue
        if str(kind.__module__).partition(".")[0] == top and (state := _attributes(value)):
            yield (module.__name__, name), state


def _attributes(value: Any) -> dict[str, Any] | None:
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return found if type(found) is dict else None


def _settings(module: types.ModuleType, read: set[str]) -> Iterator[Call]:
    for place, state in _instances(module):
        kept = {name: each for name, each in state.items() if name[:2] != "__" and _is_setting(name, each, read)}
        if kept:
            yield _call(put_state, place, kept)


def _is_setting(name: str, value: Any, read: set[str]) -> bool:
    """Whether a value is plain, and no sign of how far a package has come that the job itself doesn't read."""
    is_sign = (value is None or type(value) is bool) and _PROGRESS.search(name) is not None
    return _is_plain(value) and not _names_a_place(value) and (not is_sign or name in read)


def _names_a_place(value: Any) -> bool:
    """Whether a text, or one in a table, is a path to where packages are on this machine: in a job they have one of their own."""
    if type(value) is str:
        return value.startswith(SITE) or any(folder in value for folder in SITE_FOLDERS)
    parts = [*value, *value.values()] if type(value) is dict else value if id(type(value)) in _NESTED else ()
    return any(_names_a_place(each) for each in parts)


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether a value is a number, a text or a table of such."""
    kind = type(value)
    if id(kind) in _CONSTANTS:
        return True
    if depth > _DEPTH_MAX or id(kind) not in _NESTED or len(value) > _ITEMS_MAX:
        return False
    parts = [*value, *value.values()] if kind is dict else value
    return all(_is_plain(each, depth + 1) for each in parts)


def _registered(homes: Homes, module: types.ModuleType) -> Iterator[Call]:
    """Entries of tables that are the user's."""
    tables: list[tuple[Place, Any]] = [((module.__name__, name), each) for name, each in sorted(vars(module).items())]
    for name, kind in sorted(vars(module).items()):
        if _is_own_class(module, name, kind):
            tables += [((module.__name__, name, key), each) for key, each in vars(kind).items()]
    for place, state in _instances(module):
        tables += [((*place, key), each) for key, each in state.items() if type(key) is str]
    for place, table in tables:
        if place[-1][:2] != "__" and id(type(table)) in _TABLES and 0 < len(table) <= _ITEMS_MAX:
            entries = table.items() if type(table) is dict else enumerate(table)
            found = {key: each for key, each in entries if _is_users(homes, each) or _is_users(homes, key)}
            if found:
                yield _call(put_entries, place, found)


def _is_users(homes: Homes, value: Any) -> bool:
    """Whether something is the user's function or class, an object of such, or one of a few together is."""
    kind = type(value)
    if id(kind) in _NESTED:
        return 0 < len(value) < _GROUP_MAX and any(_is_users(homes, each) for each in value if id(type(each)) not in _NESTED)
    if kind is types.FunctionType:
        return homes.is_value(str(value.__globals__.get("__name__")))
    kind = value if is_a(value, type) else kind
    return bool(kind.__flags__ & _HEAP_TYPE) and homes.is_value(str(kind.__module__))


def _assigned(module: types.ModuleType, read: set[str]) -> Iterator[Call]:
    """Names that functions of the module assign: an option, where all of them are plain."""
    text = original(module)
    names = text.assigned_by_functions if text is not None else ()
    if text is None or not names:
        return
    before = {name: text.first_value(name) for name in sorted(names)}
    now = {name: vars(module).get(name, UNKNOWN) for name in before}
    if all(id(type(each)) in _CONSTANTS for each in [*before.values(), *now.values()]):
        changed = {name: now[name] for name in before if (type(before[name]), before[name]) != (type(now[name]), now[name])}
        if changed and all(_is_setting(name, each, read) for name, each in changed.items()):
            yield _call(put_state, (module.__name__,), changed)
