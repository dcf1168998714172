"""Whether something else stands under a name of the library than what its own text, or its C, has put there.

A program puts there whatever can be called: functions of the library under other names, what `functools.partial` makes,
methods of an object, objects with `__call__`; and patterns that the library searches for. Of a module in C there is no text:
it is compared with one that is made anew, where that does no more than make it.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pangea.compute.capture.atoms import is_a
from pangea.compute.capture.homes import cythons
from pangea.compute.capture.originals import UNKNOWN, Original

#: Modules in C that can be made anew without a trace.
_IN_C = {"array", "binascii", "cmath", "errno", "itertools", "marshal", "math", "time", "unicodedata", "zlib"}
_WRAPPED = {staticmethod: "__func__", classmethod: "__func__", property: "fget", functools.cached_property: "func"}
#: What importing puts into a module, and making a class into its dictionary.
_ASIDE = {types.ModuleType, types.GetSetDescriptorType, types.MemberDescriptorType}
_CACHED = type(functools.cache(len))
_IN_C_KINDS = (types.BuiltinFunctionType, type)
CONSTANTS = (str, bytes, int, float, bool, type(None))


@functools.cache
def _made_anew(name: str) -> dict[str, Any] | None:
    spec = importlib.util.find_spec(name) if name in _IN_C else None
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


def differs_from_c(module: str, name: str, value: Any) -> bool:
    """Whether a module in C has something else under `name` than a new one has, as far as that can be told."""
    new = _made_anew(module)
    if new is None or name.startswith("_"):
        return False
    before = new.get(name, UNKNOWN)
    if before is UNKNOWN or type(before).__name__ != type(value).__name__:
        return True
    if is_a(value, *_IN_C_KINDS):
        return bool(before.__name__ != value.__name__)
    return type(value) in CONSTANTS and repr(before) != repr(value)  # NaN equals none


@dataclass(frozen=True, slots=True)
class Owner:
    """A module of the library, or one of its classes.

    Attributes:
        values: the module's names.
        text: the module's; None if it has none.
        kind: name of the class; empty for the module itself.
    """

    values: Mapping[str, Any]
    text: Original | None
    kind: str = ""

    @property
    def around(self) -> str:
        """The beginning of its names."""
        return self.kind and f"{self.kind}."

    @property
    def own_text(self) -> Original | None:
        """The module's text, or the body of the class."""
        return self.text.class_(self.kind) if self.text is not None and self.kind else self.text


def is_other(owner: Owner, name: str, value: Any, is_users: Callable[[Any], bool]) -> bool:
    """Whether `owner` hasn't made itself what it has under a name, as far as its text shows.

    Args:
        owner: has it.
        name: what it is called there.
        value: what it is.
        is_users: says whether a value is of a type of the user's.
    """
    kind = type(value)
    if kind is types.FunctionType and value.__globals__ is owner.values and value.__code__.co_qualname == f"{owner.around}{name}":
        return False  # as nearly all are
    if kind is types.FunctionType and cythons(value) is not None:
        return False
    plain = _unwrapped(value) if kind is not type else value
    if kind in _ASIDE or _is_as_named(owner, plain, name):
        return False
    written = owner.own_text
    if written is None:
        return False
    if written.defines(name):
        return not written.is_decorated(name) or is_users(value)
    if (alias := written.alias(name)) is not None:
        meant = _looked_up(owner.values, alias)
        if meant is UNKNOWN or bool(meant == value) or _is_as_named(owner, plain, alias):
            return False
        return not written.touches(name)
    return is_users(value) or (not (owner.kind and name.startswith("_")) and written.lacks(name))


def _unwrapped(value: Any) -> Any:
    inner = getattr(value, _WRAPPED[type(value)]) if type(value) in _WRAPPED else value
    while is_a(inner, types.FunctionType, _CACHED) and is_a(vars(inner).get("__wrapped__"), types.FunctionType):
        inner = vars(inner)["__wrapped__"]
    return inner


def _is_as_named(owner: Owner, plain: Any, name: str) -> bool:
    """Whether what was defined in C, or in the module's own text, is called there as it calls itself."""
    around = owner.around
    if is_a(plain, types.FunctionType):
        qualname = plain.__code__.co_qualname
        return plain.__globals__ is owner.values and (qualname in (around + name, name) or "<locals>" in qualname)
    if is_a(plain, type):
        return plain.__qualname__ in (around + name, name) and _is_librarys(plain)
    holder: Any = getattr(plain, "__self__" if is_a(plain, types.BuiltinFunctionType) else "__objclass__", None)
    if is_a(holder, type):
        return bool(holder.__name__ == owner.kind)
    return is_a(plain, types.BuiltinFunctionType) and plain.__name__ == name and _is_librarys(plain)


def _is_librarys(value: Any) -> bool:
    return str(value.__module__).partition(".")[0] in sys.stdlib_module_names


def _looked_up(values: Mapping[str, Any], dotted: str) -> Any:
    first, *rest = dotted.split(".")
    found = values.get(first, UNKNOWN)
    for each in rest if found is not UNKNOWN else ():
        found = getattr(found, each, UNKNOWN)
    return found
