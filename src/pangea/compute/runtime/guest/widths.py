"""Sizes as on a machine of 64 bits, where the users are: `sys.maxsize`, and the native formats of `struct`.

A word has 32 bits here. `struct`'s `l`, `L`, `n`, `N` and `P` have eight bytes at home, and as `q` and `Q` they have here.
What hands `sys.maxsize` on to C as "without a limit" has the largest word for it: the library's reading of all of a compressed
file, and `csv.field_size_limit(sys.maxsize)`. So has `collections.abc.Set`, which computes a hash that must equal a frozenset's.
"""

from __future__ import annotations

import csv
import functools
import importlib
import struct
import sys
import types
from collections.abc import Callable
from typing import Any

_WIDE = str.maketrans("lLnNP", "qQqQQ")
_MAXSIZE = (1 << 63) - 1
_WORD = (1 << 31) - 1
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


def _read_all(stream: Any) -> bytes:
    parts = []
    while part := stream.read(_WORD):
        parts.append(part)
    return b"".join(parts)


_narrow_limit = csv.field_size_limit
_limit = _narrow_limit()


def _field_size_limit(new_limit: int | None = None, /) -> int:
    """What a field may have at most; more than a word holds is no limit here."""
    global _limit
    before = _limit
    if new_limit is not None:
        if type(new_limit) is int and _WORD < new_limit <= _MAXSIZE:
            _narrow_limit(_WORD)
        else:
            _narrow_limit(new_limit)
        _limit = new_limit
    return before


def widen() -> None:
    """Replace the functions and the class of `struct`, `sys.maxsize`, and what hands that on to C."""
    Struct.__module__, Struct.__qualname__ = "_struct", "Struct"
    for name in _FUNCTIONS:
        setattr(struct, name, _widened(getattr(struct, name)))
    struct.Struct = Struct  # type: ignore[misc]
    sys.maxsize = _MAXSIZE
    vars(importlib.import_module("compression._common._streams"))["DecompressReader"].readall = _read_all
    vars(importlib.import_module("_collections_abc"))["sys"] = types.SimpleNamespace(maxsize=_WORD, _getframe=sys._getframe)
    _field_size_limit.__name__ = _field_size_limit.__qualname__ = "field_size_limit"
    csv.field_size_limit = _field_size_limit  # type: ignore[assignment]
