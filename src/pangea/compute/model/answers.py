"""Reading what a node answers: it may be of another version, or no node at all."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from pangea.compute.model.errors import UnavailableError

#: What JSON has for each type of a field.
_TYPES: dict[str, Any] = {
    "JobId": str,
    "JobState": str,
    "str": str,
    "bool": bool,
    "int": int,
    "float": int | float,
    "float | None": int | float | None,
    "Capacity": dict,
    "JobStatus": dict,
    "tuple[str, ...]": list | tuple,
    "bytes | None": bytes | None,
    "dict[str, int]": dict,
    "dict[str, float]": dict,
    "dict[str, Any] | None": dict | None,
}


def known(kind: type, record: object) -> dict[str, Any]:
    """The fields of `kind` in a record from a node, checked; a later version may say more.

    Raises:
        UnavailableError: it is no object, or a field is missing or of the wrong type.
    """
    if not isinstance(record, dict):
        raise unreadable(f"{kind.__name__} is a {type(record).__name__}, not an object")
    values: dict[str, Any] = {}
    for each in fields(kind):
        if each.name in record:
            values[each.name] = _checked(f"{kind.__name__}.{each.name}", record[each.name], str(each.type))
        elif each.default is MISSING:
            raise unreadable(f"{kind.__name__} has no {each.name}")
    return values


def _checked(name: str, value: Any, kind: str) -> Any:
    is_right = isinstance(value, _TYPES[kind]) and (kind == "bool" or not isinstance(value, bool))
    figures = value.values() if kind in ("dict[str, int]", "dict[str, float]") and is_right else ()
    if kind == "tuple[str, ...]" and is_right:
        return tuple(map(str, value))
    if is_right and all(isinstance(each, int | float) for each in figures):
        return value
    raise unreadable(f"{name} is {str(value)[:80]!r}")


def unreadable(what: str) -> UnavailableError:
    """The error about an answer of a node that makes no sense."""
    return UnavailableError(f"the node's answer can't be read: {what}", hint="is its version the same as this one's?")
