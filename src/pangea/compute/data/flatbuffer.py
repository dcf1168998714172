"""The part of FlatBuffers that Arrow's metadata needs: tables, strings, vectors, structs; every read within bounds.

Source: FlatBuffers, "Internals": all numbers are little-endian, offsets are relative to where they stand.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from pangea.compute.data.errors import DataError

#: How many tables a list may have: the columns of a table.
TABLES_MAX = 1 << 16

_U16, _U32, _I32 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<i")


def _read(form: struct.Struct, view: memoryview, at: int) -> Any:
    if at < 0 or at + form.size > len(view):
        raise DataError("corrupt Arrow metadata: an offset points outside")
    return form.unpack_from(view, at)[0]


class FlatTable:
    """A table within `view`; absent fields have their defaults."""

    __slots__ = ("_at", "_slots", "_view")

    def __init__(self, view: memoryview, at: int) -> None:
        vtable = at - _read(_I32, view, at)
        size = _read(_U16, view, vtable)
        if size < 4 or size % 2 or vtable + size > len(view):
            raise DataError("corrupt Arrow metadata: a table's layout is cut off")
        self._view, self._at = view, at
        self._slots = struct.unpack_from(f"<{size // 2 - 2}H", view, vtable + 4)

    @classmethod
    def root(cls, view: memoryview) -> FlatTable:
        """The table that the whole of `view` stands for."""
        return cls(view, _read(_U32, view, 0))

    def number(self, slot: int, form: struct.Struct, default: int = 0) -> int:
        """The number in a field."""
        place = self._place(slot)
        return int(_read(form, self._view, place)) if place else default

    def table(self, slot: int) -> FlatTable | None:
        """The table that a field refers to, or None."""
        place = self._target(slot)
        return FlatTable(self._view, place) if place else None

    def text(self, slot: int) -> bytes | None:
        """The bytes of the string that a field refers to, or None."""
        place = self._target(slot)
        if not place:
            return None
        start, count = self._vector(place, 1)
        return bytes(self._view[start : start + count])

    def tables(self, slot: int) -> list[FlatTable]:
        """The tables in the vector that a field refers to."""
        place = self._target(slot)
        if not place:
            return []
        start, count = self._vector(place, 4)
        if count > TABLES_MAX:
            raise DataError(f"Arrow metadata has a list of {count:,} items, at most {TABLES_MAX:,} can be read")
        spots = [start + 4 * index for index in range(count)]
        return [FlatTable(self._view, spot + _read(_U32, self._view, spot)) for spot in spots]

    def structs(self, slot: int, form: struct.Struct) -> list[tuple[Any, ...]]:
        """The structs in the vector that a field refers to."""
        place = self._target(slot)
        if not place:
            return []
        start, count = self._vector(place, form.size)
        return list(form.iter_unpack(self._view[start : start + count * form.size]))

    def has(self, slot: int) -> bool:
        """Whether the field is there."""
        return self._place(slot) > 0

    def _place(self, slot: int) -> int:
        offset = self._slots[slot] if slot < len(self._slots) else 0
        return self._at + offset if offset else 0

    def _target(self, slot: int) -> int:
        place = self._place(slot)
        return place + int(_read(_U32, self._view, place)) if place else 0

    def _vector(self, at: int, item_bytes: int) -> tuple[int, int]:
        count = _read(_U32, self._view, at)
        if at + 4 + count * item_bytes > len(self._view):
            raise DataError("corrupt Arrow metadata: a list is cut off")
        return at + 4, count


#: Writes itself to the end of a buffer and returns where it begins.
Placed = Callable[[bytearray], int]
#: A field's value: a format of `struct` with a number, or what the field refers to.
FieldValue = tuple[str, int] | Placed


def build(root: Placed) -> bytes:
    """A buffer whose root is `root`, padded to a multiple of 8 bytes."""
    out = bytearray(4)
    _U32.pack_into(out, 0, root(out))
    _align(out, 8, 0)
    return bytes(out)


def table(fields: Mapping[int, FieldValue]) -> Placed:
    """A table with these fields, by slot."""

    def place(out: bytearray) -> int:
        slots = [0] * (max(fields, default=-1) + 1)
        size = 4
        for slot, value in fields.items():
            width = struct.calcsize(value[0]) if isinstance(value, tuple) else 4
            size += -size % width
            slots[slot], size = size, size + width
        vtable_bytes = 4 + 2 * len(slots)
        _align(out, 8, vtable_bytes)
        out += struct.pack(f"<{2 + len(slots)}H", vtable_bytes, size, *slots)
        start = len(out)
        out += bytes(size)
        _I32.pack_into(out, start, vtable_bytes)
        for slot, value in fields.items():
            spot = start + slots[slot]
            if isinstance(value, tuple):
                struct.pack_into("<" + value[0], out, spot, value[1])
            else:
                _refer(out, spot, value)
        return start

    return place


def string(text: bytes) -> Placed:
    """A string."""

    def place(out: bytearray) -> int:
        _align(out, 4, 0)
        start = len(out)
        out += _U32.pack(len(text)) + text + b"\0"
        return start

    return place


def tables(items: list[Placed]) -> Placed:
    """A vector of tables."""

    def place(out: bytearray) -> int:
        _align(out, 4, 0)
        start = len(out)
        out += _U32.pack(len(items)) + bytes(4 * len(items))
        for index, item in enumerate(items):
            _refer(out, start + 4 + 4 * index, item)
        return start

    return place


def structs(count: int, content: bytes) -> Placed:
    """A vector of `count` structs of 8-byte numbers."""

    def place(out: bytearray) -> int:
        _align(out, 8, 4)
        start = len(out)
        out += _U32.pack(count) + content
        return start

    return place


def _refer(out: bytearray, spot: int, item: Placed) -> None:
    _U32.pack_into(out, spot, item(out) - spot)


def _align(out: bytearray, to: int, ahead: int) -> None:
    """Pad so that what follows `ahead` further bytes begins at a multiple of `to`."""
    out += bytes(-(len(out) + ahead) % to)
