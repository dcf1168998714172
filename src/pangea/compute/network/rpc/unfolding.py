"""What a message unfolds to, found out before anything decodes it.

Nobody who writes a message in the ordinary way points twice at the same place, so whatever can be reached from its root is at
most as large as the message. One that unfolds to more, or claims lists of elements without a size, is made to cost its reader:
64 KiB can hold a list of a million structs, or four hundred pointers to one list of four hundred.

Source: Cap'n Proto encoding, "Structs", "Lists" and "Inter-Segment Pointers".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from pangea.compute.model.frames import Buffer
from pangea.compute.network.rpc.framing import WireError

_WORD_BYTES = 8
#: Pointers, null ones too, that are looked at before others have a turn.
_SLICE = 200
#: Bits of an element, by the kind of a list; pointers (6) and structs (7) are followed.
_ELEMENT_BITS = (0, 1, 8, 16, 32, 64)
_STRUCT, _LIST, _FAR, _OTHER = 0, 1, 2, 3
_POINTERS, _STRUCTS = 6, 7
_HALF = 1 << 32
_SIGN = 1 << 29


class _Pointers(NamedTuple):
    """Pointers to follow: so many one after another, in so many structs at equal distances."""

    segment: int
    start: int
    step: int
    pointers: int
    lists: int

    def places(self) -> Iterator[int]:
        """The words that they are in."""
        for at in range(self.start, self.start + self.step * self.lists, self.step):
            yield from range(at, at + self.pointers)


def unfold(frame: Buffer) -> Iterator[None]:
    """Follow all pointers of a message, as framed; yields now and then.

    Raises:
        WireError: it unfolds to more than it is, or points outside of itself.
    """
    segments = _segments(memoryview(frame))
    left = sum(map(len, segments))
    waiting = [_Pointers(0, 0, 1, 1, 1)]
    seen = 0
    try:
        while waiting:
            found = waiting.pop()
            number, segment = found.segment, segments[found.segment]
            left -= found.lists * found.pointers
            for place in found.places():
                seen += 1
                if seen % _SLICE == 0:
                    yield
                if not (pointer := segment[place]):
                    continue
                more, words = _target(segments, number, place, pointer)
                left -= words
                if left < 0:
                    raise WireError(f"a message of {len(frame):,} bytes that unfolds to more than that")
                waiting += more
    except IndexError:
        raise WireError(f"a message of {len(frame):,} bytes that points outside of itself") from None
    if left < 0:
        raise WireError(f"a message of {len(frame):,} bytes that unfolds to more than that")


def _segments(frame: memoryview) -> list[memoryview]:
    count = struct.unpack_from("<I", frame)[0] + 1
    sizes = struct.unpack_from(f"<{count}I", frame, 4)
    at = (4 + 4 * count + _WORD_BYTES - 1) // _WORD_BYTES
    words = frame.cast("B").cast("Q")
    segments = []
    for size in sizes:
        segments.append(words[at : at + size])
        at += size
    return segments


def _target(segments: list[memoryview], number: int, place: int, pointer: int) -> tuple[list[_Pointers], int]:
    """Where the pointers are in what a pointer points at, and the words of all else in it."""
    number, start, tag, words = _resolved(segments, number, place, pointer)
    kind = tag & 3
    if kind == _STRUCT:
        data, pointers = tag >> 32 & 0xFFFF, tag >> 48
        return _inside(segments[number], number, start, data, pointers, words)
    if kind == _LIST:
        return _list(segments[number], number, start, tag >> 32, words)
    if kind == _OTHER and tag % _HALF == _OTHER:  # a capability
        return [], words
    raise WireError("a message with a pointer of no known kind")


def _resolved(segments: list[memoryview], number: int, place: int, pointer: int) -> tuple[int, int, int, int]:
    """Segment and word that a pointer points at, the pointer that says what is there, and words that were between."""
    start = place + 1 + _offset(pointer)
    if pointer & 3 != _FAR:
        return number, start, pointer, 0
    number, place = pointer >> 32, (pointer % _HALF) >> 3
    tag = segments[number][place]
    if pointer & 4:  # the pad says where it begins, and behind that what it is
        return tag >> 32, (tag % _HALF) >> 3, segments[number][place + 1], 2
    return number, place + 1 + _offset(tag), tag, 1


def head(frame: Buffer) -> tuple[int, int]:
    """The first words of a message's two outer structs, 0 for what isn't there. `unfold` must have let the message pass."""
    segments, number, start, words = _segments(memoryview(frame)), 0, -1, [0, 0]
    for level in range(2):
        place = start + 1
        if not (pointer := segments[number][place]):
            break
        number, start, tag, _ = _resolved(segments, number, place, pointer)
        data, pointers = tag >> 32 & 0xFFFF, tag >> 48
        if tag & 3 != _STRUCT or not data:
            break
        words[level], start = segments[number][start], start + data - 1
        if not pointers:
            break
    return words[0], words[1]


def _list(segment: memoryview, number: int, start: int, shape: int, words: int) -> tuple[list[_Pointers], int]:
    size, count = shape & 7, shape >> 3
    if size == _POINTERS:
        return _inside(segment, number, start, 0, count, words)
    if size != _STRUCTS:
        length = -(-count * _ELEMENT_BITS[size] // 64)
        _reach(segment, start, length)
        return [], words + (length or count)  # elements of no size count as words
    tag = segment[_at(start)]
    count, data, pointers = (tag % _HALF) >> 2, tag >> 32 & 0xFFFF, tag >> 48
    step = data + pointers
    _reach(segment, start + 1, count * step)
    if not pointers:
        return [], words + 1 + count * (step or 1)
    if count * step > len(segment):
        raise IndexError
    found = [_Pointers(number, start + 1 + data, step, pointers, count)] if count else []
    return found, words + 1 + count * data


def _inside(segment: memoryview, number: int, start: int, data: int, pointers: int, words: int) -> tuple[list[_Pointers], int]:
    _reach(segment, start, data + pointers)
    return [_Pointers(number, start + data, 1, pointers, 1)] if pointers else [], words + data


def _reach(segment: memoryview, start: int, length: int) -> None:
    if length and not 0 <= start <= start + length <= len(segment):
        raise IndexError


def _at(place: int) -> int:
    if place < 0:
        raise IndexError
    return place


def _offset(pointer: int) -> int:
    """The signed 30 bits behind a pointer's kind."""
    offset = (pointer % _HALF) >> 2
    return offset - 2 * _SIGN if offset >= _SIGN else offset
