"""What a program has changed in the standard library without putting code of its own there: tables, constants, defaults.

Compared is what the modules that a job uses say of themselves (`originals`). Of a table travels what was put in and taken
out, since the guest's own may have more in it; there, too, it stays the object that the library's modules share.
"""

from __future__ import annotations

import enum
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pangea.compute.capture.atoms import is_a
from pangea.compute.capture.homes import Homes, defining_module
from pangea.compute.capture.originals import UNKNOWN, Original, original
from pangea.compute.capture.patches import is_put
from pangea.compute.capture.standing import CONSTANTS, Owner, differs_from_c, is_other
from pangea.compute.capture.walk import Step, Walk

Place = tuple[str, str]
_TABLES = (list, dict, set)
_COMPARED = (*CONSTANTS, *_TABLES, tuple, frozenset, re.Pattern)
#: Say nothing of how Python works: of the machine, of the interpreter that runs, or handled by themselves.
_ASIDE = {"sys", "builtins", "__main__", "os", "posix", "opcode", "dis", "warnings", "logging", "site", "linecache"}
_ABSENT = object()
#: By place, what was there when it was looked at, and was the library's own. It stays alive, so that it can be told again.
_OWN: dict[Place, Any] = {}
_HEAP_TYPE = 1 << 9


def take_changes(walk: Walk) -> bool:
    """Take along what was changed in the modules that the job uses; whether that was new."""
    found = False
    packages = tuple(f"{name}." for name in walk.libraries if hasattr(sys.modules.get(name), "__path__"))
    inside = [name for name in sorted(sys.modules) if name.startswith(packages)] if packages else []
    for name in [each for each in [*walk.libraries, *inside] if ("changes", each) not in walk.looked_at]:
        walk.looked_at.add(("changes", name))
        module = sys.modules.get(name)
        if isinstance(module, types.ModuleType) and _is_compared(name):
            for place, before, now in changed(module, walk.homes):
                found |= place not in walk.patches and _take(walk, place, before, now)
    return found


