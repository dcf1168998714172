"""Bitmaps of the Arrow format: one bit per row, the lowest bit of a byte first. Whole bytes at a time, never bit by bit.

Source: Arrow columnar format 1.5, "Validity bitmaps".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress

_SET = tuple(tuple(bool(byte >> bit & 1) for bit in range(8)) for byte in range(256))
_CLEAR = tuple(tuple(not bit for bit in bits) for bits in _SET)
_DIGITS = bytes.maketrans(b"\0\1", b"01")


def bytes_for(length: int) -> int:
    """How many bytes hold `length` bits."""
    return (length + 7) // 8


def unpack(bitmap: memoryview, offset: int, length: int) -> list[bool]:
    """The bits from `offset` on, as a list of `length` booleans."""
    return _expanded(_SET, bitmap, offset, length)


def clear_positions(bitmap: memoryview, offset: int, length: int) -> Iterator[int]:
    """Where, counted from `offset`, the bits are 0: the rows that are null."""
    return compress(range(length), _expanded(_CLEAR, bitmap, offset, length))


def pack(flags: Iterable[object]) -> bytes:
    """A bitmap with the truth of each flag."""
    digits = bytes([1 if flag else 0 for flag in flags]).translate(_DIGITS)
    return int(digits[::-1], 2).to_bytes(bytes_for(len(digits)), "little") if digits else b""


def validity_of(values: Sequence[object]) -> tuple[bytes, int]:
    """The validity bitmap of `values`, where None is null, and how many are null."""
    flags = [value is not None for value in values]
    return pack(flags), flags.count(False)


def cut(bitmap: memoryview, offset: int, length: int) -> bytes:
    """The bits from `offset` on, moved to the front of a bitmap of their own; the bits after them are 0."""
    return _number(bitmap, offset, length).to_bytes(bytes_for(length), "little")


def count_set(bitmap: memoryview, offset: int, length: int) -> int:
    """How many of the `length` bits from `offset` on are 1."""
    return _number(bitmap, offset, length).bit_count()


def _number(bitmap: memoryview, offset: int, length: int) -> int:
    held = bitmap[offset // 8 : bytes_for(offset + length)]
    return int.from_bytes(held, "little") >> offset % 8 & (1 << length) - 1


def _expanded(table: Sequence[Sequence[bool]], bitmap: memoryview, offset: int, length: int) -> list[bool]:
    held = bitmap[offset // 8 : bytes_for(offset + length)]
    bits = list(chain.from_iterable(map(table.__getitem__, held)))
    skipped = offset % 8
    return bits[skipped : skipped + length] if skipped or len(bits) > length else bits
