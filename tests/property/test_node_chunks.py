"""Chunks come out of the store as they went in, in any runs; what waits adds up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.flow.packs import PackRule
from pangea.compute.model import frames
from pangea.compute.node.jobs.chunks import Chunks, frames_in
from pangea.compute.verification.digests import digest_of, leaves_of
from pangea.compute.verification.merkle import root

RULE = PackRule(bytes_min=16, per_segment=3)
CHUNKS = st.lists(st.binary(max_size=12), min_size=1, max_size=8)
PIECES = st.lists(st.one_of(st.binary(max_size=20), st.lists(CHUNKS, min_size=1, max_size=3)), min_size=1, max_size=6)


def filled(pieces: list[bytes | list[list[bytes]]], chunks: Chunks) -> list[bytes]:
    """Add segments, and what split made of several segments; all chunks in order."""
    flat: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            chunks.add_segment(piece)
            flat.append(piece)
        else:
            body = frames.pack([frames.pack(each) for each in piece])
            for frame in frames_in(body):
                chunks.add_frame(body, frame, lambda body=body: body)  # type: ignore[misc]
            flat += [chunk for each in piece for chunk in each]
    return flat


@given(PIECES, st.data())
def test_any_run_of_chunks_is_framed_as_it_was(pieces: list[bytes | list[list[bytes]]], data: st.DataObject) -> None:
    chunks = Chunks(RULE)
    flat = filled(pieces, chunks)
    assert (chunks.count, chunks.size_bytes) == (len(flat), sum(map(len, flat)))
    start = data.draw(st.integers(0, len(flat) - 1))
    count = data.draw(st.integers(1, len(flat) - start))
    assert b"".join(chunks.frame(start, count)) == frames.pack(flat[start : start + count])
    chunks.release(start, count)
    assert chunks.waiting_count == len(flat) - count
    assert chunks.waiting_bytes == sum(map(len, flat[:start] + flat[start + count :]))
    assert b"".join(chunks.frame(start, count)) == frames.pack(flat[start : start + count])  # read again
    chunks.reopen(start, count)
    assert chunks.waiting_bytes == chunks.size_bytes


@given(PIECES, st.data())
def test_chunks_of_tasks_from_before_a_restart_never_wait(pieces: list[bytes | list[list[bytes]]], data: st.DataObject) -> None:
    flat = filled(pieces, Chunks(RULE))
    start = data.draw(st.integers(0, len(flat) - 1))
    count = data.draw(st.integers(1, len(flat) - start))
    chunks = Chunks(RULE)
    chunks.expect([(start, count)])
    filled(pieces, chunks)
    assert chunks.waiting_count == len(flat) - count
    assert chunks.restored_bytes == sum(map(len, flat[start : start + count]))


@given(PIECES, st.data())
def test_packs_begin_and_end_with_segments_and_have_the_bytes_of_their_chunks(
    pieces: list[bytes | list[list[bytes]]], data: st.DataObject
) -> None:
    chunks = Chunks(RULE)
    flat = filled(pieces, chunks)
    segments = [segment for piece in pieces for segment in ([[piece]] if isinstance(piece, bytes) else piece)]
    expected = [pack for segment in segments for pack in RULE.packs(map(len, segment))]
    assert chunks.packs(0, len(flat)) == expected
    assert chunks.pack_counts(0) == tuple(pack.count for pack in expected)
    first, last = sorted(data.draw(st.lists(st.integers(0, len(expected)), min_size=2, max_size=2)))
    start, count = sum(p.count for p in expected[:first]), sum(p.count for p in expected[first:last])
    assert chunks.packs(start, count) == expected[first:last]
    assert chunks.pack_counts(first) == tuple(pack.count for pack in expected[first:])


@given(st.lists(st.lists(st.binary(max_size=5), min_size=1, max_size=9), min_size=1, max_size=64), st.integers(0, 10**6))
def test_a_digest_has_a_leaf_for_each_pack_and_names_every_byte_and_place(parts: list[list[bytes]], start: int) -> None:
    results, packs = [result for part in parts for result in part], [len(part) for part in parts]
    frame = frames.pack(results)
    leaves = leaves_of(frame, start=start, packs=packs)
    assert len(leaves) == len(packs)
    assert digest_of(frame, start=start, packs=packs) == root(leaves)
    elsewhere = leaves_of(frame, start=start + 1, packs=packs)
    assert all(here != there for here, there in zip(leaves, elsewhere, strict=True))
    changed = frames.pack([*results[:-1], results[-1] + b"!"])
    assert leaves_of(changed, start=start, packs=packs)[:-1] == leaves[:-1]
    assert leaves_of(changed, start=start, packs=packs)[-1] != leaves[-1]
    with pytest.raises(frames.FrameError):
        leaves_of(frame, start=start, packs=[*packs, 1])