def _is_compared(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names - _ASIDE


def changed(module: types.ModuleType, homes: Homes) -> Iterator[tuple[Place, Any, Any]]:
    """Place, value by the text, and value now, of what was changed in a module and its classes."""
    name, values = module.__name__, vars(module)
    owner = Owner(values, original(module))
    yield from _changed(name, owner, ((key, each) for key, each in values.items() if key[:2] != "__"), homes)
    if owner.text is not None:
        for key, kind in _sorted((key, each) for key, each in values.items() if _is_class_of(each, name, key)):
            yield from _changed(name, Owner(values, owner.text, key), vars(kind).items(), homes)


def _changed(module: str, owner: Owner, values: Iterable[tuple[str, Any]], homes: Homes) -> Iterator[tuple[Place, Any, Any]]:
    for key, value in _sorted(values):
        place = (module, f"{owner.around}{key}")
        if _OWN.get(place, _ABSENT) is value:
            continue
        found = [*_looked_at(place, owner, key, value, homes)]
        if not found and type(value) not in (*_TABLES, tuple):
            _OWN[place] = value
        yield from found


def _looked_at(place: Place, owner: Owner, key: str, value: Any, homes: Homes) -> Iterator[tuple[Place, Any, Any]]:
    if owner.text is None:
        if differs_from_c(place[0], key, value):
            yield place, _ABSENT, value
    elif type(value) not in _COMPARED:
        if not is_put(homes, value) and not _is_of_package(value) and is_other(owner, key, value, _is_users(homes)):
            yield place, _ABSENT, value
    elif (text := owner.own_text) is not None and key[:2] != "__":
        yield from _compared(place, text, key, value)


def _is_of_package(value: Any) -> bool:
    """Whether a package has put there a function or class of its own: not the program's doing, and rarely a job's business."""
    is_named = is_a(value, types.FunctionType, types.BuiltinFunctionType, type)
    return is_named and defining_module(value).partition(".")[0] not in sys.stdlib_module_names | {"None", ""}


def stands_for_another(homes: Homes, module: str, name: str, value: Any) -> bool:
    """Whether the program has put under a name of a loaded module of the library what stands there now."""
    loaded = sys.modules[module]
    return _is_compared(module) and is_other(Owner(vars(loaded), original(loaded)), name, value, _is_users(homes))


def _sorted(values: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return sorted(values, key=lambda pair: pair[0])


def _is_users(homes: Homes) -> Callable[[Any], bool]:
    return lambda value: homes.is_value(type(value).__module__)


def _is_class_of(value: Any, module: str, name: str) -> bool:
    is_plain = is_a(value, type) and not is_a(value, enum.EnumMeta) and value.__flags__ & _HEAP_TYPE
    return bool(is_plain) and (value.__module__, value.__qualname__) == (module, name)


def _compared(place: Place, text: Original, key: str, value: Any) -> Iterator[tuple[Place, Any, Any]]:
    before = text.was(key, value)
    if before is not UNKNOWN:
        yield place, before, value
    elif type(value) not in _TABLES and (key[:1] != "_" or "." not in place[1]) and text.lacks(key):
        yield place, _ABSENT, value


def _take(walk: Walk, place: Place, before: Any, now: Any) -> bool:
    def refer() -> None:
        if type(now) in _TABLES and type(before) is type(now):
            walk.updates[place] = [type(now).__name__, *(walk.refs(each) for each in _difference(before, now))]
        else:
            walk.patches[place] = (
                walk.enter(now, Step(-1, "patch", ".".join(place))) if type(now) not in CONSTANTS else walk.ref(now)
            )

    if walk.attempt(refer, lean=True):
        return True
    walk.updates.pop(place, None)
    walk.patches.pop(place, None)
    walk.warn(f"the program has changed {'.'.join(place)}, which can't travel: a job has the library's own")
    return False


def _difference(before: Any, now: Any) -> tuple[list[Any], list[Any]]:
    """What was taken out and what was put in; of a list that wasn't only added to, all there was and is."""
    if isinstance(now, dict):
        return [key for key in before if key not in now], [
            part for key, each in now.items() if key not in before or before[key] != each for part in (key, each)
        ]
    if isinstance(now, set):
        return sorted(before - now, key=repr), sorted(now - before, key=repr)
    return ([], now[len(before) :]) if now[: len(before)] == before else (before, now)


def look_at_name(walk: Walk, module: types.ModuleType, name: str, value: Any) -> None:
    """Take along what a module of the library has under a name that code reads, if it was changed."""
    text = original(module)
    if type(value) in CONSTANTS and text is not None:
        if text.was(name, value) is not UNKNOWN or (name[:2] != "__" and text.lacks(name)):
            walk.patches[module.__name__, name] = walk.ref(value, "patch", name)
    elif is_other(Owner(vars(module), text), name, value, _is_users(walk.homes)):
        walk.patches[module.__name__, name] = walk.ref(value, "patch", name)
    elif is_a(value, types.FunctionType):
        look_at_defaults(walk, value)


def look_at_defaults(walk: Walk, function: types.FunctionType) -> None:
    """Warn if a function of the library has other defaults than in its text."""
    module = sys.modules.get(function.__module__)
    if module is None or module.__name__.partition(".")[0] not in sys.stdlib_module_names:
        return
    text = original(module)
    written = text.signature(function.__name__) if text is not None and function.__qualname__ == function.__name__ else None
    for name, now in _defaults(function) if written is not None else ():
        before = (written or {}).get(name, UNKNOWN)
        if before is not UNKNOWN and (type(before), before) != (type(now), now):
            walk.warn(
                f"the program has given {module.__name__}.{function.__name__} another default for {name}: "
                "a job has the library's own, so pass it"
            )


def _defaults(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    plain, given = function.__code__.co_varnames[: function.__code__.co_argcount], function.__defaults__ or ()
    yield from zip(plain[len(plain) - len(given) :], given, strict=False)
    yield from (function.__kwdefaults__ or {}).items()
