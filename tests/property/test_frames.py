"""Framed lists: what goes in comes out, and no bytes make a reader do anything but answer or refuse."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.model import frames

ITEMS = st.lists(st.binary(max_size=40), max_size=20)
#: Bytes that look like frames: small counts and lengths are frequent.
NEAR_FRAMES = st.lists(st.one_of(st.integers(0, 5).map(struct.Struct("<I").pack), st.binary(max_size=5))).map(b"".join)


@given(ITEMS)
def test_a_frame_unpacks_to_what_was_packed(items: list[bytes]) -> None:
    frame = frames.pack(items)
    assert list(frames.unpack(frame)) == items
    assert frames.count_of(frame) == len(items)


@given(ITEMS)
def test_ends_cut_out_the_same_items(items: list[bytes]) -> None:
    frame = frames.pack(items)
    starts = [frames.HEADER_BYTES, *frames.ends(frame)]
    cut = [frame[a + frames.ENTRY_OVERHEAD_BYTES : b] for a, b in pairwise(starts)]
    assert cut == items


@given(ITEMS, ITEMS)
def test_frames_join_without_their_headers(one: list[bytes], other: list[bytes]) -> None:
    bodies = [frames.pack(items)[frames.HEADER_BYTES :] for items in (one, other)]
    assert b"".join([frames.header(len(one) + len(other)), *bodies]) == frames.pack(one + other)


@given(st.one_of(st.binary(max_size=60), NEAR_FRAMES))
def test_any_bytes_are_a_frame_or_an_error(data: bytes) -> None:
    refusals = []
    for read in (frames.unpack, frames.ends):
        try:
            items = list(read(data))
        except frames.FrameError as error:
            refusals.append(str(error))
        else:
            refusals.append("")
            assert len(items) == frames.count_of(data)
    assert refusals[0] == refusals[1]
    if not refusals[0]:
        assert frames.pack(list(frames.unpack(data))) == data


@given(ITEMS, st.data())
def test_every_prefix_and_every_extension_of_a_frame_is_refused(items: list[bytes], data: st.DataObject) -> None:
    frame = frames.pack(items)
    shorter = frame[: data.draw(st.integers(0, len(frame) - 1))]
    longer = frame + data.draw(st.binary(min_size=1, max_size=5))
    for lie in (shorter, longer):
        with pytest.raises(frames.FrameError):
            list(frames.ends(lie))
