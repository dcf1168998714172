"""Sizes as on a machine of 64 bits, where the users are: `sys.maxsize`, and the native formats of `struct`.

A word has 32 bits here. `struct`'s `l`, `L`, `n`, `N` and `P` have eight bytes at home, and as `q` and `Q` they have here.
"""

from __future__ import annotations

import functools
import struct
import sys
from collections.abc import Callable
from typing import Any

_WIDE = str.maketrans("lLnNP", "qQqQQ")
_MAXSIZE = (1 << 63) - 1
_FUNCTIONS = ("pack", "pack_into", "unpack", "unpack_from", "iter_unpack", "calcsize")


@functools.lru_cache(maxsize=256)
def wide(given: str | bytes) -> str | bytes:
    """The format that has the bytes here which `given` has at home."""
    text = given.decode("latin-1") if isinstance(given, bytes) else given
    return given if text[:1] in {"<", ">", "=", "!"} else text.translate(_WIDE)


class Struct(struct.Struct):
    """A compiled format, of native sizes as at home."""

    __slots__ = ("_given",)

    def __init__(self, format: str | bytes) -> None:
        """Compile it, and keep what was given."""
        super().__init__(wide(format))
        self._given = format.decode("latin-1") if isinstance(format, bytes) else format

    @property
    def format(self) -> str:
        """As given."""
        return self._given


def _widened(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(form: str | bytes, /, *arguments: Any, **options: Any) -> Any:
        return function(wide(form), *arguments, **options)

    call.__name__ = call.__qualname__ = function.__name__
    call.__doc__, call.__module__ = function.__doc__, "struct"
    return call


def widen() -> None:
    """Replace the functions and the class of `struct`, and `sys.maxsize`."""
    Struct.__module__, Struct.__qualname__ = "_struct", "Struct"
    for name in _FUNCTIONS:
        setattr(struct, name, _widened(getattr(struct, name)))
    struct.Struct = Struct  # type: ignore[misc]
    sys.maxsize = _MAXSIZE
