"""Values without identity, as JSON: written where they are used, so that nothing depends on which of them are one object.

None, True, False, integers, finite floats and text are themselves; the rest is a list that begins with a letter. A list of one
integer is a reference to a node of the graph.

| `["i", hex]`   integer of more than 64 bits        | `["b", base64]` bytes            |
| `["f", text]`  infinity                            | `["c", re, im]` complex          |
| `["s", hex]`   text with surrogates, in UTF-8       | `["k", name]`   a built-in constant |
"""

from __future__ import annotations

import binascii
import math
from typing import Any, Final

#: What is no atom has this instead.
NONE: Final = object()
_INT_MAX = 1 << 63
_CONSTANTS = {id(...): "Ellipsis", id(NotImplemented): "NotImplemented"}
#: By their identity, as all types of things that travel are looked up: a metaclass of the user's may hash, compare or count.
_PLAIN = frozenset(map(id, (str, int, float, bool, type(None))))


def is_a(value: Any, *kinds: type) -> bool:
    """Whether `value` is an instance of one of `kinds`, whatever its class says that it is: proxies say what they stand for."""
    return issubclass(type(value), kinds)


def atom(value: Any) -> Any:
    """The JSON of `value`, or `NONE` if it is no atom. A NaN is none: `x is nan` and `nan in [nan]` look at its identity."""
    kind = type(value)
    if kind is str:
        return value if _is_clean(value) else ["s", value.encode("utf-8", "surrogatepass").hex()]
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if -_INT_MAX < value < _INT_MAX else ["i", hex(value)]
    if kind is float:
        return _real(value) if value == value else NONE
    if kind is bytes:
        return ["b", binascii.b2a_base64(value, newline=False).decode()]
    if kind is complex:
        return ["c", _real(value.real), _real(value.imag)] if value == value else NONE
    if value is ... or value is NotImplemented:
        return ["k", _CONSTANTS[id(value)]]
    return NONE


def atoms(values: list[Any] | tuple[Any, ...]) -> list[Any] | None:
    """The JSON of many values at once if all are plain; None if one has to be looked at."""
    kinds = set(map(id, map(type, values)))
    if not kinds <= _PLAIN:
        return None
    for kind, is_fine in _FAST.items():
        if id(kind) in kinds and not is_fine([value for value in values if type(value) is kind]):
            return None
    return list(values)


def _is_clean(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _real(value: float) -> Any:
    return value if math.isfinite(value) else ["f", repr(value)]


_FAST: dict[type, Any] = {
    str: lambda some: _is_clean("".join(some)),
    int: lambda some: min(some) > -_INT_MAX and max(some) < _INT_MAX,
    float: lambda some: all(map(math.isfinite, some)),
}
