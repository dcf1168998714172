"""Chunks come out of the store as they went in, in any runs; what waits adds up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.model import frames
from pangea.compute.model.packet import LEAVES_MAX, leaf_runs
from pangea.compute.node.chunks import Chunks, frames_in
from pangea.compute.verification.digests import digest_of, leaves_of
from pangea.compute.verification.merkle import root

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
    chunks = Chunks()
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
    flat = filled(pieces, Chunks())
    start = data.draw(st.integers(0, len(flat) - 1))
    count = data.draw(st.integers(1, len(flat) - start))
    chunks = Chunks()
    chunks.expect([(start, count)])
    filled(pieces, chunks)
    assert chunks.waiting_count == len(flat) - count
    assert chunks.restored_bytes == sum(map(len, flat[start : start + count]))


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=200), st.integers(0, 10**6))
def test_a_digest_has_a_leaf_for_each_run_and_names_every_byte_and_place(results: list[bytes], start: int) -> None:
    frame, runs = frames.pack(results), leaf_runs(len(results))
    leaves = leaves_of(frame, start=start, runs=runs)
    assert len(leaves) == min(len(results), LEAVES_MAX)
    assert digest_of(frame, start=start, runs=runs) == root(leaves)
    elsewhere = leaves_of(frame, start=start + 1, runs=runs)
    assert all(here != there for here, there in zip(leaves, elsewhere, strict=True))
    changed = frames.pack([*results[:-1], results[-1] + b"!"])
    assert leaves_of(changed, start=start, runs=runs)[:-1] == leaves[:-1]
    assert leaves_of(changed, start=start, runs=runs)[-1] != leaves[-1]
