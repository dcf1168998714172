"""Framed lists: the byte layout, and every way that a frame can lie."""

from __future__ import annotations

import pytest

from pangea.compute.model import frames
from pangea.compute.model.frames import FrameError

LIES = {
    "nothing": (b"", "a frame has at least 4 bytes, this one has 0"),
    "half a header": (b"\1\0\0", "a frame has at least 4 bytes, this one has 3"),
    "a count without items": (b"\1\0\0\0", "item 0 of 1 runs past the frame's 4 bytes"),
    "half a length": (b"\1\0\0\0\1\0", "item 0 of 1 runs past the frame's 6 bytes"),
    "a length past the end": (b"\1\0\0\0\2\0\0\0x", "item 0 of 1 runs past the frame's 9 bytes"),
    "the largest length": (b"\1\0\0\0\xff\xff\xff\xffx", "item 0 of 1 runs past the frame's 9 bytes"),
    "the largest count": (b"\xff\xff\xff\xff\0\0\0\0", "item 1 of 4294967295 runs past the frame's 8 bytes"),
    "bytes left over": (b"\1\0\0\0\1\0\0\0xyz", "2 bytes are left over after 1 items"),
    "bytes after an empty list": (b"\0\0\0\0\0", "1 bytes are left over after 0 items"),
}


def test_a_frame_is_a_count_and_then_lengths_and_bytes_all_little_endian() -> None:
    assert frames.pack([b"ab", b"", b"c"]) == b"\3\0\0\0\2\0\0\0ab\0\0\0\0\1\0\0\0c"


def test_an_empty_list_is_a_count_of_zero() -> None:
    assert frames.pack([]) == b"\0\0\0\0"
    assert list(frames.unpack(b"\0\0\0\0")) == []
    assert list(frames.ends(b"\0\0\0\0")) == []


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_can_be_framed(kind: type) -> None:
    assert frames.pack([kind(b"ab")]) == frames.pack([b"ab"])


def test_ends_are_positions_in_the_frame() -> None:
    assert list(frames.ends(frames.pack([b"ab", b"", b"c"]))) == [10, 14, 19]


def test_the_parts_of_a_frame_make_the_frame() -> None:
    parts = [frames.header(2), frames.entry_header(2), b"ab", frames.entry_header(0), b""]
    assert b"".join(parts) == frames.pack([b"ab", b""])
    assert (len(frames.header(2)), len(frames.entry_header(2))) == (frames.HEADER_BYTES, frames.ENTRY_OVERHEAD_BYTES)


@pytest.mark.parametrize("name", LIES)
def test_a_frame_that_lies_is_refused_with_the_figures(name: str) -> None:
    frame, message = LIES[name]
    for read in (frames.unpack, frames.ends):
        with pytest.raises(FrameError) as caught:
            list(read(frame))
        assert str(caught.value) == message


def test_what_comes_before_the_lie_is_given_before_the_error() -> None:
    items = frames.unpack(b"\2\0\0\0\1\0\0\0x\xff\0\0\0")
    assert next(items) == b"x"
    with pytest.raises(FrameError):
        next(items)
