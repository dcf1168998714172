"""An order for what has none: the elements of a set, by what they are, so that hashes and addresses don't show."""

from __future__ import annotations

import enum
import types
from json.encoder import JSONEncoder
from typing import Any

from pangea.compute.capture.atoms import NONE, atom, is_a

_DEPTH_MAX = 4


def order_key(value: Any, depth: int = 0) -> str:
    """A text that is the same for equal elements in every run, and mostly another for others."""
    written = atom(value)
    if written is not NONE:
        return f"{type(value).__name__} {JSONEncoder().encode(written)}"
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if is_a(value, type, types.FunctionType, types.BuiltinFunctionType):
        code = getattr(value, "__code__", None)
        return f"{name} {value.__module__}.{value.__qualname__}:{code.co_firstlineno if code else 0}"
    if is_a(value, enum.Enum):
        return f"{name} {value._name_}"
    if depth >= _DEPTH_MAX:
        return name
    if is_a(value, tuple):
        return f"{name} ({', '.join(order_key(each, depth + 1) for each in tuple.__iter__(value))})"
    if is_a(value, frozenset):
        return f"{name} {{{', '.join(sorted(order_key(each, depth + 1) for each in frozenset.__iter__(value)))}}}"
    if vars(type(value)).get("__repr__") and type(value).__module__ in _PLAIN:
        return f"{name} {value!r}"
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        attributes = None
    if isinstance(attributes, dict):
        return f"{name} {[(key, order_key(each, depth + 1)) for key, each in attributes.items()]}"
    return name


#: Modules whose objects have a text that says all, and no address.
_PLAIN = {"datetime", "decimal", "fractions", "uuid", "pathlib", "pathlib._local", "ipaddress", "re", "zoneinfo", "builtins"}
