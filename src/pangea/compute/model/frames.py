"""Framed lists, the one container format of guest ABI 1.

A frame is ``u32 count`` followed by ``count`` times ``u32 length, bytes``, all little-endian. Chunks travel to a guest
and results travel back in frames. This module runs on the host and, unchanged, inside the Python guest.

A frame from outside is untrusted: `ends`, and so `unpack`, checks every length against the frame before anything is sliced.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

_U32 = struct.Struct("<I")
HEADER_BYTES = _U32.size
ENTRY_OVERHEAD_BYTES = _U32.size

Buffer = bytes | bytearray | memoryview


class FrameError(ValueError):
    """A frame whose counts or lengths do not add up."""


def pack(items: Sequence[Buffer]) -> bytes:
    """Frame `items`; each at most 4 GiB - 1 byte."""
    parts: list[Buffer] = [b""] * (2 * len(items))
    parts[0::2] = map(_U32.pack, map(len, items))  # loops in C: a million small items are nothing special
    parts[1::2] = items
    return header(len(items)) + b"".join(parts)


def unpack(frame: bytes) -> Iterator[bytes]:
    """Yield the items of `frame`.

    Raises:
        FrameError: a length runs past the end, or bytes are left over.
    """
    start = HEADER_BYTES
    for end in ends(frame):
        yield frame[start + ENTRY_OVERHEAD_BYTES : end]
        start = end


def ends(frame: Buffer) -> Iterator[int]:
    """Yield where each item of `frame` ends, without copying; the first entry starts at `HEADER_BYTES`.

    Raises:
        FrameError: a length runs past the end, or bytes are left over.
    """
    size, read = len(frame), _U32.unpack_from
    end = HEADER_BYTES
    for index in range(count_of(frame)):
        start = end + ENTRY_OVERHEAD_BYTES
        if start > size or (end := start + read(frame, end)[0]) > size:
            raise FrameError(f"item {index} of {count_of(frame)} runs past the frame's {size} bytes")
        yield end
    if end != size:
        raise FrameError(f"{size - end} bytes are left over after {count_of(frame)} items")


def count_of(frame: Buffer) -> int:
    """The count a frame claims in its header (unchecked against its body).

    Raises:
        FrameError: there is no header.
    """
    if len(frame) < HEADER_BYTES:
        raise FrameError(f"a frame has at least {HEADER_BYTES} bytes, this one has {len(frame)}")
    return int(_U32.unpack_from(frame)[0])


def header(count: int) -> bytes:
    """The header of a frame of `count` items; the entries follow it."""
    return _U32.pack(count)


def entry_header(size: int) -> bytes:
    """What precedes an item of `size` bytes in a frame."""
    return _U32.pack(size)
