"""What a program has changed in the standard library without putting code of its own there: tables, constants, defaults.

Compared is what the modules that a job uses say of themselves (`originals`). Of a table travels what was put in and taken
out, since the guest's own may have more in it; there, too, it stays the object that the library's modules share.
"""

from __future__ import annotations

import enum
import sys
import types
from collections.abc import Iterator
from typing import Any

from pangea.compute.capture.atoms import is_a
from pangea.compute.capture.homes import lookup
from pangea.compute.capture.originals import UNKNOWN, Original, original
from pangea.compute.capture.walk import Step, Walk

Place = tuple[str, str]
CONSTANTS = (str, bytes, int, float, bool, type(None))
_TABLES = (list, dict, set)
#: Say nothing of how Python works: of the machine, of the interpreter that runs, or handled by themselves.
_ASIDE = {"sys", "builtins", "__main__", "os", "posix", "opcode", "dis", "warnings", "logging", "site", "linecache"}
_ABSENT = object()


def take_changes(walk: Walk) -> bool:
    """Take along what was changed in the modules that the job uses; whether that was new."""
    found = False
    packages = tuple(f"{name}." for name in walk.libraries if hasattr(sys.modules.get(name), "__path__"))
    inside = [name for name in sorted(sys.modules) if name.startswith(packages)] if packages else []
    for name in [each for each in [*walk.libraries, *inside] if ("changes", each) not in walk.looked_at]:
        walk.looked_at.add(("changes", name))
        module = sys.modules.get(name)
        if isinstance(module, types.ModuleType) and name.partition(".")[0] in sys.stdlib_module_names - _ASIDE:
            for place, before, now in _changed(module):
                found |= place not in walk.patches and _take(walk, place, before, now)
    return found


def _changed(module: types.ModuleType) -> Iterator[tuple[Place, Any, Any]]:
    """Place, value by the text, and value now, of what was changed in a module and its classes."""
    text = original(module)
    if text is None:
        return
    name = module.__name__
    for key, value in sorted(_plain(vars(module))):
        yield from _compared((name, key), text, key, value)
    for key, kind in sorted((key, each) for key, each in vars(module).items() if _is_class_of(each, name, key)):
        body = text.class_(key)
        for inner, value in sorted(_plain(vars(kind))) if body is not None else []:
            yield from _compared((name, f"{key}.{inner}"), body, inner, value)


def _plain(values: Any) -> list[tuple[str, Any]]:
    return [(key, each) for key, each in values.items() if key[:1] != "_" and type(each) in (*CONSTANTS, *_TABLES, tuple)]


def _is_class_of(value: Any, module: str, name: str) -> bool:
    return is_a(value, type) and not is_a(value, enum.EnumMeta) and (value.__module__, value.__qualname__) == (module, name)


def _compared(place: Place, text: Original | None, key: str, value: Any) -> Iterator[tuple[Place, Any, Any]]:
    assert text is not None
    before = text.was(key, value)
    if before is not UNKNOWN:
        yield place, before, value
    elif type(value) not in _TABLES and text.lacks(key):
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
    elif is_a(value, types.FunctionType, types.BuiltinFunctionType):
        if _was_put(module, text, name, value):
            walk.patches[module.__name__, name] = walk.ref(value, "patch", name)
        elif is_a(value, types.FunctionType):
            look_at_defaults(walk, value)


def _was_put(module: types.ModuleType, text: Original | None, name: str, value: Any) -> bool:
    """Whether a function of the library is under a name that its module gives to another one."""
    if module.__name__.partition(".")[0] not in sys.stdlib_module_names - _ASIDE:
        return False
    fast = vars(sys.modules.get(f"_{module.__name__}", module)).get(name, value)
    if fast is not value and is_a(fast, types.BuiltinFunctionType):
        return not (text is not None and text.defines(name) and getattr(value, "__qualname__", None) == name)
    if is_a(value, types.FunctionType):
        return (
            text is not None and text.defines(name) and value.__code__.co_qualname != name and not hasattr(value, "__wrapped__")
        )
    return text is None and value.__name__ != name and lookup(module.__name__, value.__name__) is value


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
